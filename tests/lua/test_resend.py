"""resend.lua: SENT 0, NOT_DUE 1, HELD 2, GONE 3."""

import asyncio
from typing import Any

from shared.redisdb import keys
from tests.support.executions import DEAD, EXE, NOW, PP, created, ended, later, leased, letter, put_off
from tests.support.stores import Recording, Twice, everything


async def sent(store: Recording) -> None:
    """An execution whose first message is with QStash."""
    await store.relay_ack([(await created(store), "msg_1")])


async def resend(store: Recording) -> None:
    """One watchdog's attempt."""
    await store.resend(EXE, base_ms=2_000, most_ms=300_000)


async def test_sent_then_not_due(store: Twice) -> None:
    """One entry, one try, one epoch."""
    await sent(store)
    later(store, 2_000)
    await resend(store)
    assert store.last.codes == (0, 1)
    assert store.last.reply[2] == 1
    found = await everything(store.redis)
    assert len(found[keys.outbox_entries(PP)]) == 1
    assert (found[keys.record(EXE)][b"tries"], found[keys.record(EXE)][b"epoch"]) == (b"1", b"1")


async def test_two_at_once_send_one(once: Recording) -> None:
    """One is SENT, the other NOT_DUE."""
    await sent(once)
    later(once, 2_000)
    await asyncio.gather(resend(once), resend(once))
    assert sorted(call.reply[0] for call in once.log[-2:]) == [0, 1]
    assert len((await everything(once.redis))[keys.outbox_entries(PP)]) == 1


async def test_the_entry_that_waits_is_brought_forward(store: Twice) -> None:
    """Its text is the answer, its relay time no later than two seconds from now; nothing is added."""
    entry = await created(store)
    await store.relay_later([put_off(entry, 60_000)])
    later(store, 2_000)
    await resend(store)
    assert store.last.codes == (0, 1)
    found = await everything(store.redis)
    assert list(found[keys.outbox_entries(PP)].values()) == [store.log[-1].reply[1]]
    assert found[keys.outbox_times(PP)] == [(entry.id.encode(), NOW + 4_000.0)]


async def test_two_who_disagree_about_the_lag_send_once(once: Recording) -> None:
    """Whoever has the longer patience is told that it is not due."""
    await sent(once)
    later(once, 3_000)
    patient = once.resend(EXE, base_ms=2_000, most_ms=300_000, late_ms=1_001)
    await asyncio.gather(patient, resend(once), resend(once))
    assert sorted(call.reply[0] for call in once.log[-3:]) == [0, 1, 1]


async def test_not_due(store: Twice) -> None:
    """A millisecond early, and nothing is written."""
    await created(store)
    later(store, 1_999)
    before = await everything(store.redis)
    await resend(store)
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == before


async def test_held(store: Twice) -> None:
    """Due, but somebody works on it."""
    await created(store)
    await leased(store)
    await store.bury(letter(), in_ms=0, line=DEAD)
    before = await everything(store.redis)
    await resend(store)
    assert store.last.codes == (2, 2)
    assert await everything(store.redis) == before


async def test_gone_is_taken_off_the_index(store: Twice) -> None:
    """A failover may bring back a member whose execution ended, or is not there."""
    redis: Any = store.redis
    await redis.zadd(keys.due(PP), {EXE: 1})
    await resend(store)
    assert store.last.codes == (3, 3)
    assert await everything(store.redis) == {}
    await created(store)
    await ended(store)
    await redis.zadd(keys.due(PP), {EXE: 1})
    await resend(store)
    assert store.last.codes == (3, 3)
    assert keys.due(PP) not in await everything(store.redis)


async def test_what_is_not_on_the_index_is_gone(store: Twice) -> None:
    """Even if it runs: there is no time to compare with."""
    await created(store)
    redis: Any = store.redis
    await redis.zrem(keys.due(PP), EXE)
    await resend(store)
    assert store.last.codes == (3, 3)


async def test_very_many_tries_do_not_overflow(store: Twice) -> None:
    """2 to the power of all of them is no number; the longest wait is."""
    await created(store)
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "tries", 5_000)
    later(store, 2_000)
    await resend(store)
    assert store.last.codes == (0, 1)
    assert await redis.zscore(keys.due(PP), EXE) == (store.now_ms or 0) + 300_000
