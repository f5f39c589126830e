"""What a client does in a cluster of several nodes. That the store's commands mean the same there, tests/contract says."""

from collections import Counter
from pathlib import Path

import pytest
import redis as sync
from redis.asyncio import Redis

from shared.errors import Unavailable
from shared.redisdb import keys
from shared.redisdb.client import Client
from shared.redisdb.cluster import key_of
from shared.redisdb.connect import check_layout, connect
from shared.redisdb.lua import Script
from shared.redisdb.store import RedisStore
from tests.support.executions import NOW, RETENTION_MS, created, ended, execution_id, leased
from tests.support.stores import STRICT
from tests.support.valkey import Cluster
from tests.support.waiting import eventually

EVERYWHERE = [execution_id(1, partition=pp) for pp in keys.all_partitions()]


def of(redis: Redis) -> Client:
    """The same client, as what it is."""
    assert isinstance(redis, Client)
    return redis


def asked(cluster: Cluster) -> Counter[int]:
    """Scripts since the last look, by node."""
    found: Counter[int] = Counter()
    for number, node in enumerate(cluster.nodes):
        with sync.Redis(port=node.port) as client:
            stats = client.info("commandstats")
            found[number] = stats.get("cmdstat_evalsha", {"calls": 0})["calls"]
            client.config_resetstat()
    return found


async def test_executions_lie_on_all_nodes_and_are_moved_there(redis_cluster: Redis, cluster: Cluster) -> None:
    """One client: whatever the partition, the command comes to the node that has it."""
    store = RedisStore(redis_cluster, retention_ms=RETENTION_MS, now_ms=NOW)
    for execution in EVERYWHERE:
        await created(store, execution)
    asked(cluster)

    for execution in EVERYWHERE:
        await ended(store, execution)

    borne = asked(cluster)
    assert sum(borne.values()) == 2 * len(EVERYWHERE)
    assert min(borne.values()) >= 2 * 15


async def test_what_concerns_all_partitions_is_asked_of_all_nodes_in_one_go(redis_cluster: Redis) -> None:
    """And answered in the order in which it was asked."""
    store = RedisStore(redis_cluster, retention_ms=RETENTION_MS, now_ms=NOW)
    for execution in EVERYWHERE:
        await created(store, execution)
    store.now_ms = NOW + 60_000

    assert await store.overdue_everywhere(limit=1) == EVERYWHERE
    assert await store.waiting_entries() == keys.all_partitions()
    pipe = redis_cluster.pipeline(transaction=False)
    for pp in keys.all_partitions():
        pipe.zrange(keys.due(pp), 0, -1)
    assert await pipe.execute() == [[execution.encode()] for execution in EVERYWHERE]


async def test_a_script_that_no_node_knows_is_loaded_where_it_is_run_durably(redis_cluster: Redis, cluster: Cluster) -> None:
    """`strict`: the script, the mark and the wait for the disk go to the node of its keys."""
    for node in cluster.nodes:
        with sync.Redis(port=node.port) as client:
            client.script_flush()
    store = RedisStore(redis_cluster, retention_ms=RETENTION_MS, strict=True, now_ms=NOW)

    for execution in EVERYWHERE[::9]:
        await created(store, execution)

    script = Script("shared.redisdb", "quota_count")
    _, synced = await script.run_durably(redis_cluster, [keys.record(EVERYWHERE[0])], ["msg_1", 1])
    assert synced


async def test_a_cluster_is_known_at_the_start_and_otherwise_by_the_first_answer(cluster: Cluster, redis: Redis) -> None:
    """Of a server that is none, nothing is learned."""
    async with connect(cluster.url) as client:
        await check_layout(client)
        assert len(of(client).nodes.all) == 3
    async with connect(cluster.url) as client:
        for execution in EVERYWHERE[:8]:
            await client.hget(keys.record(execution), "status")
        assert len(of(client).nodes.all) == 3
    await check_layout(redis)
    assert not of(redis).nodes.table


