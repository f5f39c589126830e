"""relay_later.lua: which messages left the outbox; only what is still in there gets another time."""

import msgspec

from shared.redisdb import keys
from tests.support.executions import EXE, NOTHING, NOW, PP, created, ended, execution_id, later, leased, leaves, put_off
from tests.support.stores import Twice, everything

WHY = {"queue": "QStash is away: 503", "channel": "Ably is away: too", "at_ms": NOW}


async def test_an_entry_gets_its_time_once(store: Twice) -> None:
    """That entry only; its record keeps why, and when."""
    entry, other = await created(store), await created(store, execution_id(2))
    assert await store.relay_later([put_off(entry)]) == []
    assert (store.last.reply, store.last.again) == ([], [])
    found = await everything(store.redis)
    assert found[keys.outbox_times(PP)] == [(other.id.encode(), NOW + 2_000.0), (entry.id.encode(), NOW + 60_000.0)]
    assert keys.outbox_away(PP) not in found
    assert msgspec.json.decode(found[keys.record(EXE)][b"refused"]) == WHY
    assert b"refused" not in found[keys.record(execution_id(2))]


async def test_what_was_sent_meanwhile_stays_gone(store: Twice) -> None:
    """A time without an entry would be claimed for nothing; and its record keeps no refusal."""
    entry = await created(store)
    await store.relay_ack([(entry, "msg_1")])
    await store.relay_later([put_off(entry, away=True)])
    found = await everything(store.redis)
    assert not {keys.outbox_times(PP), keys.outbox_away(PP)} & set(found)
    assert b"refused" not in found[keys.record(EXE)]


async def test_an_entry_whose_channel_is_away_is_listed_until_it_is_sent(store: Twice) -> None:
    """Then the refusal is forgotten, too."""
    entry = await created(store)
    await store.relay_later([put_off(entry, away=True)])
    assert (await everything(store.redis))[keys.outbox_away(PP)] == [(entry.id.encode(), float(NOW))]
    await store.relay_ack([(entry, "msg_1")])
    found = await everything(store.redis)
    assert keys.outbox_away(PP) not in found
    assert b"refused" not in found[keys.record(EXE)]


async def test_a_message_that_went_on_another_way_leaves_once(store: Twice) -> None:
    """The execution is at the next segment: the message would be stale. Nothing of it stays."""
    entry = await created(store)
    await store.relay_later([put_off(entry, away=True)])
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=leaves())
    assert await store.relay_later([put_off(entry, away=True)]) == [entry.id]
    assert (store.last.reply, store.last.again) == ([entry.id.encode()], [])
    found = await everything(store.redis)
    assert entry.id.encode() not in found[keys.outbox_entries(PP)]
    assert entry.id.encode() not in dict(found[keys.outbox_times(PP)])
    assert keys.outbox_away(PP) not in found
    assert b"refused" not in found[keys.record(EXE)]


async def test_nothing_comes_back_of_what_is_purged(store: Twice) -> None:
    """A refusal alone would be a record without an end; the last entry leaves with its execution."""
    entry = await created(store)
    await ended(store)
    later(store, 30 * 86_400_000)
    assert await store.purge(EXE)
    assert await store.relay_later([put_off(entry)]) == [entry.id]
    assert await everything(store.redis) == {}
