"""How long the calls of tools usually take, as one process has seen them."""

from collections import deque

from shared.forecast import Usual


class Estimates:
    """How long each tool's calls usually take: the 99th percentile of the last hundred, once there are twenty."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[int]] = {}
        self.p99: dict[str, int] = {}
        self.fresh: set[str] = set()
        """Tools that were called since `usual` was last asked."""

    def add(self, tool: str, took_ms: int) -> None:
        """One answered call."""
        samples = self._samples.setdefault(tool, deque(maxlen=100))
        samples.append(took_ms)
        self.fresh.add(tool)
        if len(samples) >= 20:
            self.p99[tool] = max(samples)  # of a hundred and of fewer the 99th percentile is the largest

    def usual(self, at_ms: int) -> dict[str, Usual]:
        """What is known of each tool that was called since the last time: old news would stand over another process's new."""
        fresh, self.fresh = self.fresh, set()
        return {tool: self._usual(tool, at_ms) for tool in fresh}

    def _usual(self, tool: str, at_ms: int) -> Usual:
        samples = sorted(self._samples[tool])
        count = len(samples)
        return Usual(
            typical_ms=samples[count // 2],
            p95_ms=samples[int(0.95 * count)],
            p99_ms=self.p99.get(tool, 0),
            calls=count,
            at_ms=at_ms,
        )
