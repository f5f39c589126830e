"""The circuit of a channel: pure steps, and the breaker that takes them by its clock."""

import pytest

from shared.circuit import Breaker, Circuit, failed, may_try, probing, succeeded


def test_one_that_nobody_has_tried_is_tried() -> None:
    """And nobody says that it works."""
    assert may_try(Circuit(), 0, 1_000)
    assert Circuit().back_ms is None


@pytest.mark.parametrize(("now", "may"), [(10, False), (1_009, False), (1_010, True)])
def test_an_open_one_is_tried_once_in_a_while(now: float, may: bool) -> None:  # noqa: FBT001 - a row of the table
    """A second after the failure that opened it."""
    assert may_try(failed(Circuit(), "away", 10), now, 1_000) is may


def test_a_probe_whose_end_nobody_tells_is_followed_by_another() -> None:
    """Who began it may have died."""
    begun = probing(failed(Circuit(), "away", 0), 1_000)
    assert not may_try(begun, 1_999, 1_000)
    assert may_try(begun, 2_000, 1_000)


def test_an_outage_begins_with_its_first_error_and_shows_its_latest() -> None:
    """Until something is answered."""
    open_one = failed(failed(Circuit(), "first", 5), "second", 900)
    assert (open_one.error, open_one.opened_ms) == ("second", 5)
    back = succeeded(open_one, 2_000)
    assert (back.error, back.back_ms) == ("", 2_000)
    assert succeeded(back, 3_000) == back


def test_the_breaker_lets_one_probe_through_and_says_why_it_refuses_the_others() -> None:
    """The first good answer closes it for everybody."""
    now = [0.0]
    breaker = Breaker("Ably", every_ms=500, clock=lambda: now[0])
    assert (breaker.there, breaker.probe_due, breaker.refuses()) == (True, True, "")
    breaker.ended("no answer")
    assert (breaker.there, breaker.probe_due, breaker.refuses()) == (False, False, "Ably is away: no answer")
    now[0] = 500.0
    assert breaker.probe_due
    assert breaker.refuses() == ""
    assert breaker.refuses() == "Ably is away: no answer"
    breaker.ended()
    assert (breaker.there, breaker.probe_due, breaker.back_at, breaker.refuses()) == (True, False, 500.0, "")


def test_a_channel_that_is_not_configured_is_never_tried() -> None:
    """Whatever is told of it."""
    breaker = Breaker("QStash", never="QSTASH_TOKEN is empty")
    assert (breaker.there, breaker.probe_due, breaker.refuses()) == (False, False, "QSTASH_TOKEN is empty")
