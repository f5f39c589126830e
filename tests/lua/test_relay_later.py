"""relay_later.lua: always 0; only what is still in the outbox gets another time."""

from shared.redisdb import keys
from tests.support.executions import NOW, PP, created, execution_id
from tests.support.stores import Twice, everything


async def test_an_entry_gets_its_time_once(store: Twice) -> None:
    """That entry only."""
    entry, other = await created(store), await created(store, execution_id(2))
    await store.relay_later([(entry, 60_000)])
    assert (store.last.reply, store.last.again) == (0, 0)
    times = (await everything(store.redis))[keys.outbox_times(PP)]
    assert times == [(other.id.encode(), NOW + 2_000.0), (entry.id.encode(), NOW + 60_000.0)]


async def test_what_was_sent_meanwhile_stays_gone(store: Twice) -> None:
    """A time without an entry would be claimed for nothing."""
    entry = await created(store)
    await store.relay_ack([(entry, "msg_1")])
    await store.relay_later([(entry, 60_000)])
    assert keys.outbox_times(PP) not in await everything(store.redis)
