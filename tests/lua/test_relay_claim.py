"""relay_claim.lua: the entries whose time has come, for one relay until its claim lapses."""

from typing import Any

from shared.redisdb import keys
from tests.support.executions import PP, created, execution_id, later
from tests.support.stores import Recording, Twice, everything


async def test_a_claim_repeated_gets_nothing_more(store: Twice) -> None:
    """The reply that was lost is claimed all the same; it lapses."""
    entry = await created(store)
    later(store, 2_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=10_000) == [entry]
    assert store.last.again == []
    later(store, 10_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=10_000) == [entry]


async def test_a_repeated_claim_of_a_full_batch_takes_the_next(once: Recording) -> None:
    """The one command that moves on when sent twice; both batches come back when their claims lapse."""
    made = [await created(once, execution_id(number)) for number in range(4)]
    later(once, 2_000)
    found = [await once.relay_claim(PP, limit=2, claim_ms=10_000) for _ in range(2)]
    assert sorted(entry.id for batch in found for entry in batch) == sorted(entry.id for entry in made)
    later(once, 10_000)
    assert len(await once.relay_claim(PP, limit=9, claim_ms=1)) == 4


async def test_an_entry_without_its_text_is_dropped(store: Twice) -> None:
    """It cannot be sent, and would be claimed for ever."""
    redis: Any = store.redis
    await redis.zadd(keys.outbox_times(PP), {"lost": 1})
    assert await store.relay_claim(PP, limit=9, claim_ms=1) == []
    assert await everything(store.redis) == {}
