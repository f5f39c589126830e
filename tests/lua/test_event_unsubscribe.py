"""event_unsubscribe.lua: OK 0."""

from typing import Any

from shared.event_ports import GONE_MS
from shared.redisdb import keys
from tests.support.executions import NOW, execution_id
from tests.support.meetings import event, leaves, pass_time, waits
from tests.support.stores import TwiceEvents, everything

ONE = keys.identity("acme", "order.paid", "17")


async def test_nothing_of_a_waiter_is_left_but_its_tombstone(events: TwiceEvents) -> None:
    """Its deliveries go with it; another's stay."""
    await waits(events)
    await waits(events, execution_id(2))
    await events.publish(event())
    await leaves(events)
    assert events.codes == (0, 0)
    assert str(await everything(events.redis)).count(execution_id(1)) == 1
    redis: Any = events.redis
    assert await redis.zcard(keys.past_waiters(ONE)) == 1
    assert await redis.zcard(keys.event_deliveries(keys.tag_of(ONE))) == 1


async def test_who_may_come_again_leaves_nothing(events: TwiceEvents) -> None:
    """Not even a tombstone."""
    await waits(events)
    await leaves(events, stays_away=False)
    assert events.codes == (0, 0)
    assert await everything(events.redis) == {}


async def test_tombstones_end(events: TwiceEvents) -> None:
    """The next to leave takes the old ones away."""
    await leaves(events)
    pass_time(events, GONE_MS)
    await leaves(events, execution_id(2))
    redis: Any = events.redis
    left = await redis.zrange(keys.past_waiters(ONE), 0, -1, withscores=True)
    assert left == [(f"{execution_id(2)}/w".encode(), NOW + 2 * GONE_MS)]
