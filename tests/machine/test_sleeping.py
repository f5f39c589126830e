"""Steps that let time pass."""

from typing import Any

import pytest

from shared.machine.decision import Suspend, Wait
from shared.machine.events import Done, Refused
from tests.machine.play import Play, call
from tests.machine.support import DONE, NOW

HOUR = 3_600_000


def nap(until: Any = None, *, ms: int | None = None, **more: Any) -> dict[str, Any]:
    """A sleeping step."""
    return {"name": "nap", "sleep": {"ms": ms, "until": until}} | more


def test_a_sleep_asks_for_a_message_at_its_end() -> None:
    """And is over then, not before, whoever wakes it."""
    play = Play(nap(ms=HOUR))
    assert play.wake() == "SUSPENDED sleep"
    assert isinstance(play.next, Suspend)
    assert (play.next.wake_at_ms, play.next.timed) == (NOW + HOUR, True)
    assert play.wake(HOUR - 5_000) == "SUSPENDED sleep"
    assert play.wake(5_000) == "COMPLETED"
    assert play.output("nap") == {"slept_ms": HOUR}


def test_a_short_sleep_is_sat_out() -> None:
    """Cheaper than a message."""
    play = Play(nap(ms=1_500))
    assert play.wake() == "EXECUTING"
    assert play.next.until_ms == NOW + 1_500  # type: ignore[union-attr] # a wait, or a commit that waits
    assert play.tick(1_500) == "COMPLETED"


def test_a_short_sleep_at_the_end_of_an_invocation_is_not() -> None:
    """It would be cut off."""
    play = Play(call("a"), nap(ms=1_500, needs=["a"]))
    play.wake()
    assert play.answer({"a": DONE}, 5_000) == "SUSPENDED sleep"


def test_other_steps_run_while_one_sleeps() -> None:
    """And what needs it begins when it is over, beside them."""
    play = Play(nap(ms=1_000), call("a"), call("b", needs=["nap"]))
    play.wake()
    assert play.running == ["a"]
    play.tick(1_000)
    assert play.running == ["a", "b"]


@pytest.mark.parametrize(
    ("until", "slept"),
    [(NOW - 1, 0), (0, 0), (-5, 0), (NOW, 0), ("1970-01-01T00:00:00Z", 0), ("1970-01-01T02:00:00+01:00", HOUR - NOW),
     ("1970-01-01T00:59:59.500Z", HOUR - 500 - NOW), (NOW + HOUR, HOUR)],
)  # fmt: skip
def test_a_moment_is_unix_ms_or_a_time_with_its_offset(until: Any, slept: int) -> None:
    """One that has passed is no wait."""
    play = Play(call("a"), nap("${a.at}"))
    play.wake()
    stands = play.answer({"a": Done(output={"at": until})}, 0)
    if slept:
        assert stands == "SUSPENDED sleep"
        play.wake(slept)
    assert play.stands == "COMPLETED"
    assert play.output("nap") == {"slept_ms": max(slept, 0)}


@pytest.mark.parametrize("until", ["soon", "2026-05-01T19:00", True, None, 1.5, [], {}, "", 10**30, NOW + 400 * 24 * HOUR])
def test_a_moment_that_is_none_or_beyond_a_year_fails_the_step(until: Any) -> None:
    """And what was done is undone."""
    play = Play(call("a"), nap("${a.at}"))
    play.wake()
    play.answer({"a": Done(output={"at": until})})
    assert play.code("nap") == "bad_time"
    assert play.running == ["-a"]


def test_the_deadline_of_the_execution_ends_a_sleep() -> None:
    """It wakes for it, and not for the sleep."""
    play = Play(nap(ms=HOUR), deadline_ms=NOW + 60_000)
    play.wake()
    assert isinstance(play.next, Suspend)
    assert (play.next.wake_at_ms, play.next.timed) == (NOW + 60_000, True)
    assert play.wake(60_000) == "TIMED_OUT"
    assert play.cell("nap") == "SKIPPED"


def test_the_earliest_of_many_sleeps_is_what_is_waited_for() -> None:
    """Then the next one."""
    naps = [{"name": f"n{n}", "sleep": {"ms": (n + 1) * HOUR}} for n in (3, 1, 2, 0)]
    play = Play(*naps)
    for hour in range(4):
        assert play.wake(HOUR * bool(hour)) == "SUSPENDED sleep"
        assert play.cells.count("d") == hour
    assert play.wake(HOUR) == "COMPLETED"


def test_a_failure_beside_a_sleep_ends_it() -> None:
    """Nobody waits for time that nobody needs."""
    play = Play(nap(ms=HOUR), call("a"))
    play.wake()
    assert play.answer({"a": Refused(code="no", message="no")}) == "FAILED"
    assert play.cell("nap") == "SKIPPED"


def test_a_sleep_beside_calls_is_no_wait_of_the_segment() -> None:
    """While calls run, their end comes first."""
    play = Play(nap(ms=HOUR), call("a"), call("b"))
    play.wake()
    play.answer({"a": DONE})
    assert isinstance(play.next, Wait)
    assert play.next.until_ms is None
    assert play.answer({"b": DONE}) == "SUSPENDED sleep"
