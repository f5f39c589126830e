"""A domain is a row: one that the planner has never heard of works like those it comes with."""

import pytest

from shared.planner import Clarification, Planned, plan_text
from shared.planner.domain import Detail, Domain, StepShape
from shared.planner.domains import DOMAINS
from tests.planner.support import BY_SMS, NOON, USER, asked, origin

PARKING = Domain(
    name="parking",
    nouns=("parking space", "parking spot", "parking"),
    verbs=("book", "reserve", "get", "need"),
    details=(
        Detail(name="garage", kind="name", after=("at", "in"), ask="In which garage?"),
        Detail(name="when", kind="moment", ask="From when on?"),
        Detail(
            name="size", kind="choice", values=(("van", "large"), ("car", "small")), nouns=("sized",), default="small",
            rule="a car, because no size was said", which="Which size?",
        ),
    ),
    steps=(StepShape(tool="book_parking", args=(("garage", "garage"), ("date", "date"), ("time", "time"), ("size", "size"))),),
    booking=True,
    label="the parking space from {time}",
    summary="parking at {garage} from {moment}",
    confirmation="Parking at {garage}, {step:book_parking.code}.",
    title="Parking at {garage}",
)  # fmt: skip
WITH_PARKING = (*DOMAINS, PARKING)


def planned(text: str) -> Planned:
    """With the domain that was added."""
    found = plan_text(text, profile=BY_SMS, now=NOON, domains=WITH_PARKING)
    assert isinstance(found, Planned), found
    return found


def test_a_new_domain_is_a_row() -> None:
    """Details, rules, sources, the summary and the confirmation that this user always wants."""
    found = planned("Reserve a parking space at Garage Nord for a van tomorrow at 7pm")
    assert [step["tool"] for step in found.plan["steps"]] == ["book_parking", "send_message"]
    assert found.plan["steps"][0]["args"] == {"garage": "Garage Nord", "date": "2026-03-12", "time": "19:00", "size": "large"}
    assert found.plan["steps"][1]["args"]["text"] == "Parking at Garage Nord, ${book_parking.code}."
    assert found.summary.startswith("Parking at Garage Nord from Thursday 12 March 2026 at 19:00")
    assert origin(found, "book_parking", "garage") == ("text", "at Garage Nord")


def test_a_new_domain_stands_beside_the_others() -> None:
    """Times are counted from it and from others, repetitions and reminders work with it."""
    found = planned(
        "Book a table for 2 at 7pm and a parking space at Garage Nord half an hour earlier, and remind me an hour before dinner"
    )
    parking = next(step for step in found.plan["steps"] if step.get("tool") == "book_parking")
    assert (parking["args"]["time"], parking["args"]["size"]) == ("18:30", "small")
    assert origin(found, "book_parking", "size") == ("rule", "a car, because no size was said")
    assert next(step for step in found.plan["steps"] if "sleep" in step)["sleep"]["until"] == "2026-03-11T18:00:00+01:00"
    repeated = planned("every Friday at 8am get parking at Garage Nord at 9am")
    assert repeated.schedule is not None
    assert repeated.schedule.cron == "0 8 * * FRI"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("book parking at 7pm", ["garage"]),
        ("book parking at Garage Nord", ["time"]),
        ("parking at Garage Nord at 7pm, van or car", ["size", "text"]),
    ],
)
def test_a_new_domain_asks(text: str, fields: list[str]) -> None:
    """In its own words."""
    found = plan_text(text, profile=USER, now=NOON, domains=WITH_PARKING)
    assert isinstance(found, Clarification)
    assert [question.field for question in found.questions] == fields


def test_without_the_row_the_same_words_are_asked_about() -> None:
    """Nothing of it is in the planner."""
    assert asked("book parking at Garage Nord at 7pm") == ["intent"]


def test_a_tool_that_is_not_registered_is_said_not_to_be_there() -> None:
    """The plan would be refused; so it is not made."""
    town = {"find_table", "reserve_table", "book_ride", "send_message"}
    found = plan_text("What's the weather in Berlin tomorrow?", profile=USER, now=NOON, tools=town)
    assert isinstance(found, Clarification)
    assert [question.field for question in found.questions] == ["tool"]
    assert "weather" in found.questions[0].question
    both = plan_text("Book a table for 2 at 7pm and tell me the weather in Berlin", profile=USER, now=NOON, tools=town)
    assert isinstance(both, Clarification)
    assert [question.field for question in both.questions] == ["tool"]


def test_a_row_that_can_do_with_fewer_tools_stands_in() -> None:
    """Without a search, the best free table is looked for."""
    found = plan_text("find restaurants for 2 at 8pm", profile=USER, now=NOON, tools={"find_table", "send_message"})
    assert isinstance(found, Planned)
    assert [step["tool"] for step in found.plan["steps"]] == ["find_table"]


@pytest.mark.parametrize("row", DOMAINS, ids=lambda row: f"{row.name}: {', '.join(sorted(row.tools))}")
def test_every_argument_of_a_row_has_a_source(row: Domain) -> None:
    """A detail, a part of a moment, or an earlier step."""
    parts = {
        "moment": {"date", "time"},
        "day": {"date"},
        "span": {"start", "end", "date", "time"},
        "whom": {"to", "channel"},
    }
    known = {name for detail in row.details for name in parts.get(detail.kind, {detail.name})}
    earlier: set[str] = set()
    for shape in row.steps:
        for _, source in shape.args:
            assert source in known or source.removeprefix("step:").split(".")[0] in earlier
        earlier.add(shape.tool)
