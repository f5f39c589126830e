"""How many re-sends may be under way that nothing has come of yet: a sender's window, as TCP has one. Pure.

While the executors stand still, or QStash does, another message does not help: it only waits behind the others, and costs. What
comes of re-sends opens the window by one each; when next to nothing comes of them it is halved. One may always be under way, so
it opens again by itself.
"""

from collections.abc import Mapping
from typing import Final

FIRST: Final = 16
PATIENCE_S: Final = 2.0
"""After so long without a move a re-send counts as one that brought nothing."""
HARDLY: Final = 7
"""So many that brought nothing for each that did are no accident: messages get lost one by one, but a standstill takes all."""


class Window:
    """One for a process. Times are seconds of any clock that goes forward only."""

    def __init__(self, most: int) -> None:
        """`most` may ever be under way."""
        self.most = most
        self.size = min(FIRST, most)
        self._sent: dict[str, float] = {}
        self._again = 0

    @property
    def room(self) -> int:
        """How many may be sent now."""
        return max(0, self.size - len(self._sent))

    @property
    def waiting(self) -> list[str]:
        """What was sent, and nobody knows yet what came of it."""
        return list(self._sent)

    def sent(self, execution: str, at_s: float) -> None:
        """One is under way. If it was under way already, nothing came of that."""
        self._again += execution in self._sent
        self._sent[execution] = at_s

    def withdrawn(self, execution: str) -> None:
        """It was not sent after all."""
        self._sent.pop(execution, None)

    def answered(self, execution: str) -> None:
        """An executor took it."""
        self._sent.pop(execution, None)
        self._grow(1)

    def learn(self, moved: Mapping[str, bool], now_s: float) -> None:
        """What came of those that wait: once a round."""
        good = [execution for execution, well in moved.items() if well]
        lost = [
            execution
            for execution, well in moved.items()
            if not well and now_s - self._sent.get(execution, now_s) >= PATIENCE_S
        ]
        for execution in (*good, *lost):
            self._sent.pop(execution, None)
        nothing, self._again = len(lost) + self._again, 0
        if nothing > HARDLY * len(good):
            self.size = max(1, self.size // 2)
        else:
            self._grow(len(good))

    def _grow(self, by: int) -> None:
        self.size = min(self.most, self.size + by)
