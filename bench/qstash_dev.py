"""How fast and how small qstash_dev is: `make bench-qstash`, or `python -m bench.qstash_dev --runs 5`.

Valkey, the server and a destination are processes of their own; this one publishes. Each run prints JSON lines, the end a table
of medians. `--compare <folder>` takes the server of another working copy turn by turn, so that both meet the same neighbours.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from redis.asyncio import Redis

from bench.processes import ROOT, Started, open_destination, start_server, start_valkey
from shared.settings import DEV_TOKEN

AUTHORIZED = {"Authorization": f"Bearer {DEV_TOKEN}", "Content-Type": "application/json"}
BODY = json.dumps({"executionId": "exe_" + "x" * 30, "segment": 7, "note": "n" * 150}).encode()
SENDERS = 64
WAITING = 10_000


async def publish_many(session: aiohttp.ClientSession, server: str, to: str, count: int) -> float:
    """Messages a second that were published, by several senders at once."""
    left = iter(range(count))

    async def send() -> None:
        for _ in left:
            async with session.post(f"{server}/v2/publish/{to}", data=BODY, headers=AUTHORIZED) as response:
                assert response.status == 200, await response.text()

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(SENDERS)))
    return count / (time.perf_counter() - started)


async def delivered(session: aiohttp.ClientSession, to: str, count: int) -> dict[str, Any]:
    """The destination's account, once it has got so many."""
    deadline = time.monotonic() + 120
    while True:
        async with session.get(f"{to}/account") as response:
            account: dict[str, Any] = await response.json()
        if account["count"] >= count:
            return account
        assert time.monotonic() < deadline, f"{account['count']} of {count} were delivered"
        await asyncio.sleep(0.02)


async def throughput(session: aiohttp.ClientSession, server: str, to: str, count: int) -> dict[str, float]:
    """Publish as fast as it goes, and wait for the last delivery."""
    await session.delete(f"{to}/account")
    started = time.time()
    published = await publish_many(session, server, f"{to}/in", count)
    account = await delivered(session, to, count)
    return {"published_per_s": published, "delivered_per_s": count / (account["last"] - started)}


async def lag(session: aiohttp.ClientSession, server: str, to: str, rate: float, seconds: float) -> dict[str, float]:
    """Milliseconds from just before a publish to its arrival, at a steady rate."""
    await session.delete(f"{to}/account")
    count = max(20, int(rate * seconds))
    started = time.perf_counter()

    async def send(n: int) -> None:
        await asyncio.sleep(max(0.0, started + n / rate - time.perf_counter()))
        headers = {**AUTHORIZED, "Upstash-Forward-Sent": repr(time.time())}
        async with session.post(f"{server}/v2/publish/{to}/in", data=BODY, headers=headers) as response:
            assert response.status == 200, await response.text()

    await asyncio.gather(*(send(n) for n in range(count)))
    lags = sorted((await delivered(session, to, count))["lags"])
    return {"rate_per_s": rate, "lag_p50_ms": lags[len(lags) // 2] * 1_000, "lag_p99_ms": lags[int(len(lags) * 0.99)] * 1_000}


async def memory(session: aiohttp.ClientSession, server: Started, redis_url: str) -> dict[str, float]:
    """What waiting messages cost: the server's memory, and Redis's for each."""
    async with Redis.from_url(redis_url) as redis:
        before_bytes, before_kib = (await redis.info("memory"))["used_memory"], server.rss_kib()
        item = {"destination": "http://127.0.0.1:9/in", "body": BODY.decode(), "headers": {"Upstash-Delay": "1h"}}
        for _ in range(WAITING // 500):
            async with session.post(f"{server.url}/v2/batch", json=[item] * 500, headers=AUTHORIZED) as response:
                assert response.status == 200, await response.text()
        used = (await redis.info("memory"))["used_memory"] - before_bytes
    return {"waiting": WAITING, "rss_mib": server.rss_kib() / 1_024, "rss_growth_kib": server.rss_kib() - before_kib,
            "redis_bytes_per_message": used / WAITING}  # fmt: skip


@contextlib.asynccontextmanager
async def stage(code: Path, fsync: str, core: int | None) -> AsyncIterator[tuple[Started, str]]:
    """A Valkey and a server of this working copy, new and empty; the server, and the Redis URL."""
    with (
        TemporaryDirectory() as folder,
        start_valkey(Path(folder), fsync) as valkey,
        start_server(code, valkey.url, core) as server,
    ):
        await server.ready()
        yield server, valkey.url


async def measure(code: Path, fsync: str, count: int, core: int | None, *, whole: bool) -> dict[str, float]:
    """One run."""
    limits = aiohttp.TCPConnector(limit=0)
    async with stage(code, fsync, core) as (server, _), aiohttp.ClientSession(connector=limits) as session:
        with open_destination() as there:
            await there.ready()
            await throughput(session, server.url, there.url, 200)  # warm
            found = await throughput(session, server.url, there.url, count)
            if whole:
                found |= await lag(session, server.url, there.url, found["delivered_per_s"] / 2, 2.0)
    if whole:  # on new processes: what the load left behind is another question
        async with stage(code, fsync, core) as (server, redis_url), aiohttp.ClientSession() as session:
            found |= await memory(session, server, redis_url)
    return found


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Medians, one column a variant."""
    names = list(next(iter(rows.values()))[0])
    lines = ["".join([f"{'median':<26}", *(f"{variant:>22}" for variant in rows)])]
    for name in names:
        medians = (statistics.median(run[name] for run in runs) for runs in rows.values())
        lines.append("".join([f"{name:<26}", *(f"{value:>22,.2f}" for value in medians)]))
    return "\n".join(lines)


async def main(argv: list[str]) -> None:
    """Run by run, all variants in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=3_000)
    parser.add_argument("--fsync", nargs="+", default=["always", "everysec"])
    parser.add_argument("--core", type=int, help="run the server on this core alone (Linux)")
    parser.add_argument("--compare", type=Path, help="another working copy; only the throughput is measured")
    words = parser.parse_args(argv)
    copies = {"this": ROOT, **({"other": words.compare} if words.compare else {})}
    rows: dict[str, list[dict[str, float]]] = {f"{name} {fsync}": [] for fsync in words.fsync for name in copies}
    for run in range(words.runs):
        for variant, found in rows.items():
            name, fsync = variant.split()
            found.append(await measure(copies[name], fsync, words.messages, words.core, whole=not words.compare))
            print(
                json.dumps({"run": run, "variant": variant, **{key: round(value, 2) for key, value in found[-1].items()}}),
                flush=True,
            )
    print(table(rows))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
