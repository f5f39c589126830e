"""What processes take of this machine (Linux), and what the machine can do at all."""

import os
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float:
    """Processor seconds of these processes so far, user and system."""
    return sum(int(part) for pid in pids for part in _stat(pid)[11:13]) / _TICKS


def family(pid: int) -> list[int]:
    """This process and those that it forked, first itself."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf8").split()
    return [pid, *map(int, children)]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf8").rpartition(")")[2].split()


def busy_s() -> float:
    """Processor seconds that the whole machine was busy so far, time stolen by its host with it."""
    parts = [int(part) for part in Path("/proc/stat").read_text(encoding="utf8").split("\n", 1)[0].split()[1:]]
    return (sum(parts[:3]) + sum(parts[5:8])) / _TICKS


def memory_mib(pids: Iterable[int]) -> float:
    """Memory of these processes; shared pages are counted once."""
    found = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf8").splitlines()
        found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found / 1_024


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50_ms": round(statistics.median(ordered) * 1e3, 3), "p99_ms": round(p99 * 1e3, 3)}


def floor(folder: Path) -> dict[str, float]:
    """This machine, now: a pure Python loop, and a 4 KiB append that is synced. Compare runs by these."""
    return {
        "python_loop_1m_ms": round(min(_loop() for _ in range(5)) * 1e3, 1),
        "fdatasync_4k_p50_ms": milliseconds(_syncs(folder / "floor"))["p50_ms"],
    }


def _loop() -> float:
    began, found = time.perf_counter(), 0
    for number in range(1_000_000):
        found += number & 3
    return time.perf_counter() - began


def _syncs(path: Path) -> list[float]:
    took = []
    with path.open("ab", buffering=0) as file:
        for _ in range(300):
            began = time.perf_counter()
            file.write(bytes(4_096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return took
