"""forbid.lua: FORBIDDEN 0, EXISTS 1."""

from shared.redisdb import keys
from shared.redisdb.store import FORBIDDEN_MS
from tests.support.executions import EXE, created
from tests.support.stores import Twice, everything


async def test_a_tombstone_ends_by_itself(store: Twice) -> None:
    """After a week no creation is on its way any more."""
    await store.forbid(EXE)
    assert store.last.codes == (0, 0)
    assert await everything(store.redis) == {keys.record(EXE): {b"buried": b"1"}}
    assert 0 < await store.redis.pttl(keys.record(EXE)) <= FORBIDDEN_MS


async def test_exists(store: Twice) -> None:
    """It is left as it is, and has no end."""
    await created(store)
    before = await everything(store.redis)
    await store.forbid(EXE)
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == before
    assert await store.redis.pttl(keys.record(EXE)) == -1
