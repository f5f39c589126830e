"""Reserved and stored in one round trip; nothing is stored that was not admitted, whatever the server is."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.background import Background
from shared.births import Births, OneByOne
from shared.errors import Conflict, TooMany
from shared.ports import Birth, Created, Exists, KeyConflict
from shared.quota import Allowance, Demand, Limits
from shared.quota_keeper import Keeper
from shared.redisdb import keys
from shared.redisdb.births import RedisBirths
from shared.redisdb.creation import Creation
from shared.redisdb.lua import Script
from shared.redisdb.quota import RedisLedger
from shared.redisdb.store import RedisStore
from shared.settings import Settings
from tests.support.executions import EXE, RETENTION_MS, birth, execution_id
from tests.support.waiting import eventually

LINES = Limits(day=100)
TENANT = "acme"


def wanting(units: int, execution: str = EXE, **what: Any) -> Birth:
    """A birth that wants so much."""
    return birth(execution, allowance=Allowance(units=units, floor=0, tail=0), **what)


def births(redis: Redis, *, strict: bool = False) -> RedisBirths:
    """As `open_engine` makes them."""
    store, ledger = RedisStore(redis, retention_ms=RETENTION_MS, strict=strict), RedisLedger(redis, strict=strict)
    return RedisBirths(redis, store, ledger, strict=strict)


def one_by_one(redis: Redis) -> OneByOne:
    """The same, without the short cut."""
    return OneByOne(RedisStore(redis, retention_ms=RETENTION_MS), RedisLedger(redis))


async def account(redis: Redis, execution: str = EXE) -> bytes | None:
    """What the ledger has of an execution."""
    found: Any = await redis.hget(keys.quota_accounts(TENANT), execution)
    return bytes(found) if found is not None else None


async def reads(redis: Redis, what: Callable[[], Awaitable[Any]]) -> int:
    """How often the server read from a socket for it, and for one INFO."""
    before = (await redis.info("stats"))["total_reads_processed"]
    await what()
    return int((await redis.info("stats"))["total_reads_processed"] - before)


async def test_a_start_is_one_round_trip(redis: Redis) -> None:
    """One by one it is two."""
    quick, slow = births(redis), one_by_one(redis)
    for some in (quick, slow):  # connections are made, scripts are loaded
        await some.admitted(wanting(1, execution_id(50 + (some is quick))), LINES)
    await quick.admitted(wanting(1, execution_id(60)), LINES)

    assert await reads(redis, lambda: quick.admitted(wanting(1, execution_id(2)), LINES)) == 1 + 1
    assert await reads(redis, lambda: slow.admitted(wanting(1, execution_id(3)), LINES)) == 2 + 1


async def test_what_is_admitted_is_stored_and_what_is_refused_is_not(redis: Redis) -> None:
    """The answer names the limit; no key of the execution is there, and nothing is reserved for it."""
    some = births(redis)
    await some.admitted(wanting(1, execution_id(9)), LINES)  # the scripts are known: both go in one flight
    answer, made = await some.admitted(wanting(99), LINES)
    assert (answer.full, isinstance(made, Created), await account(redis)) == ("", True, b"99:0:0:0")

    refused = execution_id(2)
    answer, made = await some.admitted(wanting(1, refused), LINES)
    assert (answer.full, made, await account(redis, refused)) == ("day", None, None)
    assert await redis.exists(keys.record(refused), keys.plan(refused), keys.history(refused)) == 0
    assert await redis.zscore(keys.due(keys.partition_of(refused)), refused) is None


async def test_a_creation_that_nobody_admitted_stores_nothing(redis: Redis) -> None:
    """However it comes to the server before its admission, or without."""
    creation = Creation(wanting(1), paid=True)
    before = await redis.keys()
    reply = await Script("shared.redisdb", "create").run(redis, creation.names, ["", *creation.args])
    assert (creation.made(reply), await redis.keys()) == (None, before)


async def test_a_server_that_forgot_the_scripts_is_told_them_again(redis: Redis) -> None:
    """After its restart, or a SCRIPT FLUSH between two starts."""
    some = births(redis)
    for number in range(3):
        await redis.script_flush()
        _, made = await some.admitted(wanting(1, execution_id(number + 1)), LINES)
        assert isinstance(made, Created)


async def test_what_was_made_before_is_found_and_its_second_reserve_given_back(redis: Redis) -> None:
    """The same key, the same request, at the same moment: ingress did not see the first."""
    some = births(redis)
    store, ledger = RedisStore(redis, retention_ms=RETENTION_MS), RedisLedger(redis)
    keeper = Keeper(ledger=ledger, store=store, settings=Settings(), background=Background(), births=some)
    want = Demand(steps=1)
    await keeper.create(birth(execution_id(8)), want)
    assert isinstance(await keeper.create(birth(EXE, key="k"), want), Created)
    assert await keeper.create(birth(execution_id(2), key="k"), want) == Exists(execution=EXE)
    assert await keeper.create(birth(execution_id(3), key="k", request="another"), want) == KeyConflict()

    async def given_back() -> bool:
        return [await account(redis, execution_id(number)) for number in (2, 3)] == [None, None]

    await eventually(given_back, describe="only what was created has a reserve")
    assert await account(redis) is not None


async def test_a_refusal_says_when_to_come_again(redis: Redis) -> None:
    """Above all, nothing is stored."""
    store, ledger = RedisStore(redis, retention_ms=RETENTION_MS), RedisLedger(redis)
    settings = msgspec.structs.replace(Settings(), quota_concurrent=1)
    keeper = Keeper(ledger=ledger, store=store, settings=settings, background=Background(), births=births(redis))
    for number in (2, 3):
        await ledger.admit(TENANT, execution_id(number), 1, Limits())
    with pytest.raises(TooMany, match="try again in"):
        await keeper.create(birth(), Demand(steps=1))
    assert await redis.exists(keys.record(EXE)) == 0


async def test_what_was_cancelled_before_it_was_created_is_a_conflict(redis: Redis) -> None:
    """One by one or together."""
    store = RedisStore(redis, retention_ms=RETENTION_MS)
    some: list[Births] = [births(redis), one_by_one(redis)]
    for one in some:
        await one.admitted(wanting(1, execution_id(5 + some.index(one))), LINES)
    await store.forbid(EXE)
    for one in some:
        with pytest.raises(Conflict, match="cancelled before"):
            await one.admitted(wanting(1), LINES)


async def test_where_an_answer_waits_for_the_disk_both_do(redis: Redis) -> None:
    """`strict`: the reserve is on disk before the execution is stored, and the execution before it is answered for."""
    await redis.config_resetstat()
    await births(redis, strict=True).admitted(wanting(1), LINES)
    assert (await redis.info("commandstats"))["cmdstat_waitaof"]["calls"] == 2


async def test_in_a_cluster_they_go_one_by_one(redis_cluster: Redis) -> None:
    """On all nodes, and refusals refuse."""
    some = births(redis_cluster)
    for number, pp in enumerate(keys.all_partitions()[::5]):
        answer, made = await some.admitted(wanting(7, execution_id(number, partition=pp)), LINES)
        assert (answer.full, isinstance(made, Created)) == ("", True)
    assert some.calls["create"] <= 2, "a new server has no scripts; then it refuses, and that is remembered"
    answer, made = await some.admitted(wanting(50), LINES)
    assert (answer.full, made) == ("day", None)
    assert await redis_cluster.exists(keys.record(EXE)) == 0
