"""What a process asks of Redis while nothing happens: the real watchdog with all its rounds, on a store that may be full."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import msgspec
from redis.asyncio import Redis

from bench.scale.footprint import NOW, Watched
from shared.callers import tenants
from shared.intake import open_intake
from shared.invariant import Invariant
from shared.redisdb import keys
from shared.redisdb.samples import Samples
from shared.runtime import open_engine
from shared.settings import Settings
from shared.settings_load import load

FAR_MS = 10 * 365 * 86_400_000
CHUNK = 5_000


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """Of one round, on average."""

    commands: float
    """From outside; those inside the scripts follow from them."""
    inner: float
    kinds: dict[str, float]
    """Touches, by kind of key."""


async def fill(redis: Redis, count: int, tenant: str) -> None:
    """So many executions that are stored and want nothing: half of them wait, half are over and not yet to be purged."""
    for start in range(0, count, CHUNK):
        pipe = redis.pipeline(transaction=False)
        for number in range(start, min(start + CHUNK, count)):
            pp = f"{number % keys.PARTITIONS:02x}"
            execution = f"exe_{pp}_{number:032x}"
            waits = number // keys.PARTITIONS % 2 == 0
            fields: dict[str | bytes, str | int] = {
                "id": execution,
                "tenant": tenant,
                "status": "SUSPENDED" if waits else "COMPLETED",
            }
            pipe.hset(keys.record(execution), mapping=fields)  # type: ignore[arg-type] # redis-py's dict is invariant
            pipe.zadd(keys.listing(pp, tenant), {f"{number:032x}": 0})
            pipe.zadd(keys.due(pp) if waits else keys.retire(pp), {execution: NOW + FAR_MS})
        await pipe.execute()


async def resume_round(url: str, redis: Redis, *, api_keys: str = "", rounds: int = 8) -> Idle:
    """A sweep of the resume service, as its main wires it. Nobody else may use that server. `api_keys` name the tenants."""
    configured = _settings(url, api_keys)
    async with AsyncExitStack() as stack:
        engine = await open_engine(configured, stack, "resume")
        await open_intake(engine, stack)
        engine.watchdog.take_along(Invariant(Samples(engine.redis), tenants(configured)))
        await engine.watchdog.sweep()  # the first loads what all others find
        return await _seen(redis, engine.watchdog.sweep, rounds)


async def executor_look(url: str, redis: Redis, *, rounds: int = 8) -> Idle:
    """An executor's look at one partition: once a second at most. Each round is of a process that has just begun."""
    found = []
    for _ in range(rounds + 1):
        async with AsyncExitStack() as stack:
            engine = await open_engine(_settings(url, ""), stack, "step_executor")
            engine.watchdog.lag.add(20)
            found.append(await _seen(redis, engine.watchdog.lazily, 1))
    return _mean(found[1:])  # the first loads the scripts


async def _seen(redis: Redis, work: Callable[[], Awaitable[object]], rounds: int) -> Idle:
    async with Watched(redis) as seen:
        for _ in range(rounds):
            await work()
        await seen.until_now()
    return Idle(
        commands=sum(seen.asked.values()) / rounds,
        inner=sum(seen.touches.values()) / rounds,
        kinds={kind: count / rounds for kind, count in seen.kinds.items()},
    )


def _mean(some: Sequence[Idle]) -> Idle:
    kinds: Counter[str] = Counter()
    for one in some:
        kinds.update(one.kinds)
    return Idle(
        commands=sum(one.commands for one in some) / len(some),
        inner=sum(one.inner for one in some) / len(some),
        kinds={kind: touches / len(some) for kind, touches in kinds.items()},
    )


def _settings(url: str, api_keys: str) -> Settings:
    nowhere = dict.fromkeys(("QSTASH_URL", "ABLY_URL", "TOWN_URL", "EXECUTOR_URL"), "http://127.0.0.1:9")
    many = dict.fromkeys(("QUOTA_DAY", "QUOTA_MONTH", "QUOTA_CONCURRENT"), str(10**9))
    return load({"INTENTION_MODE": "local", "REDIS_URL": url, "API_KEYS": api_keys, **nowhere, **many})
