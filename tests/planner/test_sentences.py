"""The sentences everybody tries first, with the whole plan that comes of them."""

import msgspec
import pytest

from shared.planner import Clarification, Profile, plan_text
from tests.planner.support import BY_SMS, CONFIRMATION, NOON, USER, args, asked, origin, planned, steps


def test_book_a_table_for_2_at_7pm() -> None:
    """Search, reservation, and the confirmation this user always wants."""
    found = planned("Book a table for 2 at 7pm", BY_SMS)
    assert found.plan == {
        "steps": [
            {
                "name": "find_table",
                "tool": "find_table",
                "args": {"party_size": 2, "date": "2026-03-11", "time": "19:00"},
                "needs": [],
            },
            {
                "name": "reserve_table",
                "tool": "reserve_table",
                "args": {
                    "restaurant": "${find_table.restaurant}",
                    "party_size": 2,
                    "date": "2026-03-11",
                    "time": "19:00",
                    "name": "Test User",
                },
                "needs": ["find_table"],
            },
            {
                "name": "send_message",
                "tool": "send_message",
                "args": {"to": "+14155550100", "channel": "sms", "text": CONFIRMATION},
                "needs": ["reserve_table"],
            },
        ]
    }
    assert found.summary == "Table for 2 on Wednesday 11 March 2026 at 19:00; confirmation by sms to +14155550100."


def test_every_argument_says_where_it_came_from() -> None:
    """Text, profile, an earlier step, or a rule in words."""
    found = planned("Book a table for 2 at 7pm", BY_SMS)
    said = {(source.step, source.argument): (source.origin, source.words) for source in found.sources}
    assert said == {
        ("find_table", "party_size"): ("text", "for 2"),
        ("find_table", "date"): ("rule", "the next 19:00 after now"),
        ("find_table", "time"): ("text", "at 7pm"),
        ("reserve_table", "restaurant"): ("step", "find_table.restaurant"),
        ("reserve_table", "party_size"): ("text", "for 2"),
        ("reserve_table", "date"): ("rule", "the next 19:00 after now"),
        ("reserve_table", "time"): ("text", "at 7pm"),
        ("reserve_table", "name"): ("profile", "name"),
        ("send_message", "to"): ("profile", "phone"),
        ("send_message", "channel"): ("profile", "confirm_by"),
        ("send_message", "text"): ("step", "reserve_table"),
    }


def test_a_dinner_reservation_with_confirmation_sms_takes_party_and_time_from_the_profile() -> None:
    """The mission's second sentence says neither."""
    found = planned("Plan and execute a dinner reservation with confirmation SMS")
    assert [step["tool"] for step in steps(found)] == ["find_table", "reserve_table", "send_message"]
    assert args(found, "find_table") == {"party_size": 2, "date": "2026-03-11", "time": "19:00"}
    assert origin(found, "find_table", "party_size") == ("profile", "party_size")
    assert origin(found, "find_table", "time") == ("profile", "dinner_time")
    assert args(found, "send_message") == {"to": "+14155550100", "channel": "sms", "text": CONFIRMATION}
    assert origin(found, "send_message", "channel") == ("text", "SMS")


def test_a_stranger_is_asked_only_for_what_is_needed() -> None:
    """No phone is needed without a confirmation; a reservation needs a name."""
    assert asked("Book a table for 2 at 7pm", Profile()) == ["name"]
    assert asked("Plan and execute a dinner reservation with confirmation SMS", Profile()) == [
        "time",
        "party_size",
        "name",
        "phone",
    ]


def test_without_a_wish_for_confirmation_there_is_none() -> None:
    """Nobody is written to unasked."""
    assert [step["tool"] for step in steps(planned("Book a table for 2 at 7pm"))] == ["find_table", "reserve_table"]


def test_asking_for_the_confirmation_that_is_always_wanted_sends_one() -> None:
    """The text and the profile wish for the same thing."""
    found = planned("Book a table for 2 at 7pm and text me the confirmation", BY_SMS)
    assert [step["name"] for step in steps(found)] == ["find_table", "reserve_table", "send_message"]


def test_a_named_restaurant_tomorrow_with_an_email() -> None:
    """The text's channel goes before the profile's."""
    found = planned("Reserve a table for four tomorrow at 19:30 at Luigi's and email me", BY_SMS)
    assert args(found, "find_table") == {"party_size": 4, "date": "2026-03-12", "time": "19:30", "restaurant": "Luigi's"}
    assert args(found, "reserve_table")["restaurant"] == "${find_table.restaurant}"
    assert args(found, "send_message") == {"to": "test@example.com", "channel": "email", "text": CONFIRMATION}


def test_dinner_at_8_means_the_evening_and_the_details_go_to_the_number_given() -> None:
    """Dinner decides between 8:00 and 20:00."""
    found = planned("dinner for two at 8, text +14155550123 the details")
    assert args(found, "find_table")["time"] == "20:00"
    assert args(found, "send_message") == {"to": "+14155550123", "channel": "sms", "text": CONFIRMATION}
    assert origin(found, "send_message", "to") == ("text", "+14155550123")


def test_a_ride_starts_at_home() -> None:
    """Nobody else is named, so it is for one."""
    found = planned("book me a ride to the airport at 6am tomorrow")
    assert steps(found) == [
        {
            "name": "book_ride",
            "tool": "book_ride",
            "args": {
                "pickup": "1 Main Street",
                "destination": "the airport",
                "date": "2026-03-12",
                "time": "06:00",
                "passengers": 1,
            },
            "needs": [],
        }
    ]
    assert origin(found, "book_ride", "pickup") == ("profile", "home")
    assert origin(found, "book_ride", "passengers")[0] == "rule"


def test_a_table_and_a_taxi_home_leave_from_the_restaurant_that_was_found() -> None:
    """The ride leans on the reservation: its start, its passengers and its day."""
    found = planned("Book a table for 2 at 7pm and a taxi home at 10pm")
    assert [step["name"] for step in steps(found)] == ["find_table", "reserve_table", "book_ride"]
    assert steps(found)[2]["needs"] == ["reserve_table"]
    assert args(found, "book_ride") == {
        "pickup": "${reserve_table.restaurant}",
        "destination": "1 Main Street",
        "date": "2026-03-11",
        "time": "22:00",
        "passengers": "${reserve_table.party_size}",
    }
    assert origin(found, "book_ride", "date") == ("rule", "the next 22:00 after the table at 19:00")


def test_a_message_alone() -> None:
    """Its words are taken as they are."""
    found = planned("text +14155550123 that I'm late")
    assert args(found, "send_message") == {"to": "+14155550123", "channel": "sms", "text": "I'm late"}
    assert origin(found, "send_message", "text") == ("text", "I'm late")


def test_the_planner_needs_a_time_with_a_zone() -> None:
    """A naive time is a mistake of the caller, not of the user."""
    with pytest.raises(ValueError, match="time zone"):
        plan_text("Book a table for 2 at 7pm", profile=USER, now=NOON.replace(tzinfo=None))


def test_what_it_answers_can_be_sent() -> None:
    """Both answers are plain data."""
    assert msgspec.json.decode(msgspec.json.encode(planned("Book a table for 2 at 7pm")))["plan"]["steps"]
    question = plan_text("hello", profile=USER, now=NOON)
    assert isinstance(question, Clarification)
    assert msgspec.json.decode(msgspec.json.encode(question))["questions"]
