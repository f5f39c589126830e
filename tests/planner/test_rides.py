"""From where, to where, when and with how many."""

import msgspec
import pytest

from tests.planner.support import BY_SMS, STRANGER, USER, args, asked, candidates, planned, steps


@pytest.mark.parametrize(
    ("text", "pickup", "destination"),
    [
        ("book a taxi to the airport at 9pm", "1 Main Street", "the airport"),
        ("ride from the Hilton to Berlin airport at 9pm", "the Hilton", "Berlin airport"),
        ("a cab from the airport to home at 9pm", "the airport", "1 Main Street"),
        ("take me home from the airport at 9pm", "the airport", "1 Main Street"),
        ("pick me up at the Hilton at 9pm and take me home", "the Hilton", "1 Main Street"),
        ("drive me to 12 Main Street, Springfield at 9pm", "1 Main Street", "12 Main Street, Springfield"),
        ("drive me to 12 main street at 9pm", "1 Main Street", "12 main street"),
        ("at 9pm I need a lift to Central Station", "1 Main Street", "Central Station"),
        ('taxi to "the old mill" at 9pm', "1 Main Street", "the old mill"),
    ],
)
def test_the_two_ends(text: str, pickup: str, destination: str) -> None:
    """What is not said starts at home."""
    found = args(planned(text), "book_ride")
    assert (found["pickup"], found["destination"], found["time"]) == (pickup, destination, "21:00")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param("book a taxi home at 10pm", ["pickup"], id="home from where?"),
        pytest.param("book a taxi at 10pm", ["destination"], id="where to?"),
        pytest.param("ride to the airport", ["time"], id="when?"),
        pytest.param("taxi from home to home at 9pm", ["destination"], id="the same place twice"),
        pytest.param("book me a taxi to work at 9pm", ["text", "destination"], id="a place only the user knows"),
        pytest.param("a taxi there at 9pm", ["restaurant"], id="there, without a table"),
        pytest.param("taxi for 30 to the airport at 9pm", ["passengers"], id="too many"),
    ],
)
def test_what_is_missing_is_asked(text: str, fields: list[str]) -> None:
    """And only that."""
    assert asked(text) == fields


def test_home_has_to_be_stored() -> None:
    """Else it is asked, once."""
    assert asked("book me a ride to the airport at 9pm", STRANGER) == ["home"]


@pytest.mark.parametrize(
    ("words", "passengers"), [("me a taxi", 1), ("a taxi for 3", 3), ("a taxi for my wife and me", 2), ("us a taxi", 2)]
)
def test_passengers(words: str, passengers: int) -> None:
    """As said; the one who asks, if nobody is."""
    assert args(planned(f"get {words} to the airport at 9pm"), "book_ride")["passengers"] == passengers


@pytest.mark.parametrize(
    "words",
    [
        "a taxi home",
        "a taxi home from there",
        "a cab from the restaurant to home",
        "a taxi back home after dinner",
        "a lift home",
    ],
)
def test_a_ride_from_the_table(words: str) -> None:
    """In many words."""
    found = planned(f"Book a table for 2 at 7pm and {words} at 10pm")
    assert args(found, "book_ride")["pickup"] == "${reserve_table.restaurant}"


def test_a_second_ride_without_a_day_is_on_the_day_of_the_first_or_asked() -> None:
    """Both readings agree, or there is a question."""
    today = planned("taxi to the airport at 6pm and a taxi from the airport to Central Station at 9pm")
    assert args(today, "book_ride_2")["date"] == "2026-03-11"
    assert asked("taxi to the airport tomorrow at 6pm and a taxi from the airport to Central Station at 9pm") == ["date"]


def test_an_open_table_is_asked_about_before_its_ride() -> None:
    """The ride's day depends on it."""
    assert asked("Book a table for 2 at 7 and a taxi home at 10pm") == ["time"]


def test_there_and_back_again() -> None:
    """To the table before it, home after it, both on its day."""
    found = planned("Book a table for 2 at 7pm on Friday and a taxi there at 6:30pm and a taxi home at 11pm")
    there, back = args(found, "book_ride"), args(found, "book_ride_2")
    assert (there["pickup"], there["destination"], there["date"]) == (
        "1 Main Street",
        "${reserve_table.restaurant}",
        "2026-03-13",
    )
    assert (back["pickup"], back["destination"], back["date"]) == ("${reserve_table.restaurant}", "1 Main Street", "2026-03-13")


def test_a_ride_said_before_its_table_is_still_booked_after_it() -> None:
    """It needs to know the restaurant."""
    found = planned("a taxi there at 6:30pm and a table for 2 at 7pm")
    assert [step["name"] for step in steps(found)] == ["find_table", "reserve_table", "book_ride"]


def test_the_restaurants_name_means_its_table() -> None:
    """From Luigi's is from the table at Luigi's."""
    found = planned("Book a table for 2 at Luigi's at 7pm and a ride home from Luigi's at 10pm")
    assert args(found, "book_ride")["pickup"] == "${reserve_table.restaurant}"


@pytest.mark.parametrize(
    "text",
    [
        "Book a table for 2 at 7pm and a taxi there at 8pm",
        "Book a table for 2 at 7pm tomorrow and a taxi home at 6pm tomorrow",
        "Book a table for 2 at 7pm tomorrow and a taxi there at 8pm tomorrow",
    ],
)
def test_a_ride_at_the_wrong_end_of_the_table_is_asked(text: str) -> None:
    """There after it, or home before it."""
    assert asked(text) == ["time"]


def test_a_ride_elsewhere_beside_a_table_does_not_know_its_start() -> None:
    """Home or the restaurant."""
    assert candidates("Book a table for 2 at 7pm and a taxi to the airport at 10pm") == ("home", "the restaurant")


def test_which_of_two_tables_is_asked() -> None:
    """Home from which restaurant?"""
    assert "restaurant" in asked("Book a table for 2 at 7pm and a table for 4 at 9pm and a taxi home at 11pm")


def test_a_confirmation_covers_table_and_ride() -> None:
    """One message, in which a ride's own words stay words."""
    found = planned("Book a table for 2 at 7pm and a taxi home at 10pm", BY_SMS)
    text = args(found, "send_message")["text"]
    assert text.endswith(
        "Ride from ${reserve_table.restaurant} to 1 Main Street on 2026-03-11 at 22:00. Reference ${book_ride.ride_id}."
    )
    assert steps(found)[-1]["needs"] == ["reserve_table", "book_ride"]


def test_a_home_that_looks_like_a_reference_is_asked() -> None:
    """A profile cannot write references either, not even in disguise."""
    for home in ("${find_table.restaurant}", "$\u200b{find_table.restaurant}"):
        assert asked("book me a ride to the airport at 9pm", msgspec.structs.replace(USER, home=home)) == ["home"]
