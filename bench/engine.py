"""The engine in the shapes that its peers are measured in: `make bench`, or `python -m bench.engine`.

Real ingress, step executor, resume service, qstash_dev and Valkey, each a process of its own; one JSON line a durability.
A step is n -> n + 1 (`bench.steps`), and all speeds are read off the step log. Runs in which the rest of the machine took more
than `--noise` percent of a core are repeated, up to twice `--runs`; the quietest are kept.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

from bench import shapes
from bench.installation import Installation
from bench.processes import end_when_told
from bench.syncs import countable
from bench.usage import floor, milliseconds

RECOVERY: Final = (
    "a restarted executor goes on with what it held at once; else QStash's retry (1 s), or the lease (11 s) and the sweep (1 s)"
)

R = TypeVar("R", shapes.Long, shapes.Burst)


async def quiet(words: argparse.Namespace, tag: str, shape: Callable[[str], Awaitable[R]]) -> list[R]:
    """The runs to count."""
    done: list[R] = []
    while len(done) < 2 * words.runs and sum(run.others_percent < words.noise for run in done) < words.runs:
        done.append(await shape(f"{tag}{len(done)}"))
    return sorted(done, key=lambda run: run.others_percent)[: words.runs]


async def measure(folder: Path, words: argparse.Namespace, fsync: str) -> dict[str, Any]:
    """Every shape, one after the other, on one installation."""
    found: dict[str, Any] = {
        "peer": f"intention-engine-{fsync}" + (f"-{words.executors}-executors" if words.executors > 1 else ""),
        "durability": f"Valkey appendonly, appendfsync {fsync}",
        "recovery_settings": RECOVERY,
        "floor": floor(folder),
    }
    size = (words.executions, words.steps, words.at_once)
    more = {"EXECUTOR_PROCESSES": str(words.executors)} if words.executors > 1 else {}  # another working copy may not know it
    async with Installation(folder, fsync=fsync, code=words.code, **more) as system:
        await shapes.burst(system, "warm", *size)
        await asyncio.sleep(3)
        found["idle"] = await shapes.idle(system, words.idle)
        long = await quiet(words, "long", lambda tag: shapes.long(system, tag, words.long))
        found["sequential"] = {
            "steps": words.long,
            "gap": milliseconds([gap for run in long for gap in run.gaps_s]),
            "submit_to_first_step_ms": round(statistics.median(run.first_s for run in long) * 1e3, 2),
            "cpu_s_per_1000": round(statistics.median(run.cpu_s for run in long) * 1_000 / words.long, 2),
            "others_percent": round(statistics.median(run.others_percent for run in long)),
            "wrong": sum(run.wrong for run in long),
        }
        found["submit"] = await shapes.starts(system, words.submits)
        found["ingress"] = await shapes.requests(system, 5 * words.submits, words.at_once)
        bursts = await quiet(words, "burst", lambda tag: shapes.burst(system, tag, *size))
        found["throughput"] = shapes.summary(bursts, *size)
        found["per_step"] = bursts[0].per_step
        if countable():
            found["fsyncs_per_step_sequential"] = await shapes.syncs(system, "count", 1, words.long, 1)
            found["fsyncs_per_step_burst"] = await shapes.syncs(
                system, "countmany", words.executions // 4, words.steps, words.at_once
            )
        found["crash"] = [await shapes.kill(system, f"kill{number}") for number in range(words.kills)]
    return {**found, "floor_after": floor(folder)}


async def main(argv: list[str]) -> None:
    """One line a durability."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fsync", nargs="+", default=["always", "everysec"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--long", type=int, default=100, help="steps of the one long execution")
    parser.add_argument("--executions", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=32, help="starts in flight")
    parser.add_argument("--submits", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--idle", type=float, default=10, help="seconds of doing nothing")
    parser.add_argument("--noise", type=float, default=25, help="percent of a core that the rest of the machine may take")
    parser.add_argument("--executors", type=int, default=1, help="processes that share the executor's address")
    parser.add_argument("--code", type=Path, default=Path(__file__).parents[1], help="another working copy, to compare with")
    words = parser.parse_args(argv)
    end_when_told()
    for fsync in words.fsync:
        with TemporaryDirectory() as folder:
            print(json.dumps(await measure(Path(folder), words, fsync)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
