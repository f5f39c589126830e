"""overdue_page.lua: where the next page begins, and tenants with executions."""

from typing import Any

from shared.redisdb import keys
from tests.support.executions import PP, created, execution_id, later
from tests.support.stores import Twice, everything


async def page(store: Twice, first: int = 0, page: int = 9, each: int = 9) -> Any:
    """The raw reply."""
    await store.overdue_page(PP, first=first, page=page, each=each, late_ms=500)
    assert store.last.reply == store.last.again
    return store.last.reply


async def test_nothing_is_overdue(store: Twice) -> None:
    """No page follows; a millisecond early is early."""
    assert await page(store) == [0]
    await created(store)
    later(store, 2_499)
    assert await page(store) == [0]


async def test_what_is_overdue_comes_with_its_tenant_and_nothing_is_written(store: Twice) -> None:
    """The longest overdue first; so many of a tenant at most."""
    for number in (2, 1):
        await created(store, execution_id(number))
        later(store, 1)
    later(store, 2_500)
    before = await everything(store.redis)
    assert await page(store) == [0, b"acme", execution_id(2).encode(), b"acme", execution_id(1).encode()]
    assert await page(store, each=1) == [0, b"acme", execution_id(2).encode()]
    assert await page(store, first=1, page=1) == [2, b"acme", execution_id(1).encode()]
    assert await page(store, first=2, page=1) == [0]
    assert await everything(store.redis) == before


async def test_what_is_no_record_has_no_tenant(store: Twice) -> None:
    """It is told, so that resend takes it off the index."""
    redis: Any = store.redis
    await redis.zadd(keys.due(PP), {execution_id(): 1})
    assert await page(store) == [0, b"", execution_id().encode()]
