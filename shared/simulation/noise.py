"""Small differences that nobody calls a fault: how long a packet travels, who gets the next delivery."""

import random
from typing import Final

_WIRE_MS: Final = (0.2, 1.5)
_NET_MS: Final = (1.0, 12.0)


class Noise:
    """A stream of its own, so that chances of the run do not depend on chances of the engine."""

    def __init__(self, seed: int) -> None:
        """The same seed, the same noise."""
        self._random = random.Random(seed)

    def wire_s(self) -> float:
        """One way to Redis, in seconds."""
        low, high = _WIRE_MS
        return (low + (high - low) * self._random.random()) / 1000

    def net_s(self) -> float:
        """One way over the network to QStash, to a tool, to an executor, in seconds."""
        low, high = _NET_MS
        return (low + (high - low) * self._random.random()) / 1000

    def below(self, count: int) -> int:
        """A whole number from 0, below `count`."""
        return int(self._random.random() * count)
