"""reopen.lua: OK 0, ILLEGAL 1, CONFLICT 2, ABSENT 3."""

from typing import Any

from shared.machine.decision import Changes, Line
from shared.machine.status import Status
from shared.redisdb import keys
from tests.support.executions import EXE, NOW, PP, created, ended, standing
from tests.support.stores import Twice, everything

FAILED = frozenset({Status.FAILED})


async def reopen(store: Twice, *, tenant: str = "acme", ver: int = 2, origins: frozenset[Status] = FAILED) -> None:
    """An operator's attempt on an execution that failed at version 2."""
    await created(store)
    lease = await ended(store, status=Status.FAILED)
    changes = Changes(header=standing(lease, Status.EXECUTING), history=[Line(event="execution.reopened")])
    before = await everything(store.redis)
    await store.reopen(EXE, tenant=tenant, ver=ver, origins=origins, changes=changes)
    assert store.last.codes[0] == 0 or await everything(store.redis) == before


async def test_reopened_twice_by_one_call_is_reopened_once(store: Twice) -> None:
    """The operator whose reply was lost is not told that somebody else was quicker."""
    await reopen(store)
    assert store.last.codes == (0, 0)
    assert store.last.again == store.last.reply
    found = await everything(store.redis)
    record = found[keys.record(EXE)]
    assert (record[b"ver"], record[b"fence"], record[b"epoch"], record[b"status"]) == (b"3", b"2", b"1", b"EXECUTING")
    assert b"ended_ms" not in record
    assert keys.retire(PP) not in found
    assert found[keys.due(PP)] == [(EXE.encode(), NOW + 2_000.0)]
    assert len(found[keys.outbox_entries(PP)]) == 2
    assert found[keys.history(EXE)][-1] == {b"l": b'{"event":"execution.reopened"}'}


async def test_illegal(store: Twice) -> None:
    """It says which status it is in; nothing is written."""
    await reopen(store, origins=frozenset({Status.COMPLETED}))
    assert (store.last.codes, store.last.reply) == ((1, 1), [1, b"FAILED"])


async def test_conflict(store: Twice) -> None:
    """It says which version there is; nothing is written."""
    await reopen(store, ver=1)
    assert (store.last.codes, store.last.reply) == ((2, 2), [2, 2])


async def test_absent(store: Twice) -> None:
    """Another tenant's; nothing is written."""
    await reopen(store, tenant="globex")
    assert store.last.codes == (3, 3)


async def test_no_record(store: Twice) -> None:
    """Nothing comes into being."""
    await store.reopen(EXE, tenant="acme", ver=1, origins=FAILED, changes=Changes())
    assert store.last.codes == (3, 3)
    assert await everything(store.redis) == {}


async def test_what_a_dead_segment_left_is_reset(store: Twice) -> None:
    """No old wait, no old count of failures, no old owner."""
    await created(store)
    lease = await ended(store, status=Status.FAILED)
    redis: Any = store.redis
    old = {"wake_ms": NOW + 9, "stalled": 7, "tries": 7, "owner": "x", "lease_until": NOW + 9}
    await redis.hset(keys.record(EXE), mapping=old)
    changes = Changes(header=standing(lease, Status.EXECUTING))
    await store.reopen(EXE, tenant="acme", ver=2, origins=FAILED, changes=changes)
    assert await redis.hmget(keys.record(EXE), list(old)) == [b"0", b"0", b"0", b"", b"0"]
