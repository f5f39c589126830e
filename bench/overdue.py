"""100,000 executions overdue at once, and what the watchdog makes of it: `make bench-overdue`, or `python -m bench.overdue`.

Real watchdog, real Valkey (its own process), an executor (simulated) that takes every direct call. For each sweep: how many
were re-sent, and how many of them are the small tenant's; commands that Valkey carried out; executions held in memory;
milliseconds. Flat columns are the point; the times are of this machine. The executions are written straight into Valkey
(tests/support/overdue.py).
"""

import argparse
import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from redis.exceptions import RedisError

from bench.processes import start_valkey
from shared.executor_client import ExecutorClient
from shared.http_client import HttpClient
from shared.logs import configure
from shared.ports import Entry, Receipt
from shared.redisdb.connect import connect
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Relay
from shared.settings_load import load
from shared.watchdog import Watchdog
from tests.support.overdue import fill

NOW = 1_800_000_000_000
SMALL = 5


class Answering(ExecutorClient):
    """An executor (simulated) that takes every call at once."""

    def __init__(self, client: HttpClient) -> None:
        """`client` is not used."""
        super().__init__(client, load({"INTENTION_MODE": "local"}))
        self.called: list[str] = []

    async def _call(self, execution: str, segment: int, reason: str) -> bool:  # noqa: ARG002 - the base's
        self.called.append(execution)
        return True


class Untouched:
    """A Queue that nothing may need: direct calls do it all."""

    async def publish(self, entry: Entry) -> Receipt:
        """See the port."""
        raise AssertionError(f"{entry.id} became a message")


class Row(msgspec.Struct, frozen=True):
    """One sweep."""

    resent: int
    small: int
    commands: int
    held: int
    ms: float


async def curve(redis: Any, *, overdue: int, rate: int, sweeps: int) -> list[Row]:
    """Fill an empty store, and sweep it: a second of the store's clock passes from one sweep to the next."""
    store = RedisStore(redis, retention_ms=86_400_000, now_ms=NOW)
    await fill(redis, {"whale": overdue}, due_ms=NOW - 600_000 - overdue)
    small = set(await fill(redis, {"small": SMALL}, due_ms=NOW - 1_000))
    acks = Acks(store)
    async with HttpClient() as client:
        executor = Answering(client)
        watchdog = Watchdog(store, Relay(store, Untouched(), acks), acks, executor, rate=rate)
        rows = [await _sweep(redis, store, watchdog, executor, small) for _ in range(sweeps)]
        await acks.close()
    return rows


async def _sweep(redis: Any, store: RedisStore, watchdog: Watchdog, executor: Answering, small: set[str]) -> Row:
    before = (await redis.info("stats"))["total_commands_processed"]
    executor.called.clear()
    began = time.perf_counter()
    await watchdog.sweep()
    took = (time.perf_counter() - began) * 1000
    after = (await redis.info("stats"))["total_commands_processed"]
    store.now_ms = (store.now_ms or NOW) + 1_000
    held = len(watchdog.backlog) + len(watchdog.window.waiting)
    return Row(len(executor.called), len(small & set(executor.called)), after - before, held, took)


async def _answers(redis: Any) -> bool:
    try:
        return bool(await redis.ping())
    except RedisError:
        return False


async def _run(overdue: int, rate: int, sweeps: int) -> None:
    with TemporaryDirectory() as folder, start_valkey(Path(folder), "no") as valkey:
        redis = connect(valkey.url)
        for _ in range(250):
            if await _answers(redis):
                break
            await asyncio.sleep(0.02)
        try:
            rows = await curve(redis, overdue=overdue, rate=rate, sweeps=sweeps)
        finally:
            await redis.aclose()
    print(f"{overdue} overdue of one tenant, and {SMALL} younger ones of another; {rate} a sweep")
    print("| sweep | re-sent | of the small tenant | commands | held in memory | ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number, row in enumerate(rows, 1):
        print(f"| {number} | {row.resent} | {row.small} | {row.commands} | {row.held} | {row.ms:.0f} |")


def main() -> None:
    """Print the curve as a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.overdue", description=__doc__)
    parser.add_argument("--overdue", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--sweeps", type=int, default=20)
    options = parser.parse_args()
    configure(service="bench", format="console", level="error")
    asyncio.run(_run(options.overdue, options.rate, options.sweeps))


if __name__ == "__main__":
    main()
