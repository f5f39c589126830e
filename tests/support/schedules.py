"""Builders for schedules."""

from typing import Any

from shared.redisdb.schedules import RedisSchedules, Taken
from shared.schedules.model import Schedule
from shared.schedules.timing import Due
from tests.support.executions import NOW, PP

HOUR_MS = 3_600_000
SCH = f"sch_{PP}_" + "1" * 32


def schedule(name: str = SCH, **other: Any) -> Schedule:
    """Words at every full hour; the next one is an hour away."""
    facts: dict[str, Any] = {
        "tenant": "acme",
        "user": "ann",
        "cron": "0 * * * *",
        "timezone": "UTC",
        "text": "book a table",
        "next_ms": NOW + HOUR_MS,
        "created_ms": NOW,
    }
    return Schedule(id=name, **(facts | other))


def runs(time_ms: int, *, missed: int = 0) -> Due:
    """A decision to run that time; the next is an hour later."""
    return Due(fire_ms=time_ms, next_ms=time_ms + HOUR_MS, missed=missed)


async def taken_at(schedules: RedisSchedules, time_ms: int, name: str = SCH) -> Taken:
    """The claim of a time, which must be free."""
    schedules.now_ms = time_ms
    found = await schedules.claim(name, planned_ms=time_ms, due=runs(time_ms))
    assert found is not None
    return found
