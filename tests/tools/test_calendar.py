"""Calendar files: what a calendar reads in them is what was asked for, whatever is in the texts."""

import base64
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.tools import kit
from shared.tools.calendar import Calendar, register
from shared.tools.kit import Sample
from shared.tools.registry import Call, Registry, ToolRefused

NOW = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)
CALL = Call(key="exe.a.1", attempt=1, deadline_s=2)
DINNER = {"title": "Dinner", "start": "2030-05-02T19:00+02:00", "end": "2030-05-02T21:00+02:00"}


async def made(**args: Any) -> Any:
    """The tool's output."""
    return await Calendar(lambda: NOW).create_calendar_event(CALL, **(DINNER | args))


def read(ics: str) -> dict[str, str]:
    """The properties as a calendar reads them: lines unfolded, texts without escapes."""
    assert ics.endswith("\r\n")
    assert all(len(line.encode()) <= 75 for line in ics.split("\r\n"))
    lines = re.sub(r"\r\n ", "", ics).split("\r\n")[:-1]
    assert "\n" not in "".join(lines)
    found = dict(line.split(":", 1) for line in lines if not line.startswith(("BEGIN", "END")))
    return {name: re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value) for name, value in found.items()}


async def test_an_event_is_a_file_that_calendars_read() -> None:
    """Times in UTC, one event, the same identity for every attempt."""
    found = await made(location="Luigi's, Old Town; 2nd floor", notes="Table for 2\nReference res_1 \\ ask for Ann")

    event = read(found["ics"])
    assert (event["DTSTART"], event["DTEND"], event["DTSTAMP"]) == ("20300502T170000Z", "20300502T190000Z", "20300501T120000Z")
    assert (event["SUMMARY"], event["LOCATION"]) == ("Dinner", "Luigi's, Old Town; 2nd floor")
    assert event["DESCRIPTION"] == "Table for 2\nReference res_1 \\ ask for Ann"
    assert event["UID"] == found["event_id"] == (await made(title="Other"))["event_id"]
    assert found["ics"].startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert found["ics"].endswith("END:VEVENT\r\nEND:VCALENDAR\r\n")


async def test_the_link_holds_the_file() -> None:
    """A browser opens it without any server."""
    found = await made()

    kind, _, data = found["link"].partition(",")
    assert kind == "data:text/calendar;charset=utf-8;base64"
    assert base64.b64decode(data).decode() == found["ics"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2030-05-02T19:00:00Z", "2030-05-02T20:00:00Z", ("DTSTART:20300502T190000Z", "DTEND:20300502T200000Z")),
        ("2030-05-02T19:00", "2030-05-02T20:30", ("DTSTART:20300502T190000", "DTEND:20300502T203000")),
        ("2030-12-31T23:00-05:00", "2031-01-01T01:00-05:00", ("DTSTART:20310101T040000Z", "DTEND:20310101T060000Z")),
        ("2030-05-02", "2030-05-02", ("DTSTART;VALUE=DATE:20300502", "DTEND;VALUE=DATE:20300503")),
        ("2030-05-31", "2030-06-02", ("DTSTART;VALUE=DATE:20300531", "DTEND;VALUE=DATE:20300603")),
    ],
)
async def test_moments_and_days(start: str, end: str, expected: tuple[str, str]) -> None:
    """With an offset, without one, or whole days, the last one included."""
    lines = (await made(start=start, end=end))["ics"].split("\r\n")

    assert [line for line in lines if line.startswith(("DTSTART", "DTEND"))] == list(expected)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2030-05-02T19:00", "2030-05-02T19:00"),
        ("2030-05-02T19:00", "2030-05-02T18:00"),
        ("2030-05-02", "2030-05-01"),
        ("2030-05-02", "2030-05-02T19:00"),
        ("2030-05-02T19:00", "2030-05-03"),
        ("2030-05-02T19:00Z", "2030-05-02T20:00"),
        ("2030-02-30", "2030-03-01"),
        ("2030-05-02T25:00", "2030-05-02T26:00"),
    ],
)
async def test_what_is_no_span_of_time_is_refused(start: str, end: str) -> None:
    """Before there is a file."""
    with pytest.raises(ToolRefused) as found:
        await made(start=start, end=end)
    assert found.value.code == "bad_arguments"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x0b", "\x85"])
async def test_a_text_cannot_become_a_line_of_its_own(end: str) -> None:
    """Nor another event."""
    found = await made(title=f"x{end}END:VEVENT{end}BEGIN:VEVENT", location=f"y{end}ATTACH:http://evil.example")

    assert [line for line in found["ics"].split("\r\n") if line.startswith(("BEGIN", "END", "ATTACH"))] == [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        "END:VEVENT",
        "END:VCALENDAR",
    ]


async def test_long_texts_are_folded_without_tearing_a_letter() -> None:
    """Lines have 75 bytes at most."""
    title = "Grüße 🎉 " * 20

    assert read((await made(title=title))["ics"])["SUMMARY"] == title


async def test_it_changes_nothing() -> None:
    """As its effect class says."""

    async def standing(_: str) -> int:
        return 0

    registry = Registry()
    register(registry)
    assert kit.points(registry, "create_calendar_event") == ["no effect"]
    await kit.demand(Sample(registry=registry, name="create_calendar_event", args=DINNER, standing=standing), "no effect")
    wrong = [one.at for one in registry.check_args("create_calendar_event", DINNER | {"start": "tomorrow"}, "args")]
    assert wrong == ["args.start"]
