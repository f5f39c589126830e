"""schedule_claim.lua: TAKEN 0, NOTHING 1, BUSY 2, ABSENT 3, FULL 4; and scheduled.lua, which it shares."""

import asyncio
from typing import Any

import pytest

from shared.errors import TooMany
from shared.redisdb import keys
from shared.redisdb.schedules import CLAIM_MS, WAITING_MOST, RedisSchedules
from shared.schedules.model import Settled
from shared.schedules.timing import Due
from tests.support.executions import NOW, PP
from tests.support.schedules import HOUR_MS, SCH, runs, schedule, taken_at
from tests.support.stores import TwiceSchedules, everything

FIRST = NOW + HOUR_MS


async def times(schedules: TwiceSchedules) -> list[Any]:
    """When the schedule is looked at."""
    return [at for _, at in (await everything(schedules.redis)).get(keys.schedule_times(PP), [])]


async def test_a_time_that_has_come_is_taken_once(schedules: TwiceSchedules) -> None:
    """The next time is moved; the one that has come waits in our hands until it is settled."""
    await schedules.add(schedule())
    taken = await taken_at(schedules, FIRST)
    assert (taken.time_ms, schedules.codes) == (FIRST, (0, 0))
    found = await schedules.get(SCH, "acme")
    assert (found.next_ms, found.waiting, found.until_ms) == (FIRST + HOUR_MS, (FIRST,), FIRST + CLAIM_MS)
    assert await times(schedules) == [FIRST + CLAIM_MS]
    assert await schedules.claim(SCH, planned_ms=FIRST, due=runs(FIRST)) is None
    assert schedules.codes == (2, 2)
    assert await schedules.due([PP], limit=9) == []


async def test_of_many_that_see_it_at_once_one_takes_it(schedules: TwiceSchedules) -> None:
    """Each with a connection of its own."""
    await schedules.add(schedule())
    others = [RedisSchedules(schedules.redis, now_ms=FIRST) for _ in range(20)]
    taken = await asyncio.gather(*(one.claim(SCH, planned_ms=FIRST, due=runs(FIRST)) for one in others))
    assert [one.time_ms for one in taken if one is not None] == [FIRST]


async def test_what_a_dead_process_had_is_taken_again(schedules: TwiceSchedules) -> None:
    """When its claim has lapsed: the same time, so the same key."""
    await schedules.add(schedule())
    await taken_at(schedules, FIRST)
    schedules.now_ms = FIRST + CLAIM_MS - 1
    assert await schedules.claim(SCH) is None
    schedules.now_ms = FIRST + CLAIM_MS
    assert await schedules.due([PP], limit=9) == [SCH]
    again = await schedules.claim(SCH)
    assert again is not None
    assert again.time_ms == FIRST


async def test_not_before_its_time(schedules: TwiceSchedules) -> None:
    """A clock that goes before changes nothing, nor does a decision for a time that has been moved."""
    await schedules.add(schedule())
    before = await everything(schedules.redis)
    assert await schedules.claim(SCH, planned_ms=FIRST, due=runs(FIRST)) is None
    assert schedules.codes == (1, 1)
    schedules.now_ms = FIRST
    assert await schedules.claim(SCH, planned_ms=FIRST - 1, due=runs(FIRST)) is None
    after = await everything(schedules.redis)
    for found in (before, after):
        for field in (b"until_ms", b"waiting"):
            found[keys.schedule(SCH)].pop(field, None)
    assert after == before


async def test_times_that_nobody_saw_are_counted_and_not_run(schedules: TwiceSchedules) -> None:
    """On to the next."""
    await schedules.add(schedule())
    schedules.now_ms = FIRST + 10 * HOUR_MS
    due = Due(fire_ms=None, next_ms=FIRST + 11 * HOUR_MS, missed=1)
    assert await schedules.claim(SCH, planned_ms=FIRST, due=due) is None
    found = await schedules.get(SCH, "acme")
    assert (found.next_ms, found.waiting, found.skipped) == (FIRST + 11 * HOUR_MS, (), 1)
    assert await times(schedules) == [FIRST + 11 * HOUR_MS]


async def test_a_schedule_without_a_next_time_is_not_looked_at_any_more(schedules: TwiceSchedules) -> None:
    """Its last time runs."""
    await schedules.add(schedule())
    schedules.now_ms = FIRST
    taken = await schedules.claim(SCH, planned_ms=FIRST, due=Due(fire_ms=FIRST, next_ms=0, missed=0))
    assert taken is not None
    await schedules.settle(SCH, taken, Settled(what="started", execution="exe"))
    assert await times(schedules) == []
    assert (await schedules.get(SCH, "acme")).next_ms == 0


async def test_times_wait_their_turn_and_not_without_end(schedules: TwiceSchedules) -> None:
    """In order; what is too many is counted as skipped."""
    await schedules.add(schedule())
    taken = await taken_at(schedules, FIRST)
    assert await schedules.settle(SCH, taken, Settled(what="later", in_ms=10**9))
    for number in range(1, WAITING_MOST + 2):
        schedules.now_ms = FIRST + number * HOUR_MS
        time_ms = FIRST + number * HOUR_MS
        assert await schedules.claim(SCH, planned_ms=time_ms, due=runs(time_ms)) is None
    found = await schedules.get(SCH, "acme")
    assert found.waiting == tuple(FIRST + number * HOUR_MS for number in range(WAITING_MOST))
    assert found.skipped == 2
    with pytest.raises(TooMany):
        await schedules.claim_now(SCH, 5)
    assert schedules.codes == (4, 4)


async def test_a_persons_run_moves_no_time(schedules: TwiceSchedules) -> None:
    """Also of a paused schedule; it is taken at once when nothing waits."""
    await schedules.add(schedule())
    await schedules.set_state(SCH, "acme", "paused", next_ms=0)
    taken = await schedules.claim_now(SCH, NOW + 5)
    assert taken is not None
    assert (taken.time_ms, schedules.codes) == (NOW + 5, (0, 0))
    assert await times(schedules) == [NOW + CLAIM_MS]
    assert await schedules.settle(SCH, taken, Settled(what="skipped"))
    assert await times(schedules) == []


async def test_absent_leaves_the_index(schedules: TwiceSchedules) -> None:
    """Otherwise it would be offered for ever."""
    redis: Any = schedules.redis
    await redis.zadd(keys.schedule_times(PP), {SCH: 1})
    assert await schedules.claim(SCH) is None
    assert schedules.codes == (3, 3)
    assert await everything(schedules.redis) == {}
