"""Store, large outputs: stored apart by the committing script itself, loaded when needed, deleted with their record."""

from typing import Any

import pytest

from shared.machine.decision import Changes
from shared.machine.status import Status
from shared.ports import Committed, Lost, Reopened
from shared.redisdb import keys
from shared.redisdb.store import LARGE_BYTES, RedisStore
from tests.support.executions import (
    BOB,
    EXE,
    LEASE_MS,
    NONE,
    NOTHING,
    RETENTION_MS,
    Clocked,
    created,
    done,
    ends,
    later,
    leased,
    leaves,
    standing,
)

LARGE = {"rows": ["\u20ac" * 20_000, "x" * 10_000]}
"""More bytes than characters, as JSON is counted."""
EDGE = "x" * (LARGE_BYTES - 2)
"""With its quotes just small enough."""


async def kept(store: Clocked, **outputs: Any) -> None:
    """An execution whose steps have given these outputs, ready for its next segment, which needs them."""
    await created(store)
    lease = await leased(store)
    ver = lease.ver
    for cell, output in enumerate(outputs.values()):
        await store.commit(lease, ver=ver, seen=0, kept=done(cell, output), going=NONE)
        ver += 1
    await store.commit(lease, ver=ver, seen=0, kept=NOTHING, going=leaves(need=tuple(range(len(outputs)))))


async def test_a_large_output_is_loaded_when_it_is_asked_for_and_not_with_the_lease(store: Clocked) -> None:
    """A lease brings small ones only, whatever its segment needs; whoever misses one loads it."""
    await kept(store, large=LARGE, small="small", edge=EDGE)
    lease = await leased(store)

    assert lease.results == {1: "small", 2: EDGE}
    assert await store.load_results(EXE, [0, 1, 2]) == {0: LARGE, 1: "small", 2: EDGE}
    assert (await store.load_order(EXE, [0])).keys() == {0}


async def test_a_result_is_written_once_also_when_it_is_large(store: Clocked) -> None:
    """The first stays, whatever is committed later."""
    await kept(store, large=LARGE)
    lease = await leased(store)
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0, "y" * 2 * LARGE_BYTES), going=NONE)

    assert isinstance(answer, Committed)
    assert await store.load_results(EXE, [0]) == {0: LARGE}


async def test_a_lost_commit_leaves_no_large_output(store: Clocked) -> None:
    """It is the script that writes it, after it has looked who owns the record."""
    await created(store)
    late = await leased(store)
    later(store, LEASE_MS)
    owner = await leased(store, owner=BOB)
    answer = await store.commit(late, ver=late.ver, seen=0, kept=done(0, LARGE), going=NONE)
    assert isinstance(answer, Lost)
    await store.commit(owner, ver=owner.ver, seen=0, kept=done(0, "small"), going=NONE)

    assert await store.load_results(EXE, [0]) == {0: "small"}
    if isinstance(store, RedisStore):
        assert await store._redis.exists(keys.large_value(EXE, 0)) == 0


async def test_large_outputs_of_both_parts_of_a_commit_are_kept_apart(store: Clocked) -> None:
    """What is stored in any case, and how it goes on."""
    await created(store)
    lease = await leased(store)
    other = ["z" * LARGE_BYTES]
    going = leaves(changes=done(1, other), need=(0, 1))
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0, LARGE), going=going)

    assert await store.load_results(EXE, [1, 0]) == {0: LARGE, 1: other}
    assert (await leased(store)).results == {}


async def test_a_person_may_supply_a_large_output(store: Clocked) -> None:
    """With the same fate."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=ends(lease, Status.FAILED))
    changes = Changes(header=standing(lease, Status.EXECUTING), results=done(2, LARGE).results)
    answer = await store.reopen(EXE, tenant="acme", ver=lease.ver + 1, origins=frozenset({Status.FAILED}), changes=changes)

    assert isinstance(answer, Reopened)
    assert await store.load_results(EXE, [2]) == {2: LARGE}


async def test_large_outputs_go_with_their_record(store: Clocked) -> None:
    """All of them, and those of another execution stay."""
    await created(store)
    lease = await leased(store)
    kept_now = Changes(results=done(0, LARGE).results | done(1, "small").results | done(2, LARGE).results)
    await store.commit(lease, ver=lease.ver, seen=0, kept=kept_now, going=ends(lease))
    assert await store.purge(EXE) is False
    later(store, RETENTION_MS)

    assert await store.purge(EXE) is True
    assert await store.load_results(EXE, [0, 1, 2]) == {}
    if isinstance(store, RedisStore):
        assert [name async for name in store._redis.scan_iter(f"*:b:{EXE}:*")] == []


@pytest.mark.parametrize("damage", [None, b'"other"'], ids=["gone", "another"])
async def test_an_output_that_is_not_what_the_record_says_is_missing(store: Clocked, damage: bytes | None) -> None:
    """Never a wrong one: its segment says that it is gone."""
    if not isinstance(store, RedisStore):
        pytest.skip("nobody else writes to memory")
    await kept(store, large=LARGE)
    name = keys.large_value(EXE, 0)
    await (store._redis.set(name, damage) if damage else store._redis.delete(name))

    assert await store.load_results(EXE, [0]) == {}
