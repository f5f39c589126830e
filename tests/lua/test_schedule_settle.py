"""schedule_settle.lua: OK 0, LOST 1, ABSENT 2."""

import pytest

from shared.redisdb.schedules import CLAIM_MS
from shared.schedules.model import Settled
from tests.support.executions import NOW, PP
from tests.support.schedules import HOUR_MS, SCH, runs, schedule, taken_at
from tests.support.stores import TwiceSchedules

FIRST = NOW + HOUR_MS
ERROR = {"code": "clarification_needed", "message": "Which number?"}


@pytest.mark.parametrize(
    ("settled", "counts"),
    [
        (Settled(what="started", execution="exe_1"), (1, 0, 0)),
        (Settled(what="skipped"), (0, 1, 0)),
        (Settled(what="failed", error=ERROR), (0, 0, 1)),
    ],
    ids=lambda one: getattr(one, "what", ""),
)
async def test_a_time_is_settled_once(schedules: TwiceSchedules, settled: Settled, counts: tuple[int, int, int]) -> None:
    """Counted, gone from what waits, and the schedule is due at its next time."""
    await schedules.add(schedule())
    taken = await taken_at(schedules, FIRST)
    assert await schedules.settle(SCH, taken, settled)
    assert schedules.codes == (0, 1)
    found = await schedules.get(SCH, "acme")
    assert (found.runs, found.skipped, found.failures) == counts
    assert (found.last_execution, found.last_ms) == (("exe_1", FIRST) if settled.execution else ("", 0))
    assert (found.waiting, found.last_error) == ((), settled.error)
    schedules.now_ms = FIRST + HOUR_MS
    assert await schedules.due([PP], limit=9) == [SCH]


async def test_later_keeps_it_first(schedules: TwiceSchedules) -> None:
    """Not before its time, whoever asks."""
    await schedules.add(schedule())
    taken = await taken_at(schedules, FIRST)
    assert await schedules.settle(SCH, taken, Settled(what="later", in_ms=5_000))
    assert await schedules.claim(SCH) is None
    schedules.now_ms = FIRST + 5_000
    assert await schedules.due([PP], limit=9) == [SCH]
    again = await schedules.claim(SCH)
    assert again is not None
    assert again.time_ms == FIRST


async def test_the_next_that_waits_comes_at_once(schedules: TwiceSchedules) -> None:
    """In order."""
    await schedules.add(schedule())
    taken = await taken_at(schedules, FIRST)
    schedules.now_ms = FIRST + HOUR_MS
    again = await schedules.claim(SCH, planned_ms=FIRST + HOUR_MS, due=runs(FIRST + HOUR_MS))
    assert again is not None
    assert again.time_ms == taken.time_ms
    assert await schedules.settle(SCH, again, Settled(what="started", execution="exe_1"))
    assert await schedules.due([PP], limit=9) == [SCH]
    following = await schedules.claim(SCH)
    assert following is not None
    assert following.time_ms == FIRST + HOUR_MS


async def test_whoever_was_too_slow_settles_nothing(schedules: TwiceSchedules) -> None:
    """Its claim lapsed, and another has it."""
    await schedules.add(schedule())
    slow = await taken_at(schedules, FIRST)
    schedules.now_ms = FIRST + CLAIM_MS
    assert await schedules.claim(SCH) is not None
    assert not await schedules.settle(SCH, slow, Settled(what="failed", error=ERROR))
    assert schedules.codes == (1, 1)
    assert (await schedules.get(SCH, "acme")).last_error is None


async def test_absent(schedules: TwiceSchedules) -> None:
    """Deleted meanwhile: nothing comes into being."""
    await schedules.add(schedule())
    taken = await taken_at(schedules, FIRST)
    await schedules.drop(SCH, "acme")
    assert not await schedules.settle(SCH, taken, Settled(what="started", execution="exe_1"))
    assert schedules.codes == (2, 2)
    assert await schedules.find(SCH) is None
