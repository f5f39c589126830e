"""event_subscribe.lua: OK 0, GONE 1, FULL 2."""

from typing import Any

import pytest

from shared.errors import TooMany
from shared.event_ports import WAITERS_MOST
from shared.redisdb import keys
from tests.support.executions import EXE, NOW, execution_id
from tests.support.meetings import event, leaves, told, waits
from tests.support.stores import TwiceEvents

ONE = keys.identity("acme", "order.paid", "17")


async def test_ok(events: TwiceEvents) -> None:
    """The waiter is there once, with its early events; both calls answer the same."""
    await events.publish(event())
    assert told(await waits(events, until_ms=NOW + 5_000)) == [(EXE, "w", "evt_1")]
    call = events.log[-1]
    assert call.codes == (0, 0)
    assert call.reply == call.again
    redis: Any = events.redis
    assert await redis.zrange(keys.waiters(ONE), 0, -1, withscores=True) == [(f"{EXE}/w".encode(), NOW + 5_000)]
    assert 5_000 < await redis.pttl(keys.waiters(ONE)) <= 65_000


async def test_the_key_lives_as_long_as_its_longest_wait(events: TwiceEvents) -> None:
    """A short one after a long one does not shorten it."""
    await waits(events, until_ms=NOW + 60_000)
    await waits(events, execution_id(2), until_ms=NOW + 1_000)
    redis: Any = events.redis
    assert 61_000 < await redis.pttl(keys.waiters(ONE)) <= 120_000


@pytest.mark.parametrize("why", ["left", "late"])
async def test_gone(events: TwiceEvents, why: str) -> None:
    """Who left before, or whose time is over, is not added."""
    if why == "left":
        await leaves(events)
    assert await waits(events, until_ms=NOW if why == "late" else 0) == []
    assert events.codes == (1, 1)
    redis: Any = events.redis
    assert await redis.exists(keys.waiters(ONE)) == 0


async def test_full(events: TwiceEvents) -> None:
    """Who waits already may ask again."""
    events.filling = True
    for number in range(WAITERS_MOST):
        await waits(events, execution_id(number))
    events.filling = False
    with pytest.raises(TooMany):
        await waits(events, execution_id(WAITERS_MOST))
    assert events.codes == (2, 2)
    await waits(events, execution_id(0))
    assert events.codes == (0, 0)
