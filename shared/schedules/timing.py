"""When a schedule fires, and what becomes of times that nobody saw. Pure: the moment comes in.

Times of a zone follow Debian's cron: what falls into the hour that is left out runs right after it, and what falls into the
hour that comes twice runs once; expressions with `*` as the hour run by the clock on the wall.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from shared.errors import BadRequest
from shared.machine.status import TERMINAL
from shared.schedules.model import Missed, Overlap

GRACE_MS: Final = 300_000
"""A time that is seen this much later is not a missed one: somebody runs, only not every second."""
LONGEST: Final = 100
_WINDOWS: Final = (timedelta(hours=1), timedelta(days=1), timedelta(days=31), timedelta(days=366))
_FOR_EXAMPLE: Final = "five fields: minute, hour, day of month, month, day of week; `0 8 * * MON-FRI` is 08:00 on working days"


class Due(NamedTuple):
    """What is to be done about a schedule whose time has come."""

    fire_ms: int | None
    """The scheduled time to run; None if none of them is run."""
    next_ms: int
    """The next time after now; 0 if there is none any more."""
    missed: int
    """1 if at least one time was seen too late (how many there were is not counted)."""


def zone_of(name: str, at: str) -> ZoneInfo:
    """The time zone; BadRequest names the place."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of zones, such as Europe, is an OSError
        raise BadRequest(f"{at}: {name[:60]!r} is no time zone; write one like Europe/Berlin", at=at) from error


def check_cron(cron: str, zone: ZoneInfo, now_ms: int, at: str) -> int:
    """The first time after now; BadRequest for what is no cron expression, or never comes."""
    if len(cron) > LONGEST or len(cron.split()) != 5:
        raise BadRequest(f"{at}: {cron[:60]!r} is no cron expression: give {_FOR_EXAMPLE}", at=at)
    try:
        found = next_ms(cron, zone, now_ms)
    except (CronSimError, ValueError, OverflowError) as error:
        raise BadRequest(f"{at}: {cron[:60]!r} is no cron expression ({error}): give {_FOR_EXAMPLE}", at=at) from error
    if not found:
        raise BadRequest(f"{at}: {cron[:60]!r} never comes: there is no such day", at=at)
    return found


def next_ms(cron: str, zone: ZoneInfo, after_ms: int) -> int:
    """The first time after a moment; 0 if there is none."""
    return next(_times(cron, zone, after_ms), 0)


def due(cron: str, zone: ZoneInfo, *, planned_ms: int, now_ms: int, missed: Missed) -> Due:
    """What to do at `now_ms` about a schedule that was to fire at `planned_ms`, which has come."""
    latest = _latest(cron, zone, planned_ms, now_ms)
    late = now_ms - latest > GRACE_MS
    fire = latest if not late or missed == "once" else None
    return Due(fire_ms=fire, next_ms=next_ms(cron, zone, now_ms), missed=int(late or latest > planned_ms))


def overlapping(policy: Overlap, status: str | None) -> Literal["start", "skip", "wait"]:
    """What to do about a time that has come. `status`: where the last execution stands, None if there is none (any more)."""
    if policy == "parallel" or status is None or status in TERMINAL:
        return "start"
    return "skip" if policy == "skip" else "wait"


def moment(ms: int) -> str:
    """Unix ms as ISO 8601 in UTC, in whole seconds where it is whole: a part of a scheduled execution's Idempotency-Key."""
    when = datetime.fromtimestamp(ms / 1000, UTC)
    return when.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


def _latest(cron: str, zone: ZoneInfo, planned_ms: int, now_ms: int) -> int:
    """The last time until now. Looks back further and further, so that a week of minutes costs an hour of them."""
    for window in _WINDOWS:
        start = max(planned_ms, now_ms - window // timedelta(milliseconds=1))
        found = 0
        for time_ms in _times(cron, zone, start):
            if time_ms > now_ms:
                break
            found = time_ms
        if found or start == planned_ms:
            return found or planned_ms
    return planned_ms


def _times(cron: str, zone: ZoneInfo, after_ms: int) -> Iterator[int]:
    """Times behind a moment, rising. In the hour that comes twice the library may begin with one that is over."""
    after = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(zone)
    last = after_ms
    for found in CronSim(cron, after):
        time_ms = int(found.timestamp() * 1000)
        if time_ms > last:
            last = time_ms
            yield time_ms
