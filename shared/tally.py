"""What one process has counted since its start, for whoever measures. Plain numbers, always on; `GET /metrics` shows them.

What is rare and watched by an alert is there from the start, with 0: Prometheus sees no increase in a series that begins
with 1, so the first failed undo of a process would alert nobody.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Final

from shared.machine.status import TERMINAL
from shared.ports import No

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 8.0, 10.0)
"""Upper bounds of a histogram's buckets: a call is cut off at 8 s, an invocation at 10."""
LAG_BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
MOST_TOOLS: Final = 200
OTHER: Final = "other"
"""Stands for all tools beyond so many: each label costs whoever stores them."""
PUBLISHED: Final = ("taken", "repeated", "refused", "away")
"""What may come of handing a message to QStash."""


class Histogram:
    """How long something takes."""

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """One of them."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds


class Tally:
    """One for a process."""

    def __init__(self) -> None:
        self.accepted = 0
        """Executions that this process took in."""
        self.started = 0
        """Executions whose first segment began here."""
        self.ended = _zeros(status.value for status in TERMINAL)
        """By status."""
        self.segments = Counter[str]()
        """By what came of them."""
        self.segment_s = Histogram()
        self.not_run = _zeros([why.name.lower() for why in No] + ["lost"])
        """Deliveries that got no lease, by why; and `lost`: segments whose lease another had taken."""
        self.attempts = Counter[tuple[str, str, str]]()
        """By tool, what was called (run, undo, probe), and outcome."""
        self.steps_s: dict[tuple[str, str], Histogram] = {}
        """By tool and what was called."""
        self.lag_s = Histogram(LAG_BOUNDS_S)
        """From queueing to delivery."""
        self.published = _zeros(PUBLISHED)
        """Messages handed to QStash, by what it said."""
        self._tools: set[str] = set()

    def step(self, tool: str, what: str, outcome: str, seconds: float) -> None:
        """One call ended."""
        name = self._bounded(tool)
        self.attempts[name, what, outcome] += 1
        histogram = self.steps_s.get((name, what))
        if histogram is None:
            histogram = self.steps_s[name, what] = Histogram()
        histogram.add(seconds)

    def _bounded(self, tool: str) -> str:
        if tool in self._tools:
            return tool
        if len(self._tools) >= MOST_TOOLS:
            return OTHER
        self._tools.add(tool)
        return tool


def _zeros(labels: Iterable[str]) -> Counter[str]:
    return Counter(dict.fromkeys(labels, 0))
