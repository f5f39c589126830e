"""How much of something may happen: a bucket of tokens, and log lines that a flood cannot fill a disk with. Time comes in."""

import time
from collections.abc import Callable
from typing import Any, Final

from shared.logs import get_logger

log = get_logger()

LINES_PER_S: Final = 5
LINES_AT_ONCE: Final = 50


class Bucket:
    """`per_s` tokens a second, `burst` at most lie in it; it begins full."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left, self._at_s = burst, 0.0

    def take(self, now_s: float) -> bool:
        """Whether there was one. `now_s` is of a clock that does not go back; a step back gives nothing."""
        passed = max(0.0, now_s - self._at_s)
        self._left = min(self._burst, self._left + passed * self._per_s)
        self._at_s = max(self._at_s, now_s)
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Sparing:
    """Warnings that somebody outside can cause at will: so many a second for an event name, and how many were left out."""

    def __init__(
        self, per_s: float = LINES_PER_S, burst: float = LINES_AT_ONCE, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Event names are our own, so there are few."""
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._buckets: dict[str, Bucket] = {}
        self._left_out: dict[str, int] = {}

    def say(self, event: str, **facts: Any) -> None:
        """Log it, or count it for the next line of this name."""
        bucket = self._buckets.setdefault(event, Bucket(self._per_s, self._burst))
        if not bucket.take(self._clock()):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        if left_out := self._left_out.pop(event, 0):
            facts["left_out"] = left_out
        log.warning(event, **facts)
