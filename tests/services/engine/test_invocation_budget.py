"""How much of an invocation is over when a message comes in, by the time that its signature was made."""

import pytest

from services.step_executor.app import QUEUED_LEAST_MS, believed_ms


@pytest.mark.parametrize(
    ("queued_ms", "hard_ms", "believed"),
    [
        (0, 10_000, 0),
        (-30_000, 10_000, 0),
        (QUEUED_LEAST_MS, 10_000, 0),
        (1_500, 10_000, 1_500),
        (30_000, 10_000, 3_000),
        (30_000, 3_000, 900),
        (1_500, 3_000, 900),
    ],
    ids=[
        "at once", "signed by a clock that is ahead", "on its way", "queued", "by a clock that is 30 s behind",
        "the same on a platform with small limits", "queued, with small limits",
    ],
)  # fmt: skip
def test_however_wrong_the_clocks_are_most_of_an_invocation_is_left(queued_ms: float, hard_ms: int, believed: float) -> None:
    """Seven tenths at least: time for a step."""
    assert believed_ms(queued_ms, hard_ms=hard_ms) == believed
