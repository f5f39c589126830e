"""Calendar events as iCalendar text (RFC 5545): one event is fifteen lines, so they are written here and by no library.

Times with an offset are written in UTC, which every calendar shows in its owner's zone, so that no zone has to be described.
"""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from shared.machine.plan import Effect
from shared.tools.registry import Call, Registry, ToolRefused

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
When = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?$")]
Line = Annotated[str, msgspec.Meta(max_length=500)]
Notes = Annotated[str, msgspec.Meta(max_length=4_000)]
_OCTETS: Final = 75


class Calendar:
    """Makes events; keeps none."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`now`: when an event says that it was made."""
        self._now = now

    async def create_calendar_event(
        self, call: Call, *, title: Title, start: When, end: When, location: Line = "", notes: Notes = ""
    ) -> Any:
        """Make a calendar file of an event, to be opened with any calendar: its text (`ics`) and a link that holds it (`link`).

        `start` and `end` are both moments (2030-05-02T19:00+02:00; without an offset in whatever zone the calendar is), or
        both days, the last one included.
        """
        first, last = _span(start, end)
        uid = f"{hashlib.sha256(call.key.encode()).hexdigest()[:32]}@intention-engine"
        lines = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Intention Engine//EN",
            "METHOD:PUBLISH",
            "BEGIN:VEVENT",
            f"UID:{uid}",
            f"DTSTAMP:{_utc(self._now())}",
            f"DTSTART{first}",
            f"DTEND{last}",
            f"SUMMARY:{_escaped(title)}",
            *([f"LOCATION:{_escaped(location)}"] if location else []),
            *([f"DESCRIPTION:{_escaped(notes)}"] if notes else []),
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
        ics = "\r\n".join(part for line in lines for part in _folded(line))
        link = f"data:text/calendar;charset=utf-8;base64,{base64.b64encode(ics.encode()).decode()}"
        facts = {"title": title, "start": start, "end": end, "location": location, "notes": notes}
        return {"event_id": uid, **facts, "ics": ics, "link": link}


def _span(start: str, end: str) -> tuple[str, str]:
    """Both as DTSTART and DTEND have them behind their names."""
    try:
        first, last = _read(start), _read(end)
        if not isinstance(first, datetime) and not isinstance(last, datetime):
            later = last >= first
        else:
            later = isinstance(first, datetime) and isinstance(last, datetime) and last > first
    except (ValueError, TypeError, OverflowError) as error:  # 30 February; one with an offset and one without
        raise ToolRefused("bad_arguments", f"start and end cannot be read together: {error}") from error
    if not later:
        raise ToolRefused("bad_arguments", "end is not after start: give two moments, or two days")
    return _written(first), _written(last if isinstance(last, datetime) else last + timedelta(days=1))


def _read(text: str) -> date | datetime:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _written(moment: date | datetime) -> str:
    if not isinstance(moment, datetime):
        return f";VALUE=DATE:{moment:%Y%m%d}"
    return f":{_utc(moment)}" if moment.tzinfo else f":{moment:%Y%m%dT%H%M%S}"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    """As a TEXT value has it; a line end is two characters, so that no text can begin a line of its own."""
    plain = "\n".join(text.splitlines())
    plain = "".join(letter for letter in plain if letter in "\n\t" or letter.isprintable())
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> list[str]:
    """In parts of 75 bytes at most, no letter torn; all but the first begin with a blank."""
    parts, part = [], b""
    for letter in line:
        raw = letter.encode()
        if len(part) + len(raw) > _OCTETS:
            parts.append(part.decode())
            part = b" "
        part += raw
    return [*parts, part.decode()]


def register(registry: Registry) -> None:
    """It makes a text and changes nothing, so it is pure."""
    registry.add(Calendar().create_calendar_event, effect=Effect.PURE, timeout_ms=2_000)
