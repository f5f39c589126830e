"""purge.lua: PURGED 0, NOT_DUE 1, RUNNING 2, ABSENT 3."""

from typing import Any

import msgspec
import pytest

from shared.machine.decision import Changes
from shared.machine.status import TERMINAL, Status
from shared.redisdb import keys
from shared.redisdb.store import LARGE_BYTES
from tests.support.executions import (
    ANN,
    EXE,
    PP,
    RETENTION_MS,
    birth,
    buried,
    created,
    done,
    ended,
    ends,
    execution_id,
    later,
    leased,
    letter,
    signalled,
    standing,
)
from tests.support.stores import Twice, everything


async def finished(store: Twice, status: Status = Status.COMPLETED) -> None:
    """An execution with everything an execution can have, ended; its message is sent."""
    entry = await created(store)
    woken = await signalled(store)
    assert woken is not None
    await buried(store)
    await buried(store, letter(segment=7))
    lease = await leased(store)
    kept = msgspec.structs.replace(done(), logs={0: (b"logged",)})
    await store.commit(lease, ver=lease.ver, seen=1, kept=kept, going=ends(lease, status))
    await store.relay_ack([(entry, "msg_1"), (woken, "msg_2")])


@pytest.mark.parametrize("status", sorted(TERMINAL))
async def test_purged_then_absent(store: Twice, status: Status) -> None:
    """Of a finished execution whose retention is over nothing is left, in no index."""
    await finished(store, status)
    later(store, RETENTION_MS)
    await store.purge(EXE)
    assert store.last.codes == (0, 3)
    assert await everything(store.redis) == {}


async def test_its_neighbours_stay(store: Twice) -> None:
    """Another execution of the same tenant on the same partition loses nothing, no dead letter either."""
    await created(store, execution_id(2))
    await buried(store, letter(execution_id(2)))
    before = await everything(store.redis)
    await finished(store)
    later(store, RETENTION_MS)
    await store.purge(EXE)
    before[keys.tally(PP, "acme")] = {b"EXECUTING": b"1"}  # the minute in which both began is long over
    assert await everything(store.redis) == before


async def test_not_due(store: Twice) -> None:
    """A millisecond early, and nothing is deleted."""
    await finished(store)
    later(store, RETENTION_MS - 1)
    before = await everything(store.redis)
    await store.purge(EXE)
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == before


async def test_outputs_that_the_caller_did_not_know_of_are_not_left_behind(store: Twice) -> None:
    """It looked before the last of them was stored: nothing is deleted, and the next look finds all."""
    await created(store, key="order 17")
    lease = await leased(store)
    kept = done(0, "x" * (LARGE_BYTES + 1))
    await store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=ends(lease))
    later(store, RETENTION_MS)
    before = await everything(store.redis)
    names = [keys.record(EXE), keys.cells(EXE), keys.plan(EXE), keys.history(EXE), keys.inbox(EXE)]
    names += [keys.listing(PP, "acme"), keys.retire(PP), keys.dead_times(PP, "acme"), keys.dead_letters(PP, "acme")]
    names += [keys.tally(PP, "acme"), keys.waiting(PP, "acme")]
    args = [EXE, "acme", EXE[-32:], f",{Status.COMPLETED},", letter(EXE).id, ""]
    assert await store._run("purge", names, args) == [1]
    assert await everything(store.redis) == before

    await store.purge(EXE)
    assert store.last.codes == (0, 3)
    assert not [name for name in await everything(store.redis) if ":b:" in name or ":idem:" in name]


async def test_one_without_a_time_is_not_due(store: Twice) -> None:
    """Deleting needs to be told when."""
    await finished(store)
    await store.redis.zrem(keys.retire(PP), EXE)
    later(store, RETENTION_MS)
    await store.purge(EXE)
    assert store.last.codes == (1, 1)


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
async def test_running(store: Twice, status: Status) -> None:
    """Not even if the index says so (a failover may bring a member back): it says in which status, and leaves the index only.

    There it would be archived with every round, and enough of them would be all that a round ever sees.
    """
    await store.create(birth(status=status))
    before = await everything(store.redis)
    redis: Any = store.redis
    await redis.zadd(keys.retire(PP), {EXE: 1})
    later(store, RETENTION_MS)
    await store.purge(EXE)
    assert (store.last.codes, store.last.reply) == ((2, 2), [2, status.value.encode()])
    assert await everything(store.redis) == before


async def test_one_that_was_reopened_meanwhile_stays(store: Twice) -> None:
    """Between the page and the purge."""
    await created(store)
    lease = await ended(store, status=Status.FAILED)
    later(store, RETENTION_MS)
    assert await store.retire_page(PP, owner=ANN, limit=9) == [EXE]
    changes = Changes(header=standing(lease, Status.EXECUTING))
    await store.reopen(EXE, tenant="acme", ver=2, origins=frozenset({Status.FAILED}), changes=changes)
    await store.purge(EXE)
    assert store.last.codes == (2, 2)


async def test_absent_leaves_the_index(store: Twice) -> None:
    """Otherwise it would be offered for ever."""
    redis: Any = store.redis
    await redis.zadd(keys.retire(PP), {EXE: 1})
    await store.purge(EXE)
    assert store.last.codes == (3, 3)
    assert await everything(store.redis) == {}


async def test_a_tombstone_stays(store: Twice) -> None:
    """It ends by itself."""
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "buried", "1")
    await store.purge(EXE)
    assert store.last.codes == (3, 3)
    assert list(await everything(store.redis)) == [keys.record(EXE)]


async def test_a_purge_that_names_another_tenant_deletes_nothing(store: Twice) -> None:
    """The listing that it was given is not this execution's."""
    await finished(store)
    later(store, RETENTION_MS)
    before = await everything(store.redis)
    names = [keys.record(EXE), keys.cells(EXE), keys.plan(EXE), keys.history(EXE), keys.inbox(EXE)]
    terminal = f",{Status.COMPLETED},"
    args = [EXE, "globex", EXE[-32:], terminal]
    assert await store._run("purge", [*names, keys.listing(PP, "globex"), keys.retire(PP)], args) == [3]
    assert await everything(store.redis) == before
