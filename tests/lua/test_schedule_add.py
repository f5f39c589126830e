"""schedule_add.lua: OK 0, EXISTS 1, FULL 2."""

import pytest

from shared.errors import TooMany
from shared.machine.plan import PlanDraft, StepDraft
from shared.redisdb import keys
from shared.redisdb.schedules import MOST
from tests.support.executions import NOW, PP
from tests.support.schedules import HOUR_MS, SCH, schedule
from tests.support.stores import TwiceSchedules, everything


async def test_what_is_added_is_found_as_it_was(schedules: TwiceSchedules) -> None:
    """By itself, in the list, and when its time has come; sent twice it is one."""
    plan = PlanDraft(steps=(StepDraft(name="a", tool="t", args={"x": [1, {"y": None}]}),), timeout_ms=5)
    for number, made in enumerate([schedule(), schedule(SCH[:-1] + "2", text="", plan=plan, overlap="queue", missed="once")]):
        await schedules.add(made)
        assert schedules.codes == (0, 1)
        assert await schedules.get(made.id, "acme") == made
        assert len((await schedules.page("acme", count=9))[0]) == number + 1
    assert (await everything(schedules.redis))[keys.schedule_times(PP)][0] == (SCH.encode(), float(NOW + HOUR_MS))
    assert await schedules.due([PP], limit=9) == []
    schedules.now_ms = NOW + HOUR_MS
    assert len(await schedules.due(keys.all_partitions(), limit=9)) == 2
    assert await schedules.due([PP], limit=1) == [SCH]


async def test_pages_are_newest_first(schedules: TwiceSchedules) -> None:
    """Over all partitions; another tenant sees none."""
    ids = [f"sch_{pp}_{number:032x}" for number, pp in enumerate(["0a", "3f", "0a", "00", "3f"])]
    for name in ids:
        await schedules.add(schedule(name))
    found, before = [], ""
    while True:
        page, following = await schedules.page("acme", before=before, count=2)
        found += [one.id for one in page]
        if following is None:
            break
        before = following
    assert found == ids[::-1]
    assert await schedules.page("globex", count=9) == ([], None)


async def test_there_is_an_end_to_it(schedules: TwiceSchedules) -> None:
    """And it is said."""
    listing = keys.schedule_listing(PP, "acme")
    await schedules.redis.zadd(listing, {f"{number:032x}": 0 for number in range(MOST)})
    before = await everything(schedules.redis)
    with pytest.raises(TooMany, match="delete one"):
        await schedules.add(schedule())
    assert schedules.codes == (2, 2)
    assert await everything(schedules.redis) == before
