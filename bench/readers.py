"""What readers of events cost the engine: `make bench-readers`, or `python -m bench.readers`.

Real interpreter, real Valkey, a real ingress and real connections, each in a process of its own; tools that answer at once.
Each round runs the same load once with each number of readers: each follows one of the executions, and three follow everything,
as open consoles do. Told are steps a second, and microseconds of processor that a step costs the engine and Valkey, each with
its ratio to no readers (medians of the rounds); and what the last round's readers got: all of them must be told the end. Then
microseconds of the server in a script while somebody follows and while nobody does.

Where there are fewer free cores than processes, steps a second show what the processes take from each other. The processor's
time does not: an engine on a machine of its own loses what that column says.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from redis.asyncio import Redis

from bench.processes import ROOT, free_port, running, start_valkey
from bench.simulated import CONTRACTS, LIMITS, Instant, Taken, chain, there
from shared.clock import SystemClock, new_execution_id
from shared.interpret import Interpreter
from shared.invocation import Delivery
from shared.logs import configure
from shared.machine import plan as plans
from shared.machine.accept import Limits as PlanLimits
from shared.machine.accept import accept
from shared.machine.plan import Blueprint, PlanDraft
from shared.machine.state import Header
from shared.machine.status import Status
from shared.ports import Birth
from shared.redisdb.connect import connect
from shared.redisdb.news import News
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Sender

STEPS = 8
AT_ONCE = 32
CONSOLES = 3
TENANT, KEY = "bench", "bench-key-0123456789"


class Load:
    """The same sagas again and again, by a real interpreter on the real store."""

    def __init__(self, redis: Redis, sagas: int) -> None:
        self.store = RedisStore(redis, retention_ms=86_400_000)
        self._acks = Acks(self.store)
        sender = Sender(Taken(), self._acks)
        self._interpreter = Interpreter(store=self.store, sender=sender, tools=Instant(), clock=SystemClock(), limits=LIMITS)
        draft = msgspec.convert(chain(STEPS), PlanDraft)
        most = PlanLimits(steps=1_000, argument_bytes=65_536, step_ms=8_000)
        self._plan = plans.encode(accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=most))
        self._sagas = sagas

    async def create(self) -> list[str]:
        """They wait for their first segment."""
        blueprint, made = Blueprint(self._plan), []
        for _ in range(self._sagas):
            header = Header(
                id=new_execution_id(), tenant=TENANT, plan=blueprint.hash, status=Status.PLANNED, trace=secrets.token_hex(16)
            )
            await self.store.create(
                Birth(header=header, plan=self._plan, cells=blueprint.plan.first_cells(), fields={}, request_hash="")
            )
            made.append(header.id)
        return made

    async def run(self, executions: list[str]) -> float:
        """All to their ends; seconds."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(execution: str) -> None:
            async with gate:
                answer = await self._interpreter.run(Delivery(execution=execution), started_ms=SystemClock().monotonic_ms())
                assert answer.result == Status.COMPLETED, answer

        began = time.perf_counter()
        await asyncio.gather(*map(one, executions))
        took = time.perf_counter() - began
        await self._acks.close()
        return took


# --- the readers, in a process of their own


