"""told.lua: OK 0, ABSENT 1."""

from typing import Any

import pytest

from shared.redisdb import keys
from shared.redisdb.progress import RedisProgress
from tests.support.executions import EXE, created
from tests.support.stores import Doubled, Twice, everything


class TwiceProgress(Doubled, RedisProgress):
    """Every command twice."""

    def __init__(self, redis: Any) -> None:
        RedisProgress.__init__(self, redis)
        self.redis = redis
        self.log = []


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("1800000000000-0", "1800000000000-1"), ("1800000000000-9", "1800000000000-10"), ("999-7", "1000-0")],
)
async def test_the_place_only_moves_forward(store: Twice, earlier: str, later: str) -> None:
    """By time, then by number, not as text."""
    await created(store)
    progress = TwiceProgress(store.redis)
    for line in (earlier, later, earlier):
        await progress.told(EXE, line)
        assert progress.codes == (0, 0)
    redis: Any = store.redis
    assert await redis.hget(keys.record(EXE), "told") == later.encode()


async def test_absent(store: Twice) -> None:
    """What was purged meanwhile does not come into being again."""
    progress = TwiceProgress(store.redis)
    await progress.told(EXE, "1-0")
    assert progress.codes == (1, 1)
    assert await everything(store.redis) == {}
