"""schedule_set.lua: OK 0, ABSENT 1."""

import pytest

from shared.errors import NotFound
from shared.schedules.model import Settled
from tests.support.executions import NOW, PP
from tests.support.schedules import HOUR_MS, SCH, schedule, taken_at
from tests.support.stores import TwiceSchedules, everything

FIRST = NOW + HOUR_MS


async def test_a_paused_schedule_is_never_due_and_a_resumed_one_is(schedules: TwiceSchedules) -> None:
    """From the time that it is given."""
    await schedules.add(schedule())
    await schedules.set_state(SCH, "acme", "paused", next_ms=0)
    assert schedules.codes == (0, 0)
    schedules.now_ms = FIRST
    assert await schedules.due([PP], limit=9) == []
    await schedules.set_state(SCH, "acme", "active", next_ms=FIRST + 1)
    assert await schedules.due([PP], limit=9) == []
    schedules.now_ms = FIRST + 1
    assert await schedules.due([PP], limit=9) == [SCH]


async def test_a_pause_forgets_what_waits(schedules: TwiceSchedules) -> None:
    """And counts it as skipped, once; whoever was starting it cannot settle it any more."""
    await schedules.add(schedule())
    taken = await taken_at(schedules, FIRST)
    await schedules.set_state(SCH, "acme", "paused", next_ms=0)
    found = await schedules.get(SCH, "acme")
    assert (found.waiting, found.skipped, found.state) == ((), 1, "paused")
    assert not await schedules.settle(SCH, taken, Settled(what="skipped"))
    assert await schedules.due([PP], limit=9) == []


async def test_another_tenants_schedule_is_absent(schedules: TwiceSchedules) -> None:
    """As one that there never was."""
    await schedules.add(schedule())
    before = await everything(schedules.redis)
    for name, tenant in ((SCH, "globex"), (SCH[:-1] + "9", "acme"), ("nonsense", "acme"), ("sch_zz_" + "0" * 32, "acme")):
        with pytest.raises(NotFound):
            await schedules.set_state(name, tenant, "paused", next_ms=0)
    assert await everything(schedules.redis) == before
