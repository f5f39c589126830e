"""event_publish.lua: OK 0, CONFLICT 1, FULL 2."""

from typing import Any

import pytest

from shared.errors import Conflict, TooMany
from shared.event_ports import EVENTS_MOST, KEPT_MS, RELAY_MS
from shared.redisdb import keys
from tests.support.executions import EXE, NOW
from tests.support.meetings import event, pass_time, told, waits
from tests.support.stores import TwiceEvents

ONE = keys.identity("acme", "order.paid", "17")


async def test_ok(events: TwiceEvents) -> None:
    """Stored once, pending once, and both calls answer the same."""
    await waits(events)
    assert told(await events.publish(event())) == [(EXE, "w", "evt_1")]
    call = events.log[-1]
    assert call.codes == (0, 0)
    assert call.reply == call.again
    redis: Any = events.redis
    assert await redis.hlen(keys.events(ONE)) == 1
    pending = await redis.zrange(keys.event_deliveries(keys.tag_of(ONE)), 0, -1, withscores=True)
    assert [at for _, at in pending] == [NOW + RELAY_MS]


async def test_ok_without_waiters(events: TwiceEvents) -> None:
    """It is early."""
    assert await events.publish(event()) == []
    assert events.codes == (0, 0)


async def test_conflict(events: TwiceEvents) -> None:
    """The same id with other data changes nothing."""
    await events.publish(event())
    with pytest.raises(Conflict):
        await events.publish(event(data=2))
    assert events.codes == (1, 1)


async def test_full(events: TwiceEvents) -> None:
    """And what is full has room when its events are old; they are deleted when nobody can need them."""
    for number in range(EVENTS_MOST):
        await events.publish(event(number))
    with pytest.raises(TooMany):
        await events.publish(event("more"))
    assert events.codes == (2, 2)
    pass_time(events, KEPT_MS)
    await events.publish(event("more"))
    redis: Any = events.redis
    assert await redis.hkeys(keys.events(ONE)) == [b"evt_more"]
