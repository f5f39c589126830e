"""What reaches from one request to another: times, approvals, alternatives, order."""

from typing import Any

import msgspec
import pytest

from shared.planner import Planned
from tests.planner.support import BY_SMS, NOON, USER, args, asked, candidates, origin, planned, steps

TABLE = "Book a table for 2 at 7pm"
EVENTS = msgspec.structs.replace(
    USER, event_minutes=90, confirm_by="sms", contacts={"Ana": "+14155550199", "Ben": "ben@example.com"}
)


def step(plan: Planned, name: str) -> dict[str, Any]:
    """One step of a plan."""
    (found,) = (one for one in steps(plan) if one["name"] == name)
    return found


# -- times -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "time"),
    [
        ("half an hour earlier", "18:30"),
        ("30 minutes before", "18:30"),
        ("ten minutes before dinner", "18:50"),
        ("an hour and a half before that", "17:30"),
        ("a quarter of an hour before the table", "18:45"),
        ("two hours earlier", "17:00"),
    ],
)
def test_a_time_is_counted_from_another_request(words: str, time: str) -> None:
    """And says so."""
    found = planned(f"{TABLE} and a taxi there {words}")
    assert args(found, "book_ride")["time"] == time
    assert origin(found, "book_ride", "time") == ("text", f"{words}, counted from the table at 19:00")


def test_minutes_are_counted_by_the_clock_and_days_by_the_wall() -> None:
    """Across the hour that is left out."""
    night = planned("Book a table for 2 on 28 March at 11pm and a taxi home four hours later")
    assert args(night, "book_ride")["date"] == "2026-03-29"
    assert args(night, "book_ride")["time"] == "04:00"
    day = planned("Book a table for 2 on 29 March at 7pm and text me a day before", BY_SMS)
    assert next(one for one in steps(day) if "sleep" in one)["sleep"]["until"] == "2026-03-28T19:00:00+01:00"


@pytest.mark.parametrize(
    "text",
    [
        "taxi to the airport ten minutes before",
        "a taxi to the airport at 6pm, a table for 2 at 8pm, and remind me ten minutes before",
        f"{TABLE} and remind me ten minutes before the taxi",
        f"{TABLE} and a taxi there half an hour earlier at 6pm",
    ],
    ids=["nothing to count from", "two things", "not that thing", "two times"],
)
def test_what_a_time_is_counted_from_is_asked(text: str) -> None:
    """Never guessed."""
    assert "time" in asked(text, BY_SMS)


def test_a_counted_time_in_the_past_is_asked() -> None:
    """It is noon."""
    assert asked("Book a table for 2 at 1pm and a taxi there two hours earlier") == ["date"]


# -- approvals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"{TABLE} but ask me first",
        f"{TABLE}, wait for my approval before booking",
        f"Wait for my approval, then {TABLE.lower()}",
        "Find a table for 2 at 7pm, wait for my approval, then book it",
        f"{TABLE} once I approve",
    ],
)
def test_a_booking_waits_for_approval(text: str) -> None:
    """The search does not: it changes nothing."""
    found = planned(text)
    assert step(found, "reserve_table")["approve"] == {"message": "table for 2 on Wednesday 11 March 2026 at 19:00"}
    assert "approve" not in step(found, "find_table")
    assert "after approval" in found.summary


def test_approval_between_two_requests_is_for_the_second() -> None:
    """What comes before it is done."""
    found = planned(f'{TABLE}, wait for my approval, then text +14155550123 "hi"')
    assert "approve" in step(found, "send_message")
    assert "approve" not in step(found, "reserve_table")
    assert step(found, "send_message")["needs"] == ["reserve_table"]


def test_whose_approval_it_is_may_have_to_be_asked() -> None:
    """Of two bookings."""
    assert asked(f"{TABLE} and a taxi home at 10pm, but ask me first") == ["approval"]


def test_approval_in_the_words_of_a_message_is_words() -> None:
    """Nothing waits for it."""
    found = planned('text +14155550123 "wait for my approval"')
    assert args(found, "send_message")["text"] == "wait for my approval"
    assert "approve" not in step(found, "send_message")


# -- alternatives ----------------------------------------------------------------------------------------------------------


