"""Tokens and sparing log lines: what a flood may cost at most."""

import pytest
from structlog.testing import capture_logs

from shared.pacing import Bucket, Sparing


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """However often it is asked in between."""
    bucket = Bucket(20, 100)
    assert sum(bucket.take(1_000.0) for _ in range(500)) == 100
    given = sum(bucket.take(1_000 + tick / 100) for tick in range(1, 1_001))
    assert 199 <= given <= 200


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    """A quiet day is no licence for a loud minute."""
    bucket = Bucket(20, 30)
    bucket.take(0.0)
    assert sum(bucket.take(86_400.0) for _ in range(500)) == 30


@pytest.mark.parametrize("back", [999.0, -5.0])
def test_a_clock_that_steps_back_gives_nothing(back: float) -> None:
    """Nor does the same moment twice, once it is there again."""
    bucket = Bucket(1, 1)
    assert bucket.take(1_000.0)
    assert not bucket.take(back)
    assert not bucket.take(1_000.0)
    assert bucket.take(1_001.0)


def test_a_flood_of_lines_is_a_few_lines_and_a_count() -> None:
    """Each name has lines of its own."""
    now = [0.0]
    sparing = Sparing(2, 3, clock=lambda: now[0])
    with capture_logs() as lines:
        for number in range(1_000):
            sparing.say("hint.ignored", number=number)
        sparing.say("hint.dropped")
        now[0] = 0.5
        sparing.say("hint.ignored", number=1_000)
    assert [line.get("number") for line in lines] == [0, 1, 2, None, 1_000]
    assert lines[-1]["left_out"] == 997
    assert lines[-1]["log_level"] == "warning"
