"""An hour at half of the peak, and what is left of it: `make soak`, or `python -m bench.soak --seconds 3600`.

Real ingress, step executor, resume service, qstash_dev and Valkey, each a process of its own. First the peak is measured (or
`--rate` names the steps a second); then come samples of the idle system and of single executions, the load, a quiet time in
which everything may end that is to end, and the same samples again. Written are `soak.json` (every sample) and `soak.md` (what
came back and what did not) in `--out`. Ends with 1 when something grew, stayed, got lost or ran twice.

Executions are kept for `--retention` seconds after their end, so that what finishes and what goes balance within the hour.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import aiohttp
import msgspec
from redis.asyncio import Redis

from bench import shapes
from bench.installation import SERVICES, Busy, Installation
from bench.processes import end_when_told
from bench.soak_report import LEAST, markdown, speeds, verdicts
from bench.soak_watch import Follower, Latency, Sample, keys, process, quantiles
from shared.redisdb.connect import connect

STEPS: Final = 10
MOST_UNFINISHED: Final = 5_000
"""With more, the load holds back: then it is above what the system can do."""


FIXED: Final = 256
"""Keys that the first load makes and that stay: a tally for each partition, and a few of the servers' own."""


class Soak:
    """The samples of one run, and the load."""

    def __init__(self, system: Installation, redis: Redis, log: Path) -> None:
        self._system, self._redis = system, redis
        self.follower = Follower(log, STEPS)
        self.samples: list[Sample] = []
        self.sent = self.busy = self.refused = self.held_back = 0
        """`busy`: told to come again, and nothing was done; `refused`: by any other answer, or none."""
        self._took: list[float] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = time.monotonic()

    @property
    def unfinished(self) -> int:
        """Executions under way, as far as the log was read."""
        return self.sent - self.follower.finished

    async def sample(self, phase: str) -> Sample:
        """Look now."""
        self.follower.read()
        latency = Latency(quantiles(self._took), quantiles(self.follower.gaps()), self.follower.finished, self.unfinished)
        self._took = []
        processes = {name: process(self._system.pids(name)[0]) for name in ("valkey", *SERVICES)}
        at_s = round(time.monotonic() - self._began, 1)
        self.samples.append(Sample(phase, at_s, processes, await keys(self._redis), latency))
        return self.samples[-1]

    async def load(self, phase: str, *, seconds: float, per_s: float, every_s: float) -> None:
        """So many executions a second, at their times, whatever comes of them; with samples."""
        over = asyncio.Event()
        looking = asyncio.create_task(self._look(phase, every_s, over))
        began, number = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            for _ in range(int(passed * per_s) - number):
                number += 1
                self._start(f"{phase.replace(' ', '_')}-{number}")
            await asyncio.sleep(max(0.002, (number + 1) / per_s - passed))
        over.set()
        await asyncio.gather(looking, *self._tasks)
        await self._drained()
        self._took = []
        self.follower.gaps()

    def _start(self, run: str) -> None:
        if self.unfinished > MOST_UNFINISHED:
            self.held_back += 1
            return
        task = asyncio.create_task(self._one(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, run: str) -> None:
        try:
            _, took = await self._system.submit(run, STEPS)
        except Busy:
            self.busy += 1
            return
        except (AssertionError, aiohttp.ClientError, TimeoutError):
            self.refused += 1
            return
        self.sent += 1
        self._took.append(took)

    async def _look(self, phase: str, every_s: float, over: asyncio.Event) -> None:
        while True:  # a look under way is let end: cancelled in a command, it would take its connection with it
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await over.wait()
                    return
            await self.sample(phase)

    async def _drained(self) -> None:
        deadline = time.monotonic() + 120
        while self.unfinished > 0 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            self.follower.read()

    async def until(self, phase: str, done: Callable[[Sample], bool], *, within_s: float, every_s: float) -> None:
        """Samples, until one is as it should be or the time is over."""
        for _ in range(int(within_s / every_s) + 1):
            if done(await self.sample(phase)):
                return
            await asyncio.sleep(every_s)

    async def still(self, phase: str, *, count: int, every_s: float) -> None:
        """Samples of a system that has nothing to do."""
        for _ in range(count):
            await self.sample(phase)
            await asyncio.sleep(every_s)


async def peak(system: Installation, runs: int) -> float:
    """Steps a second with as much as it takes, the median of some bursts."""
    found = []
    for number in range(runs):
        burst = await shapes.burst(system, f"peak{number}", 500, STEPS, 32)
        found.append(burst.steps_per_s)
    return statistics.median(found)


async def measure(words: argparse.Namespace, folder: Path, facts: dict[str, object]) -> Soak:
    """All phases on one installation."""
    settings: dict[str, Any] = {"RETENTION_DAYS": str(words.retention / 86_400), "RETIRE_EVERY_MS": "5000"}
    async with (
        Installation(folder, fsync=words.fsync, **settings) as system,
        connect(f"redis://127.0.0.1:{system.redis_port}/0") as redis,
    ):
        facts["server"] = (await redis.info("server")).get("valkey_version", "")
        await asyncio.sleep(2)
        fresh = (await keys(redis)).staying
        best = 0.0 if words.rate else await peak(system, words.runs)
        rate = words.rate or best / 2
        facts |= {"peak, steps a second": round(best) or "not measured", "load, steps a second": round(rate)}
        print(facts, flush=True)
        soak = Soak(system, redis, folder / "steps")
        try:
            await _phases(soak, words, rate / STEPS, fresh)
        finally:
            _write(words.out, facts, soak)
    return soak


async def _phases(soak: Soak, words: argparse.Namespace, per_s: float, fresh: int) -> None:
    settled = words.retention + 120.0
    await soak.until("settle", lambda s: s.keys.staying <= fresh + FIXED, within_s=settled, every_s=5)
    await soak.still("base", count=6, every_s=words.still / 6)
    base = soak.samples[-1].keys
    await soak.load("probe", seconds=words.still, per_s=5, every_s=words.still - 1)
    await soak.load("load", seconds=words.seconds, per_s=per_s, every_s=words.every)
    await soak.until(
        "quiet",
        lambda s: s.keys.staying <= base.staying + 8 and s.keys.ending <= base.ending + 8,
        within_s=words.quiet,
        every_s=words.every,
    )
    await soak.still("after", count=6, every_s=words.still / 6)
    await soak.load("probe after", seconds=words.still, per_s=5, every_s=words.still - 1)


def _write(folder: Path, facts: dict[str, object], soak: Soak) -> None:
    lost = f"told to come again {soak.busy}, refused {soak.refused}, held back {soak.held_back}, not finished {soak.unfinished}"
    facts |= {
        "executions": f"{soak.sent} of {STEPS} steps; {lost}",
        "steps that ran twice": soak.follower.again,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_bytes(msgspec.json.encode({"facts": facts, "samples": soak.samples}))
    try:
        text = markdown(facts, verdicts(soak.samples), speeds(soak.samples))
    except ValueError as error:  # that it was ended is known to whoever did so; here it must not hide why
        text = f"no report: {error}\n"
    (folder / "soak.md").write_text(text, encoding="utf8")


def sound(soak: Soak) -> bool:
    """Nothing grew, stayed, got lost, was refused or ran twice."""
    level = all(v.level and v.back for v in verdicts(soak.samples)) and all(s.level and s.back for s in speeds(soak.samples))
    return level and not (soak.busy or soak.refused or soak.held_back or soak.unfinished or soak.follower.again)


async def main(argv: list[str]) -> int:
    """0 for a sound system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS") or 3_600), help="of load")
    parser.add_argument("--rate", type=float, default=0, help="steps a second; half of the measured peak without it")
    parser.add_argument("--runs", type=int, default=3, help="bursts that the peak is measured with")
    parser.add_argument("--every", type=float, default=10, help="seconds between samples under load")
    parser.add_argument("--still", type=float, default=30, help="seconds of samples without load, and of single executions")
    parser.add_argument("--quiet", type=float, default=800, help="seconds after the load in which everything may end")
    parser.add_argument("--retention", type=float, default=120, help="seconds that an execution is kept after its end")
    parser.add_argument("--fsync", choices=["always", "everysec"], default="always")
    parser.add_argument("--out", type=Path, default=Path(".intention/soak"), help="folder of soak.json and soak.md")
    words = parser.parse_args(argv)
    if words.seconds < (LEAST + 1) * words.every:
        parser.error(f"a report needs {LEAST} samples under load: more --seconds, or samples more often (--every)")
    facts: dict[str, object] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "settings": f"appendfsync {words.fsync}, kept {words.retention:g} s after the end, load for {words.seconds:g} s",
    }
    end_when_told()
    with TemporaryDirectory() as folder:
        soak = await measure(words, Path(folder), facts)
    print((words.out / "soak.md").read_text(encoding="utf8"))
    return 0 if sound(soak) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
