"""relay_back.lua: what was put off because its channel was away, claimed as by relay_claim."""

from shared.redisdb import keys
from tests.support.executions import NOW, PP, created, execution_id, later, put_off
from tests.support.stores import Twice, everything


async def test_they_are_claimed_once(store: Twice) -> None:
    """A second call finds none; the claim lapses like any other."""
    entry = await created(store)
    await store.relay_later([put_off(entry, away=True)])
    assert await store.relay_back(PP, limit=9, claim_ms=10_000) == [entry]
    assert store.last.again == []
    found = await everything(store.redis)
    assert found[keys.outbox_times(PP)] == [(entry.id.encode(), NOW + 10_000.0)]
    assert keys.outbox_away(PP) not in found


async def test_what_a_relay_has_claimed_is_not_taken_from_it(store: Twice) -> None:
    """Its own time came while the channel was away."""
    entry = await created(store)
    await store.relay_later([put_off(entry, 1_000, away=True)])
    later(store, 1_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=10_000) == [entry]
    assert await store.relay_back(PP, limit=9, claim_ms=10_000) == []


async def test_a_name_without_an_entry_is_dropped(store: Twice) -> None:
    """Whatever left it there."""
    await created(store, execution_id(3))
    await store.redis.zadd(keys.outbox_away(PP), {"gone": 1})
    assert await store.relay_back(PP, limit=9, claim_ms=1) == []
    assert keys.outbox_away(PP) not in await everything(store.redis)
