"""watch.lua: OK 0, ABSENT 1."""

from typing import Any

from shared.redisdb import keys
from tests.support.executions import EXE, NOW, created, ended, later
from tests.support.stores import Twice, everything

RECORD = keys.record(EXE)


async def last_line(store: Twice) -> bytes:
    """The id of the history's last line."""
    redis: Any = store.redis
    return bytes((await redis.xrevrange(keys.history(EXE), count=1))[0][0])


async def fields(store: Twice) -> list[bytes | None]:
    """Until when it is watched, and how far that was told."""
    redis: Any = store.redis
    found: list[bytes | None] = await redis.hmget(RECORD, ["watched_ms", "told"])
    return found


async def test_a_watch_begins_behind_the_last_line(store: Twice) -> None:
    """What is there already is read from the history."""
    await created(store)
    assert await store.watch(EXE, tenant="acme", for_ms=500) == NOW + 500
    assert store.last.codes == (0, 0)
    assert store.last.again == store.last.reply
    assert await fields(store) == [str(NOW + 500).encode(), await last_line(store)]


async def test_a_second_watcher_moves_no_place_and_shortens_nothing(store: Twice) -> None:
    """The first one has not been told everything yet."""
    await created(store)
    await store.watch(EXE, tenant="acme", for_ms=5_000)
    before = await last_line(store)
    await ended(store)
    assert await store.watch(EXE, tenant="acme", for_ms=100) == NOW + 5_000
    assert await fields(store) == [str(NOW + 5_000).encode(), before]
    assert await last_line(store) != before


async def test_a_watch_after_a_pause_begins_anew(store: Twice) -> None:
    """Nobody waited for what happened in between."""
    await created(store)
    await store.watch(EXE, tenant="acme", for_ms=1_000)
    await ended(store)
    later(store, 1_000)
    await store.watch(EXE, tenant="acme", for_ms=1_000)
    assert await fields(store) == [str(NOW + 2_000).encode(), await last_line(store)]


async def test_another_tenants_is_absent(store: Twice) -> None:
    """And so is one that is not there; nothing is written."""
    assert await store.watch(EXE, tenant="acme", for_ms=1) is None
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == {}
    await created(store)
    before = await everything(store.redis)
    assert await store.watch(EXE, tenant="globex", for_ms=1) is None
    assert await everything(store.redis) == before


async def test_a_tombstone_is_absent(store: Twice) -> None:
    """It belongs to nobody."""
    redis: Any = store.redis
    await redis.hset(RECORD, "buried", "1")
    assert await store.watch(EXE, tenant="", for_ms=1) is None
