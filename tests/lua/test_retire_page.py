"""retire_page.lua: what may go, for one archiver at a time."""

from typing import Any

from shared.ports import RETIRING_MS
from shared.redisdb import keys
from tests.support.executions import ANN, BOB, NOW, PP, RETENTION_MS, created, ended, execution_id, later
from tests.support.stores import Twice, everything


async def due(store: Twice, *numbers: int) -> list[str]:
    """Finished executions whose retention is over."""
    for number in numbers:
        await created(store, execution_id(number))
        await ended(store, execution_id(number))
    later(store, RETENTION_MS)
    return [execution_id(number) for number in numbers]


async def test_what_is_due_is_the_first_askers(store: Twice) -> None:
    """Another gets nothing; the first gets the same again, and a claim that lapses by itself."""
    found = await due(store, 1, 2)
    assert await store.retire_page(PP, owner=ANN, limit=9) == found
    assert (await everything(store.redis))[keys.retiring(PP)] == f"{ANN} {NOW + RETENTION_MS + RETIRING_MS}".encode()
    redis: Any = store.redis
    assert 0 < await redis.pttl(keys.retiring(PP)) <= RETIRING_MS
    assert await store.retire_page(PP, owner=BOB, limit=9) == []
    assert await store.retire_page(PP, owner=ANN, limit=1) == found[:1]


async def test_a_page_after_a_while_makes_the_claim_longer(store: Twice) -> None:
    """A partition with much in it stays with whoever is at it."""
    found = await due(store, 1)
    for _ in range(3):
        assert await store.retire_page(PP, owner=ANN, limit=9) == found
        later(store, RETIRING_MS - 1)
    assert await store.retire_page(PP, owner=BOB, limit=9) == []


async def test_what_a_dead_one_was_at_is_anothers_after_a_while(store: Twice) -> None:
    """By the clock, not only when the key is gone."""
    found = await due(store, 1)
    await store.retire_page(PP, owner=ANN, limit=9)
    later(store, RETIRING_MS)
    assert await store.retire_page(PP, owner=BOB, limit=9) == found
    assert await store.retire_page(PP, owner=ANN, limit=9) == []


async def test_whoever_finds_nothing_gives_the_partition_back(store: Twice) -> None:
    """Nothing is left of the claim."""
    [execution] = await due(store, 1)
    await store.retire_page(PP, owner=ANN, limit=9)
    await store.purge(execution)
    assert keys.retiring(PP) in await everything(store.redis)
    assert await store.retire_page(PP, owner=ANN, limit=9) == []
    assert keys.retiring(PP) not in await everything(store.redis)


async def test_only_the_owner_gives_it_back(store: Twice) -> None:
    """Another's look at a partition that is empty by now leaves the claim."""
    [execution] = await due(store, 1)
    await store.retire_page(PP, owner=ANN, limit=9)
    await store.purge(execution)
    assert await store.retire_page(PP, owner=BOB, limit=9) == []
    assert keys.retiring(PP) in await everything(store.redis)


async def test_what_is_not_due_is_nobodys(store: Twice) -> None:
    """A millisecond early."""
    await due(store, 1)
    later(store, -1)
    assert await store.retire_page(PP, owner=ANN, limit=9) == []
    assert keys.retiring(PP) not in await everything(store.redis)
