"""What a soak looks at: its processes, its Redis, and what its steps wrote. `Follower` forgets what is over: a soak is long."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from redis.asyncio import Redis

from bench.usage import cpu_s, memory_mib, milliseconds

EVENT_LOG = "qd:*:events"
"""qstash_dev's log of the latest 50,000 events: bounded, and filled by any load, so it is counted apart."""


class Process(msgspec.Struct, frozen=True):
    """One process: memory (shared pages counted once), open file handles, processor seconds so far."""

    pss_mib: float
    handles: int
    cpu_s: float


class Keys(msgspec.Struct, frozen=True):
    """What Redis holds: keys that stay until they are deleted, keys that end by themselves, bytes without the event log."""

    staying: int
    ending: int
    used_mib: float


class Latency(msgspec.Struct, frozen=True):
    """Since the sample before, in milliseconds: starts until their 202, and from one step's end to the next one's beginning."""

    start: dict[str, float]
    step: dict[str, float]
    finished: int
    unfinished: int


class Sample(msgspec.Struct, frozen=True):
    """One look. `at_s` since the soak began."""

    phase: str
    at_s: float
    processes: dict[str, Process]
    keys: Keys
    latency: Latency


def process(pid: int) -> Process:
    """As it is now."""
    handles = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Process(pss_mib=round(memory_mib([pid]), 2), handles=handles, cpu_s=cpu_s([pid]))


async def keys(redis: Redis) -> Keys:
    """As they are now."""
    space = (await redis.info("keyspace")).get("db0", {"keys": 0, "expires": 0})
    used = (await redis.info("memory"))["used_memory"]
    logs = [await redis.memory_usage(name, samples=20) async for name in redis.scan_iter(EVENT_LOG, count=10_000)]
    used -= sum(size or 0 for size in logs)
    return Keys(staying=space["keys"] - space["expires"], ending=space["expires"], used_mib=round(used / 2**20, 2))


class Follower:
    """Reads the step log as it grows, and keeps only what runs and what came since it was last asked."""

    def __init__(self, path: Path, steps: int) -> None:
        """`steps` of each execution. What the log has already is left out."""
        self._path, self._steps = path, steps
        self._read_to, self._rest = path.stat().st_size, b""
        self._ends: dict[str, tuple[int, int]] = {}
        self._gaps: list[float] = []
        self.finished = 0
        self.again = 0
        """Steps whose function returned twice."""

    def read(self) -> None:
        """What is new."""
        with self._path.open("rb") as log:
            log.seek(self._read_to)
            data = log.read()
        self._read_to += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            kind, run, n, at_ns, _ = line.decode().split()
            (self._begun if kind == "b" else self._ended)(run, int(n), int(at_ns))

    def _begun(self, run: str, n: int, at_ns: int) -> None:
        before, ended_ns = self._ends.get(run, (-1, 0))
        if n and before == n - 1:
            self._gaps.append((at_ns - ended_ns) / 1e9)

    def _ended(self, run: str, n: int, at_ns: int) -> None:
        before, _ = self._ends.get(run, (-1, 0))
        if n <= before:
            self.again += 1
        elif n == self._steps - 1:
            self._ends.pop(run, None)
            self.finished += 1
        else:
            self._ends[run] = (n, at_ns)

    def gaps(self) -> list[float]:
        """Seconds between steps, since the last call."""
        found, self._gaps = self._gaps, []
        return found


def quantiles(seconds: Iterable[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds; nothing of nothing."""
    found = list(seconds)
    return milliseconds(found) if found else {}
