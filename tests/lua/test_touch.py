"""touch.lua: OK 0, TERMINAL 1, ABSENT 2."""

from shared.redisdb import keys
from tests.support.executions import EXE, NOW, PP, created, ended
from tests.support.stores import Twice, everything


async def test_touched_twice_is_touched_once(store: Twice) -> None:
    """One due time, the nearest."""
    await created(store)
    for ms in (500, 400, 600):
        await store.touch(EXE, in_ms=ms)
        assert store.last.codes == (0, 0)
    assert (await everything(store.redis))[keys.due(PP)] == [(EXE.encode(), NOW + 400.0)]


async def test_never_later(store: Twice) -> None:
    """A touch may only bring the look forward."""
    await created(store)
    await store.touch(EXE, in_ms=60_000)
    assert (await everything(store.redis))[keys.due(PP)] == [(EXE.encode(), NOW + 2_000.0)]


async def test_one_that_fell_off_the_index_is_put_back(store: Twice) -> None:
    """A hint heals it."""
    await created(store)
    await store.redis.zrem(keys.due(PP), EXE)
    await store.touch(EXE, in_ms=7)
    assert (await everything(store.redis))[keys.due(PP)] == [(EXE.encode(), NOW + 7.0)]


async def test_terminal(store: Twice) -> None:
    """Not due, not told."""
    await created(store)
    await ended(store)
    before = await everything(store.redis)
    await store.touch(EXE, in_ms=0)
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == before


async def test_absent(store: Twice) -> None:
    """Nothing comes into being."""
    await store.touch(EXE, in_ms=0)
    assert store.last.codes == (2, 2)
    assert await everything(store.redis) == {}
