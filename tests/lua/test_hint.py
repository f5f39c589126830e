"""hint.lua: OK 0, STALE 1, SEEN 2, HELD 3, TERMINAL 4, ABSENT 5, WAITING 6."""

from typing import Any

import pytest

from shared.ports import Heard
from shared.redisdb import keys
from shared.redisdb.store import HEARD_MS, RedisStore
from tests.support.executions import EXE, NOW, PP, RETENTION_MS, created
from tests.support.stores import Recording, Twice, everything

SOON = str(NOW + 5_000)
REASONS: dict[Heard, dict[str, str]] = {
    Heard.TERMINAL: {"status": "COMPLETED"},
    Heard.STALE: {"segment": "4"},
    Heard.HELD: {"owner": "b" * 32, "lease_until": SOON},
    Heard.WAITING: {"status": "SUSPENDED", "wake_ms": SOON},
}
"""What makes a record refuse a hint at segment 3, in the order in which it is looked at."""


async def record(store: Recording, **fields: str) -> None:
    """A record in segment 3 with these fields."""
    await created(store)
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), mapping={"segment": "3"} | fields)


async def due(store: Recording) -> float | None:
    """When it is due."""
    found: float | None = await store.redis.zscore(keys.due(PP), EXE)
    return found


async def test_a_hint_makes_it_due_now(store: Twice) -> None:
    """Sent twice by the client it is one hint, with one answer."""
    await record(store)
    await store.hint(EXE, message="m-1")
    assert store.last.codes == (Heard.OK, Heard.OK)
    assert store.last.reply == [0, 3]
    assert await due(store) == NOW


async def test_what_is_due_already_is_not_due_later(store: Twice) -> None:
    """The longest overdue come first."""
    await record(store)
    await store.redis.zadd(keys.due(PP), {EXE: NOW - 9_000})
    await store.hint(EXE)
    assert await due(store) == NOW - 9_000


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({}, NOW),
        ({"lease_until": str(NOW + 5_000)}, NOW + 5_500),
        ({"status": "SUSPENDED", "wake_ms": str(NOW + 5_000)}, NOW + 7_000),
        ({"status": "PAUSED"}, NOW + 2_000),
    ],
    ids=["nobody's", "held", "waiting", "paused"],
)
async def test_one_that_fell_off_the_index_is_put_back(store: Twice, fields: dict[str, str], at: int) -> None:
    """A hint heals it, whatever it waits for."""
    await record(store, **fields)
    await store.redis.zrem(keys.due(PP), EXE)
    await store.hint(EXE)
    assert await due(store) == at


@pytest.mark.parametrize("why", REASONS, ids=lambda why: why.name)
async def test_each_refusal_has_its_code_and_writes_nothing(store: Twice, why: Heard) -> None:
    """The due time least of all: a holder's, and that of a wait, stay."""
    await record(store, **REASONS[why])
    before = await everything(store.redis)
    await store.hint(EXE, segment=3, message="m-1")
    assert store.last.codes == (why, why)
    assert await everything(store.redis) == before


async def test_paused_is_waiting_until_a_signal_has_come(store: Twice) -> None:
    """Then somebody must see it."""
    await record(store, status="PAUSED")
    await store.hint(EXE)
    assert store.last.codes == (Heard.WAITING, Heard.WAITING)
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "inbox", "1")
    await store.hint(EXE)
    assert store.last.codes == (Heard.OK, Heard.OK)


@pytest.mark.parametrize(("field", "value"), [("wake_ms", str(NOW)), ("inbox", "1")], ids=["time", "signal"])
async def test_a_wait_that_can_go_on_is_no_waiting(store: Twice, field: str, value: str) -> None:
    """The very millisecond counts."""
    await record(store, **REASONS[Heard.WAITING] | {field: value})
    await store.hint(EXE)
    assert store.last.codes == (Heard.OK, Heard.OK)


EARLIER = [(first, second) for at, first in enumerate(REASONS) for second in list(REASONS)[at + 1 :]]


@pytest.mark.parametrize(("first", "second"), EARLIER, ids=lambda why: why.name)
async def test_of_two_reasons_the_first_is_told(store: Twice, first: Heard, second: Heard) -> None:
    """Whoever reads the log reads the one that lasts."""
    both = REASONS[second] | REASONS[first]
    await record(store, **both)
    await store.hint(EXE, segment=3)
    assert store.last.codes == (first, first)


async def test_a_message_counts_once_for_an_execution(store: Twice) -> None:
    """For ten minutes, and no longer; another message, or one without an id, is another hint."""
    await record(store)
    for message, expected in (("m", 0), ("m", 2), ("n", 0), ("", 0), ("", 0)):
        await store.hint(EXE, message=message)
        assert store.last.codes == (expected, expected), message
    assert 0 < await store.redis.pttl(keys.heard(EXE, "m")) <= HEARD_MS
    store.now_ms = NOW + HEARD_MS
    await store.hint(EXE, message="m")
    assert store.last.codes == (0, 0)


async def test_a_message_that_changed_nothing_may_come_again(store: Twice) -> None:
    """It was heard while the execution was held, and comes once more when it is not."""
    await record(store, **REASONS[Heard.HELD])
    await store.hint(EXE, message="m")
    store.now_ms = NOW + 5_000
    await store.hint(EXE, message="m")
    assert store.last.codes == (Heard.OK, Heard.OK)


@pytest.mark.parametrize(("tenant", "code"), [("", 0), ("acme", 0), ("globex", 5), ("acm", 5)])
async def test_another_tenants_execution_is_absent(store: Twice, tenant: str, code: int) -> None:
    """Nothing tells it from one that is not there. The engine itself is nobody's."""
    await record(store)
    before = await everything(store.redis)
    await store.hint(EXE, tenant=tenant)
    assert store.last.codes == (code, code)
    assert (await everything(store.redis) == before) is (code == 5)


async def test_absent_and_a_tombstone(store: Twice) -> None:
    """Nothing comes into being."""
    await store.hint(EXE, tenant="acme", message="m")
    assert (store.last.codes, await everything(store.redis)) == ((5, 5), {})
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "buried", "1")
    await store.hint(EXE)
    assert store.last.codes == (5, 5)


async def test_it_is_durable_when_it_is_answered_also_if_it_changed_nothing(redis: Any) -> None:
    """`strict` waits for the disk: what it answers for may have been written a moment ago."""
    store = RedisStore(redis, retention_ms=RETENTION_MS, strict=True, now_ms=NOW)
    await created(store)
    for _ in range(2):
        await redis.delete(keys.disk_mark(keys.due(PP)))
        await store.hint(EXE, message="m")
        assert await redis.exists(keys.disk_mark(keys.due(PP)))