def test_an_alternative_is_tried_only_if_the_first_fails() -> None:
    """Each way has its own confirmation, which is skipped with it."""
    found = planned(f"{TABLE}, if that fails try 8pm", BY_SMS)
    assert [one["name"] for one in steps(found)] == [
        "find_table", "reserve_table", "find_table_2", "reserve_table_2", "send_message", "send_message_2",
    ]  # fmt: skip
    assert step(found, "find_table")["may_fail"]
    assert step(found, "reserve_table")["may_fail"]
    assert step(found, "find_table_2")["when"] == "failed(reserve_table) or skipped(reserve_table)"
    assert args(found, "reserve_table_2")["time"] == "20:00"
    assert step(found, "send_message")["needs"] == ["reserve_table"]
    assert step(found, "send_message_2")["needs"] == ["reserve_table_2"]
    assert origin(found, "find_table_2", "date") == ("rule", "the same as of the table at 19:00")


def test_literal_words_go_out_once_whichever_way_it_comes() -> None:
    """They wait for one of the two."""
    found = planned(f'{TABLE}, if that fails try 8pm, then text +14155550123 "booked"')
    assert step(found, "send_message")["needs"] == ["reserve_table", "reserve_table_2"]
    assert step(found, "send_message")["join"] == 1


@pytest.mark.parametrize(
    ("words", "argument", "value"),
    [
        ("otherwise at 9pm", "time", "21:00"),
        ("if that is not possible try tomorrow", "date", "2026-03-12"),
        ("if they're full try Bella Napoli", "restaurant", "Bella Napoli"),
        ("failing that, an hour later", "time", "20:00"),
        ("if not, book it for 4 people", "party_size", 4),
    ],
)
def test_what_may_differ(words: str, argument: str, value: str) -> None:
    """Time, day, place, size; the rest stays."""
    found = planned(f"{TABLE}, {words}")
    assert args(found, "find_table_2")[argument] == value


@pytest.mark.parametrize(
    "text",
    [
        f"{TABLE}, if that fails text me",
        f"{TABLE}, if that fails do something else",
        f"{TABLE}, if that fails try 7pm",
        f"{TABLE}, if that fails try 8pm, and a taxi home at 11pm",
    ],
    ids=["another kind", "nothing that is known", "the same", "something leans on it"],
)
def test_an_alternative_that_is_unclear_is_asked(text: str) -> None:
    """The first way is not booked without it."""
    assert "alternative" in asked(text)


# -- reminders, calendars, order -------------------------------------------------------------------------------------------


def test_a_reminder_is_a_sleep_and_a_message() -> None:
    """At the moment itself, with its offset."""
    found = planned("remind me tomorrow at 9am to call the bank", BY_SMS)
    assert steps(found)[0] == {"name": "sleep", "sleep": {"until": "2026-03-12T09:00:00+01:00"}, "needs": []}
    assert args(found, "send_message") == {"to": "+14155550100", "channel": "sms", "text": "call the bank"}
    assert step(found, "send_message")["needs"] == ["sleep"]
    assert origin(found, "sleep", "until") == ("text", "tomorrow at 9am")


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("remind me at 5pm to pick up Ana at 6pm", "pick up Ana at 6pm"),
        ("remind me at a quarter to eight pm to leave", "leave"),
        ("remind me to walk to the station at 5pm", "walk to the station"),
    ],
)
def test_the_words_of_a_reminder(text: str, body: str) -> None:
    """A time at their end is its time only if none stood before them."""
    assert args(planned(text, BY_SMS), "send_message")["text"] == body


@pytest.mark.parametrize("text", ["remind me to be home by 6pm", "remind me to call mum at 6pm about tomorrow"])
def test_a_time_within_the_words_is_asked_about(text: str) -> None:
    """Nothing is cut out of a sentence."""
    assert asked(text, BY_SMS) == ["time"]


def test_a_calendar_entry_of_a_booking_leans_on_it() -> None:
    """Its title and place are known when the table is."""
    found = planned(f"{TABLE} and add it to my calendar", EVENTS)
    assert args(found, "create_calendar_event") == {
        "title": "Table for 2 at ${reserve_table.restaurant}",
        "start": "2026-03-11T19:00:00+01:00",
        "end": "2026-03-11T20:30:00+01:00",
        "location": "${reserve_table.restaurant}",
    }
    assert origin(found, "create_calendar_event", "end") == ("profile", "event_minutes")
    assert asked(f"{TABLE} and add it to my calendar") == ["end"]


