"""An entry in a calendar: of its own, or of what was booked before."""

from typing import Final

from shared.planner.domain import Detail, Domain, StepShape

_CALENDARS: Final = ("calendar", "diary", "agenda")
_MADE: Final = (
    "meeting",
    "appointment",
    "event",
    "call",
    "calendar event",
    "calendar entry",
    "session",
    "interview",
    "standup",
)
_MAKES: Final = ("schedule", "set up", "create", "make", "add", "arrange", "plan", "book", "put in", "block")

CALENDAR: Final = Domain(
    name="calendar",
    nouns=(
        *(
            f"{way} {whose} {noun}"
            for way in ("to", "in", "into", "on")
            for whose in ("my", "the", "our")
            for noun in _CALENDARS
        ),
        *(f"{verb} {article} {noun}" for verb in _MAKES for article in ("a", "an", "the", "my", "our") for noun in _MADE),
        *(f"{verb} {noun}" for verb in _MAKES for noun in _CALENDARS),
        *(f"{verb} {whose} {noun}" for verb in _MAKES for whose in ("my", "the", "our") for noun in _CALENDARS),
        "calendar event",
        "calendar entry",
    ),
    verbs=(
        "schedule",
        "set up",
        "create",
        "make",
        "add",
        "put",
        "enter",
        "save",
        "block",
        "book",
        "note",
        "it",
        "this",
        "that",
    ),
    empty=("as", "event", "entry", "called", "titled", "named"),
    over=("table", "ride", "search"),
    phase=2,
    details=(
        Detail(name="location", kind="name", after=("at", "in")),
        Detail(name="when", kind="span", ask="When does it begin?"),
        Detail(
            name="title",
            kind="title",
            after=("called", "titled", "named", "entitled"),
            nouns=("meeting", "appointment", "call", "session", "interview", "standup"),
            ask="What should the calendar entry be called?",
        ),
    ),
    steps=(
        StepShape(
            tool="create_calendar_event",
            args=(("title", "title"), ("start", "start"), ("end", "end"), ("location", "location")),
            came="{title}: the link holds it for any calendar",
        ),
    ),
    label="the calendar entry at {time}",
    summary="calendar entry {title} on {moment}",
    confirmation="In the calendar: {title} on {date} at {time}.",
)
