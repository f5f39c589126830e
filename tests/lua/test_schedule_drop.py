"""schedule_drop.lua: DROPPED 0, ABSENT 1."""

import pytest

from shared.errors import NotFound
from tests.support.executions import NOW
from tests.support.schedules import HOUR_MS, SCH, schedule, taken_at
from tests.support.stores import TwiceSchedules, everything


async def test_nothing_is_left_of_it(schedules: TwiceSchedules) -> None:
    """Not while one of its times is being started either; sent again it is absent."""
    await schedules.add(schedule())
    await taken_at(schedules, NOW + HOUR_MS)
    await schedules.drop(SCH, "acme")
    assert schedules.codes == (0, 1)
    assert await everything(schedules.redis) == {}


async def test_another_tenants_stays(schedules: TwiceSchedules) -> None:
    """And so does a neighbour."""
    await schedules.add(schedule())
    before = await everything(schedules.redis)
    with pytest.raises(NotFound):
        await schedules.drop(SCH, "globex")
    assert schedules.codes == (1, 1)
    other = SCH[:-1] + "2"
    await schedules.add(schedule(other))
    await schedules.drop(other, "acme")
    assert await everything(schedules.redis) == before