async def follow(host: str, port: int, path: str, counts: Counter[str]) -> None:
    """One connection, to its end."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
    try:
        while data := await reader.read(65_536):
            if b"retry: " in data:
                counts["connected"] += 1
            counts["events"] += data.count(b"\nid: ") + data.startswith(b"id: ")
            counts["ended"] += data.count(b"event: end")
            counts["dropped"] += data.count(b"event: dropped")
            if data.endswith(b"0\r\n\r\n"):
                return
    finally:
        writer.close()


async def read(url: str, paths: list[str]) -> None:
    """All of them; says when they are connected and, at the end of the input, what came."""
    host, port = url.removeprefix("http://").split(":")
    counts: Counter[str] = Counter()
    followers = []
    for start in range(0, len(paths), 100):
        followers += [asyncio.create_task(follow(host, int(port), path, counts)) for path in paths[start : start + 100]]
        while counts["connected"] < len(followers):  # noqa: ASYNC110 - it counts what many tasks do
            await asyncio.sleep(0.01)
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ends = time.monotonic() + 60
    while counts["ended"] < len(paths) - CONSOLES and time.monotonic() < ends:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    print(json.dumps(counts), flush=True)
    for one in followers:
        one.cancel()
    await asyncio.gather(*followers, return_exceptions=True)


class Readers:
    """The process with so many readers of these executions; none for 0."""

    def __init__(self, url: str, executions: list[str], count: int) -> None:
        paths = [f"/api/executions/{executions[n % len(executions)]}/events" for n in range(count)]
        self._words = json.dumps({"url": url, "paths": paths + ["/api/events"] * CONSOLES})
        self._count = count

    async def __aenter__(self) -> "Readers":
        if self._count:
            words = [sys.executable, "-m", "bench.readers", "--read"]
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, cwd=ROOT)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(self._words.encode() + b"\n")
            assert await self._process.stdout.readline() == b"connected\n"
        return self

    async def told(self) -> dict[str, int]:
        """What they were told, once each of those that follow one execution was told its end."""
        if not self._count:
            return {}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        found: dict[str, int] = json.loads(await self._process.stdout.readline())
        return found

    async def __aexit__(self, *_: object) -> None:
        if self._count:
            await self._process.wait()


# --- the rounds


async def rounds(redis: Redis, url: str, sizes: list[int], count: int, sagas: int) -> None:
    """Prints a row for each number of readers."""
    load = Load(redis, sagas)
    await load.run(await load.create())  # nothing is cold
    rows: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    told: dict[int, dict[str, int]] = {}
    for number in range(count):
        for size in sizes if number % 2 else sizes[::-1]:
            executions = await load.create()
            async with Readers(url, executions, size) as readers:
                rows[size].append(await measured(redis, load, executions))
                told[size] = await readers.told()
    for size in sizes:
        parts = [f"readers {size:,}"]
        for name in rows[size][0]:
            ratio = statistics.median(one[name] / none[name] for one, none in zip(rows[size], rows[0], strict=True))
            parts.append(f"{name} {statistics.median(one[name] for one in rows[size]):,.0f} (ratio {ratio:.3f})")
        parts += [f"{name} {value:,}" for name, value in sorted(told[size].items())]
        print("  ".join(parts), flush=True)


async def measured(redis: Redis, load: Load, executions: list[str]) -> dict[str, float]:
    """One run of the load."""
    valkey, engine = await _cpu(redis), time.process_time()
    took, steps = await load.run(executions), len(executions) * STEPS
    engine, valkey = time.process_time() - engine, await _cpu(redis) - valkey
    return {"steps/s": steps / took, "engine us/step": engine * 1e6 / steps, "Valkey us/step": valkey * 1e6 / steps}


async def _cpu(redis: Redis) -> float:
    found: dict[str, float] = await redis.info("cpu")
    return found["used_cpu_user"] + found["used_cpu_sys"]


async def scripts(redis: Redis, count: int, sagas: int) -> None:
    """Prints microseconds of the server in a script, with the news and without."""
    load, news = Load(redis, sagas), News(redis)
    costs: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(count):
        for followed in (False, True):
            names: list[Any] = [name async for name in redis.scan_iter("ie:*:news", count=1_000)]
            if names:
                await redis.delete(*names)
            executions = await load.create()
            if followed:
                await news.open()
            await redis.config_resetstat()
            await load.run(executions)
            costs[followed].append(float((await redis.info("commandstats"))["cmdstat_evalsha"]["usec_per_call"]))
    without, with_news = (statistics.median(costs[followed]) for followed in (False, True))
    ratio = statistics.median(one / none for one, none in zip(costs[True], costs[False], strict=True))
    print(f"server us a script: {without:.2f} unfollowed, {with_news:.2f} followed, ratio {ratio:.3f}", flush=True)


async def main(sizes: list[int], count: int, sagas: int) -> None:
    """Everything, on a fresh Valkey."""
    with TemporaryDirectory() as folder, start_valkey(Path(folder), "everysec") as valkey:
        port = free_port()
        environment = {
            "INTENTION_MODE": "local", "REDIS_URL": valkey.url, "INGRESS_PORT": str(port), "LOG_LEVEL": "error",
            "API_KEYS": f"{TENANT}:{KEY}", "SWEEP_MS": "3600000", "STREAMS_PER_TENANT": "100000",
        }  # fmt: skip
        words = [sys.executable, "-m", "services.ingress.main"]
        async with connect(valkey.url) as redis:
            for _ in range(250):
                if await there(redis):
                    break
                await asyncio.sleep(0.02)
            with running(words, f"http://127.0.0.1:{port}", folder=ROOT, **environment) as ingress:
                await ingress.ready()
                await rounds(redis, ingress.url, sizes, count, sagas)
            await scripts(redis, count, sagas)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 200, 2_000], help="numbers of readers; 0 is the measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sagas", type=int, default=400)
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    said = parser.parse_args()
    configure(service="bench", format="json", level="error")
    if said.read:
        asked = json.loads(sys.stdin.readline())
        asyncio.run(read(asked["url"], asked["paths"]))
    else:
        asyncio.run(main(sorted({0, *said.sizes}), said.rounds, said.sagas))
