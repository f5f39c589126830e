"""A step executor that others were before goes on with what they held; how, and how much at most."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from shared.invocation import Delivery
from shared.left_behind import LOOKED_AT, MOST, take_up
from shared.ports import Lease
from shared.redisdb import keys
from shared.redisdb.connect import connect
from shared.redisdb.store import RedisStore
from tests.services.engine.support import LIMITS, Stage, chain, staged
from tests.support.executions import NOW, RETENTION_MS
from tests.support.valkey import free_port

BEFORE, MINE = "ab12.7.", "ab12.8."


async def held(stage: Stage, steps: int) -> str:
    """An execution whose holder is dead; its message is with QStash, which says nothing here."""
    execution = await stage.create(chain(steps))
    owner = BEFORE + "a" * 32
    lease = await stage.store.acquire(execution, owner=owner, lease_ms=LIMITS.lease_ms, segment=-1, cause="created")
    assert isinstance(lease, Lease)
    return execution


async def taken_up(stage: Stage, mine: str = MINE) -> list[Delivery]:
    """What is begun by who has this place and number."""
    found: list[Delivery] = []
    await take_up(stage.store, mine, lease_ms=LIMITS.lease_ms, start=found.append)
    return found


async def test_what_a_dead_predecessor_held_is_run_to_its_end(redis: Redis) -> None:
    """Without a message or a sweep, while its lease runs; each step once, and the history says why it went on."""
    stage = staged(redis)
    execution = await held(stage, 3)
    stage.interpreter.owners = MINE

    for delivery in await taken_up(stage):
        await stage.interpreter.run(delivery, started_ms=stage.hand.monotonic_ms())

    assert stage.store.now_ms == NOW, "no lease has run out"
    assert (await stage.header(execution))["status"] == "COMPLETED"
    assert stage.tools.names == ["s0", "s1", "s2"]
    lines = [line for line in await stage.reader.history(execution, "acme") if line["event"] == "segment.started"]
    assert [line["detail"]["cause"] for line in lines] == ["created", "left behind"]


async def test_a_dead_holders_intent_is_settled_as_in_every_takeover(redis: Redis) -> None:
    """An unsafe call that may have happened is a person's, however soon the successor is there."""
    stage = staged(redis)
    execution = await stage.create(chain(2, tool="risk"))

    async def dies(*_: Any) -> Any:
        raise Killed

    stage.tools.acts["s0"] = dies
    stage.interpreter.owners = BEFORE
    try:
        await stage.run(execution)
    except* Killed:
        pass
    stage.interpreter.owners = MINE
    for delivery in await taken_up(stage):
        await stage.interpreter.run(delivery, started_ms=stage.hand.monotonic_ms())

    assert (await stage.header(execution))["reason"] == "unknown effect"
    assert stage.tools.names == ["s0"]


class Killed(BaseException):
    """Nothing that the engine catches."""


async def test_the_first_in_a_place_and_who_knows_none_ask_nothing(redis: Redis) -> None:
    """A start that is no restart costs Redis no command."""
    stage = staged(redis)
    await held(stage, 1)
    await redis.config_resetstat()
    assert await taken_up(stage, "ab12.1.") == await taken_up(stage, "") == []
    assert not {"cmdstat_zrange", "cmdstat_exists", "cmdstat_hmget"} & set(await redis.info("commandstats"))


async def test_a_redis_that_is_away_leaves_it_to_others() -> None:
    """The start goes on."""
    away = connect(f"redis://127.0.0.1:{free_port()}/0")
    begun: list[Delivery] = []
    store = RedisStore(away, retention_ms=RETENTION_MS)
    await take_up(store, MINE, lease_ms=LIMITS.lease_ms, start=begun.append)
    await away.aclose()
    assert begun == []


async def test_among_100_000_that_are_due_a_bounded_number_is_looked_at_and_taken_up(redis: Redis) -> None:
    """In three round trips of single reads. The others' leases run out, and the sweep has its own pace."""
    stage = staged(redis)
    await crowd(redis, 100_000)
    await redis.config_resetstat()
    begun = await taken_up(stage)

    stats = await redis.info("commandstats")
    assert len(begun) == len({one.execution for one in begun}) == MOST
    assert stats["cmdstat_zrange"]["calls"] == keys.PARTITIONS
    assert stats["cmdstat_hmget"]["calls"] == LOOKED_AT * keys.PARTITIONS
    assert not [name for name in stats if name.startswith("cmdstat_eval")]


async def crowd(redis: Redis, count: int, chunk: int = 5_000) -> None:
    """So many executions that are all held by a predecessor: of each what the look reads, and no more."""
    parts: Sequence[str] = keys.all_partitions()
    for first in range(0, count, chunk):
        pipe = redis.pipeline(transaction=False)
        for number in range(first, min(first + chunk, count)):
            pp = parts[number % len(parts)]
            execution = f"exe_{pp}_{number:032x}"
            until_ms = NOW + 1 + number % LIMITS.lease_ms
            pipe.hset(keys.record(execution), mapping={"owner": f"{BEFORE}{number:x}", "lease_until": until_ms})
            pipe.zadd(keys.due(pp), {execution: until_ms + 500})
        await pipe.execute()
