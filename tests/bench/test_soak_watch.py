"""The follower of a soak's step log keeps what runs, and forgets what is over."""

from pathlib import Path

import pytest

from bench.soak_watch import Follower


def test_gaps_are_from_the_end_of_a_step_to_the_beginning_of_the_next_of_its_execution(tmp_path: Path) -> None:
    """Two executions in one log; what was there before is left out; half a line waits for its rest."""
    log = tmp_path / "steps"
    log.write_text("e old-1 0 1 7\n")
    follower = Follower(log, steps=2)
    with log.open("a") as out:
        out.write("b a-1 0 1000000 7\ne a-1 0 2000000 7\nb a-2 0 2500000 7\nb a-1 1 3000000 7\ne a-1 1 40")

    follower.read()
    assert follower.finished == 0
    assert follower.gaps() == [pytest.approx(0.001)]
    with log.open("a") as out:
        out.write("00000 7\n")
    follower.read()

    assert (follower.finished, follower.again, follower.gaps()) == (1, 0, [])


def test_a_step_that_ends_twice_is_counted(tmp_path: Path) -> None:
    """And it is no progress."""
    log = tmp_path / "steps"
    log.touch()
    follower = Follower(log, steps=3)
    log.write_text("e a-1 0 1 7\ne a-1 1 2 7\ne a-1 1 3 8\ne a-1 2 4 8\n")

    follower.read()

    assert (follower.finished, follower.again) == (1, 1)
