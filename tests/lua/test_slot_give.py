"""slot_give.lua: the grants that it made."""

from typing import Any

from shared.redisdb import keys
from shared.slot_ports import GRANT_MS, RELAY_MS, Queued, Taken
from tests.support.executions import NOW
from tests.support.lines import CALL_MS, TWO, asks, fill, members
from tests.support.meetings import pass_time
from tests.support.stores import TwiceSlots

ONE = keys.identity(TWO.name)


async def test_the_first_that_waits_gets_it_once(slots: TwiceSlots) -> None:
    """Sent twice it makes no second grant; the slot is kept and the grant is pending."""
    await fill(slots)
    assert members(await slots.give(TWO, "a")) == ["c"]
    assert (len(slots.log[-1].reply), slots.log[-1].again) == (1, [])
    redis: Any = slots.redis
    held = dict(await redis.zrange(keys.slot_holders(ONE), 0, -1, withscores=True))
    assert held == {b"b": NOW + CALL_MS, b"c": NOW + GRANT_MS}
    told = await redis.zrange(keys.slot_grants(keys.tag_of(ONE)), 0, -1, withscores=True)
    assert [at for _, at in told] == [NOW + RELAY_MS]


async def test_without_a_member_it_frees_what_has_run_out(slots: TwiceSlots) -> None:
    """That is the sweep's; the limit is not looked at any more when nobody waits."""
    await fill(slots)
    pass_time(slots, CALL_MS)
    [tag] = await slots.pending()
    assert members(await slots.sweep(tag, limit=9)) == ["c", "d"]
    assert await slots.sweep(tag, limit=9) == []
    redis: Any = slots.redis
    assert await redis.exists(keys.slot_times(tag), keys.slot_facts(ONE), keys.slot_queue(ONE)) == 0


async def test_who_has_nothing_gives_nothing(slots: TwiceSlots) -> None:
    """Of a limit that nobody uses, too."""
    assert await slots.give(TWO, "a") == []
    await asks(slots, "b")
    assert await slots.give(TWO, "a") == []
    assert isinstance(await asks(slots, "c"), Taken)
    assert await asks(slots, "d") == Queued(position=1)
