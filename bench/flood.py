"""More starts at once than ingress may work on, while Redis stands still: `python -m bench.flood`.

For each bound (`--at-work`, the setting INGRESS_AT_WORK) the services begin anew. Redis is told to pause, and `--starts`
connections are opened, each with one start; a few seconds later Redis goes on. Then the same with a Redis that works.
Printed are the answers, how many came while Redis stood still, and what ingress needs of memory before, meanwhile and after.
"""

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from redis.asyncio import Redis

from bench.installation import Busy, Installation
from bench.processes import end_when_told
from bench.usage import memory_mib
from shared.redisdb.connect import connect

STILL_MS = 4_000
"""Below the time after which an unanswered command has lost its connection."""


async def one(system: Installation, run: str, told: "Counter[str]") -> None:
    """A start, and what came of it."""
    try:
        await system.submit(run, 1)
        told["taken"] += 1
    except Busy:
        told["busy"] += 1
    except (AssertionError, aiohttp.ClientError, TimeoutError):
        told["other"] += 1


async def flood(system: Installation, redis: Redis, tag: str, starts: int, still_ms: int) -> dict[str, object]:
    """All at once."""
    told = Counter[str]()
    if still_ms:
        await redis.client_pause(still_ms, all=True)
    sent = [asyncio.create_task(one(system, f"{tag}-{number}", told)) for number in range(starts)]
    await asyncio.sleep(still_ms * 0.75 / 1000)
    early, memory = dict(told), memory_of(system)
    await asyncio.gather(*sent)
    return {"told meanwhile": early, "told": dict(told), "MiB meanwhile": memory, "MiB after": memory_of(system)}


def memory_of(system: Installation) -> float:
    """Of ingress, in MiB."""
    return round(memory_mib(system.pids("ingress")), 1)


async def main(argv: list[str]) -> int:
    """Prints a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-work", type=int, nargs="+", default=[256, 1_000_000])
    parser.add_argument("--starts", type=int, default=4_000)
    words = parser.parse_args(argv)
    end_when_told()
    for most in words.at_work:
        with TemporaryDirectory() as folder:
            async with (
                Installation(Path(folder), fsync="everysec", INGRESS_AT_WORK=str(most)) as system,
                connect(f"redis://127.0.0.1:{system.redis_port}/0") as redis,
            ):
                await flood(system, redis, "warm", 50, 0)
                print(f"at most {most} at work; MiB before: {memory_of(system)}", flush=True)
                for name, still_ms in (("redis stands still", STILL_MS), ("redis works", 0)):
                    print(f"  {name}: {await flood(system, redis, name.replace(' ', '_'), words.starts, still_ms)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
