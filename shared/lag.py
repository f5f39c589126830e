"""How long messages take from the commit that queued them to their delivery. A backlog is not a loss: see `late_ms`."""

from typing import Final

WEIGHT: Final = 1 / 8
"""Of each delivery, as TCP smooths its round trips."""
PATIENCE: Final = 4
"""A message is late when it takes so many times as long as others do."""
FREE_MS: Final = 2_000
"""What the due times have in them already."""
MOST_MS: Final = 900_000
"""A longer lag is taken for this one: what was lost is found within the hour, however long the queue is."""


class Lag:
    """Smoothed over the fresh deliveries of a process. All in ms by the store's clock."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self._smooth: float | None = None
        self._fresh = False

    def add(self, ms: int) -> None:
        """One delivery."""
        ms = max(0, ms)
        self._smooth = ms if self._smooth is None else self._smooth + WEIGHT * (ms - self._smooth)
        self._fresh = True

    def take(self) -> int | None:
        """The smoothed lag; None if nothing was delivered since the last time."""
        fresh, self._fresh = self._fresh, False
        return round(self._smooth) if fresh and self._smooth is not None else None


def late_ms(lag_ms: int) -> int:
    """How long behind its due time an execution is overdue, while deliveries take `lag_ms`."""
    return max(0, PATIENCE * min(lag_ms, MOST_MS) - FREE_MS)