def test_then_is_an_order() -> None:
    """Even between requests that have nothing else in common."""
    found = planned('text +14155550123 "leaving" and then book a taxi to the airport at 6pm')
    assert step(found, "book_ride")["needs"] == ["send_message"]
    assert steps(planned('text +14155550123 "leaving" and book a taxi to the airport at 6pm'))[0]["name"] == "book_ride"


def test_several_recipients_are_several_messages() -> None:
    """By number, by address, by a word that the user has stored."""
    found = planned("tell +14155550123, Ana and Ben that dinner is ready", EVENTS)
    assert [one["args"]["to"] for one in steps(found)] == ["+14155550123", "+14155550199", "ben@example.com"]
    assert origin(found, "send_message_2", "to") == ("profile", "contacts.Ana")


def test_who_is_told_the_weather() -> None:
    """Everybody who stands before it, and nobody is told of what was not asked for."""
    found = planned("text Ana and me the weather in Rome, and book a table for 2 at 7pm", EVENTS)
    told = [one["args"]["to"] for one in steps(found) if "Weather" in one.get("args", {}).get("text", "")]
    assert told == ["+14155550199", "+14155550100"]
    assert "Weather" not in steps(found)[-1]["args"]["text"]


def test_a_person_is_no_place() -> None:
    """Where is Ana?"""
    assert asked("taxi to Ana at 6pm", EVENTS) == ["address"]


def test_stored_places_have_their_addresses() -> None:
    """In a word of one's own."""
    found = planned("take me to work at 5pm", msgspec.structs.replace(USER, places={"work": "5 Office Park"}))
    assert args(found, "book_ride")["destination"] == "5 Office Park"
    assert origin(found, "book_ride", "destination") == ("profile", "places.work")


def test_more_people_are_counted_from_somebody() -> None:
    """Four more than whom?"""
    assert candidates("Book a table for 4 more people at 7pm") == ("4", "5")


# -- again and again -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "cron"),
    [
        ("every Friday at 6pm", "0 18 * * FRI"),
        ("at 6pm every weekday", "0 18 * * MON-FRI"),
        ("every Tuesday and Thursday at 7:30am", "30 7 * * TUE,THU"),
        ("daily at noon", "0 12 * * *"),
        ("every morning at 8", "0 8 * * *"),
        ("every weekend at 10am", "0 10 * * SAT,SUN"),
        ("on Mondays at 9am", "0 9 * * MON"),
        ("every hour", "0 * * * *"),
        ("every 15 minutes", "*/15 * * * *"),
        ("every 6 hours", "0 */6 * * *"),
    ],
)
def test_a_repetition_is_a_cron_expression(words: str, cron: str) -> None:
    """In the user's zone, before or behind what is to be done."""
    for text in (f'{words} text me "hi there"', f'text me "hi there" {words}'):
        found = planned(text, BY_SMS).schedule
        assert found is not None
        assert (found.cron, found.timezone, found.text) == (cron, "Europe/Berlin", 'text me "hi there"')


@pytest.mark.parametrize(
    "text",
    [
        'every week text me "hi"',
        'every Friday text me "hi"',
        'every Friday at 6 text me "hi"',
        'every 7 minutes text me "hi"',
        'every Friday at 6pm and every Monday at 7pm text me "hi"',
        "Book a table for 2 every Friday at 7pm",
        "every Friday at 6pm book a table for 2 at 5pm",
        "every Friday at 6pm book a table for 2 on 24 December at 7pm",
        "text +14155550123 that we meet every Friday",
    ],
)
def test_an_unclear_repetition_is_asked(text: str) -> None:
    """When, for when, or whether it is one at all."""
    assert asked(text, BY_SMS) == ["schedule"]


def test_a_repetition_in_quotation_marks_is_words() -> None:
    """They are sent, once."""
    found = planned('text +14155550123 "every Friday at 6pm"')
    assert found.schedule is None
    assert args(found, "send_message")["text"] == "every Friday at 6pm"


def test_what_is_left_of_a_repetition_can_be_planned_when_its_time_comes() -> None:
    """The words without their times, at that time."""
    found = planned("remind me every Monday at 9am to water the plants", BY_SMS)
    assert found.schedule is not None
    again = planned(found.schedule.text, BY_SMS, NOON.replace(day=16, hour=9))
    assert [one["name"] for one in steps(again)] == ["send_message"]
    assert again.schedule is None
