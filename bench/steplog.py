"""Reads the step log as it grows. A run's name is TAG-NUMBER; lines are kept by tag."""

import asyncio
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """One line: `n` of the step, the monotonic clock in seconds, the process."""

    n: int
    at_s: float
    pid: int


class StepLog:
    """What `bench.steps` wrote."""

    def __init__(self, path: Path) -> None:
        """`path` may not be there yet."""
        path.touch()
        self._path = path
        self._read_to = 0
        self._rest = b""
        self._marks: dict[tuple[str, str], list[Mark]] = defaultdict(list)

    def begun(self, tag: str) -> list[Mark]:
        """Beginnings of steps."""
        self._read()
        return self._marks[tag, "b"]

    def ended(self, tag: str) -> list[Mark]:
        """Ends of steps."""
        self._read()
        return self._marks[tag, "e"]

    async def until(self, tag: str, count: int, *, within_s: float = 120, every_s: float = 0.005) -> list[Mark]:
        """The ends, once there are so many. TimeoutError otherwise."""
        deadline = time.monotonic() + within_s
        while len(found := self.ended(tag)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{tag}: {len(found)} of {count} steps within {within_s} s")
            await asyncio.sleep(every_s)
        return list(found)

    def _read(self) -> None:
        with self._path.open("rb") as log:
            log.seek(self._read_to)
            data = log.read()
        self._read_to += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            kind, run, n, at_ns, pid = line.decode().split()
            self._marks[run.partition("-")[0], kind].append(Mark(int(n), int(at_ns) / 1e9, int(pid)))