@pytest.mark.parametrize("transaction", [False, True])
@pytest.mark.usefixtures("redis_cluster")
async def test_a_pipeline_learns_as_well(cluster: Cluster, transaction: bool) -> None:  # noqa: FBT001 - a parameter
    """The first that it is asked may be of another node."""
    for execution in EVERYWHERE[:8]:
        async with connect(cluster.url) as client:
            pipe = client.pipeline(transaction=transaction)
            pipe.hget(keys.record(execution), "status")
            pipe.get(keys.cells(execution))
            assert await pipe.execute() == [None, None]


async def test_what_names_keys_of_several_slots_is_refused_and_not_done_by_half(redis_cluster: Redis) -> None:
    """A transaction is one node's."""
    pipe = redis_cluster.pipeline(transaction=True)
    for execution in EVERYWHERE:
        pipe.hset(keys.record(execution), "status", "odd")
    with pytest.raises(sync.ResponseError):
        await pipe.execute()
    for execution in EVERYWHERE:
        assert await redis_cluster.hget(keys.record(execution), "status") is None


async def test_a_script_that_names_a_key_of_another_slot_by_itself_is_refused(redis_cluster: Redis) -> None:
    """What tests/contract rests on: told to be strict, a server looks at every key, and not at the names under KEYS only."""
    one, other = keys.record(EVERYWHERE[0]), keys.record(EVERYWHERE[1])
    text = f"{STRICT}return redis.call('GET', '{{}}')"
    assert await redis_cluster.eval(text.format(keys.cells(EVERYWHERE[0])), 1, one) is None
    with pytest.raises(sync.ResponseError, match=r"do not hash to the same slot"):
        await redis_cluster.eval(text.format(other), 1, one)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("EVALSHA", "0" * 40, 2, "a", "b", "c"), b"a"),
        (("EVAL", "return 1", 0), None),
        ((b"XREAD", b"COUNT", 5, b"STREAMS", "a", "b", "0", "0"), b"a"),
        (("MEMORY USAGE", "a"), b"a"),
        (("CONFIG GET", "maxmemory"), None),
        (("TIME",), None),
        (("HMGET", "a", "b"), b"a"),
        (("WAITAOF", 1, 0, 500), None),
    ],
)
def test_a_commands_first_key_says_where_it_goes(words: tuple[str | bytes | int, ...], key: bytes | None) -> None:
    """Or it has none, and goes anywhere."""
    assert key_of(words) == key


async def test_a_slot_that_has_moved_is_found_where_it_is(tmp_path: Path) -> None:
    """By scripts, by reads and by pipelines of a client that knew it elsewhere."""
    own = Cluster(tmp_path, nodes=2)
    own.start()
    try:
        async with connect(own.url) as client:
            await check_layout(client)
            store = RedisStore(client, retention_ms=RETENTION_MS, now_ms=NOW)
            for number, act in enumerate(("script", "read", "pipeline", "transaction")):
                execution = EVERYWHERE[number]
                known = of(client).nodes.learned
                own.move_slot(keys.record(execution))
                match act:
                    case "script":
                        await created(store, execution)
                    case "read":
                        assert await store.load_plan(execution) is None
                    case _:
                        pipe = client.pipeline(transaction=act == "transaction")
                        pipe.hget(keys.record(execution), "status")
                        assert await pipe.execute() == [None]
                assert of(client).nodes.learned > known, act
            assert (await leased(store, EVERYWHERE[0])).header.id == EVERYWHERE[0]
    finally:
        own.kill()


async def test_a_node_that_is_away_takes_only_what_it_has_with_it(tmp_path: Path) -> None:
    """The others' partitions go on; its own are Unavailable, as all are with a single server that is away."""
    own = Cluster(tmp_path, nodes=2, whole=False)
    own.start()
    try:
        async with connect(own.url) as client:
            await check_layout(client)
            store = RedisStore(client, retention_ms=RETENTION_MS, now_ms=NOW)
            there = {execution: of(client).nodes.of(("GET", keys.record(execution))) for execution in EVERYWHERE}
            first = of(client).nodes.all[0]
            own.nodes[0].kill()

            async def lives() -> bool:
                try:
                    return await store.load_plan(next(e for e in EVERYWHERE if there[e] is not first)) is None
                except Unavailable:
                    return False

            await eventually(lives, within=20, describe="the other node's partitions go on")
            with pytest.raises(Unavailable):
                await store.load_plan(next(e for e in EVERYWHERE if there[e] is first))
    finally:
        own.kill()
