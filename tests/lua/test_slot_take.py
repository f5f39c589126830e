"""slot_take.lua: TAKEN 0, QUEUED 1, LATE 2."""

from typing import Any

import pytest

from shared.errors import Conflict
from shared.redisdb import keys
from shared.slot_ports import Limit
from tests.support.executions import NOW
from tests.support.lines import CALL_MS, RATE, TWO, asks, fill
from tests.support.meetings import pass_time
from tests.support.stores import TwiceSlots

ONE = keys.identity(TWO.name)


async def test_taken(slots: TwiceSlots) -> None:
    """Both calls answer the same, one slot is gone, and the key ends with it."""
    await asks(slots, "a")
    assert slots.log[-1].reply == slots.log[-1].again == [0, NOW + CALL_MS]
    redis: Any = slots.redis
    assert await redis.zrange(keys.slot_holders(ONE), 0, -1, withscores=True) == [(b"a", NOW + CALL_MS)]
    assert CALL_MS < await redis.pttl(keys.slot_holders(ONE)) <= CALL_MS + 60_000


async def test_taken_by_period(slots: TwiceSlots) -> None:
    """Until the period is over, whatever the call says."""
    await asks(slots, "a", RATE)
    assert slots.log[-1].reply == [0, NOW + 1_000]


async def test_queued(slots: TwiceSlots) -> None:
    """Sent twice it waits once; when the first slot comes back the limit is looked at."""
    await fill(slots)
    assert slots.log[-1].reply == slots.log[-1].again == [1, 2]
    redis: Any = slots.redis
    assert await redis.zrange(keys.slot_times(keys.tag_of(ONE)), 0, -1, withscores=True) == [(ONE.encode(), NOW + CALL_MS)]
    assert await redis.hget(keys.slot_facts(ONE), "=most") == b"2"


async def test_late(slots: TwiceSlots) -> None:
    """Nothing is stored."""
    with pytest.raises(Conflict):
        await asks(slots, "a", ms=-1)
    assert slots.codes == (2, 2)
    redis: Any = slots.redis
    assert await redis.keys("*") == []


async def test_what_has_run_out_goes_to_those_who_wait_before_the_newcomer(slots: TwiceSlots) -> None:
    """Their grants are pending by the same script."""
    await fill(slots)
    pass_time(slots, CALL_MS)
    await asks(slots, "e", Limit(name=TWO.name, most=3))
    assert slots.log[-1].reply == [0, NOW + 2 * CALL_MS]
    redis: Any = slots.redis
    assert await redis.zcard(keys.slot_grants(keys.tag_of(ONE))) == 2
    assert await redis.exists(keys.slot_facts(ONE), keys.slot_queue(ONE), keys.slot_times(keys.tag_of(ONE))) == 0
