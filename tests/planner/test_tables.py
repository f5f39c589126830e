"""Where, what and under which name; one table or several."""

import pytest

from tests.planner.support import USER, args, asked, candidates, planned, steps


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("at Luigi's", "Luigi's"),
        ("at luigi's", "luigi's"),
        ("at Bella Napoli", "Bella Napoli"),
        ("at the Green Door", "Green Door"),
        ("at The Copper Pot", "The Copper Pot"),
        ("at Four Seasons", "Four Seasons"),
        ("at Thai Palace", "Thai Palace"),
        ("at Salt & Pepper", "Salt & Pepper"),
        ("at Café de la Paix", "Café de la Paix"),
        ('at "the table and the taxi"', "the table and the taxi"),
        ("at “Noon”", "Noon"),
        ("at Luigi’s", "Luigi's"),  # noqa: RUF001
    ],
)
def test_a_restaurant_by_name(words: str, name: str) -> None:
    """Capitalised, possessive, or in quotation marks."""
    for text in (f"Book a table for 2 {words} at 7pm", f"Book a table for 2 at 7pm {words} tomorrow"):
        found = args(planned(text), "find_table")
        assert (found["restaurant"], found["time"], found["party_size"]) == (name, "19:00", 2)


@pytest.mark.parametrize("words", ["at bella napoli", "at some nice place", "at Some Nice Place", "at work", "at my wife's"])
def test_what_may_not_be_a_name_is_asked(words: str) -> None:
    """A description is not booked as if it were a name."""
    assert asked(f"Book a table for 2 {words} at 7pm")


@pytest.mark.parametrize(
    ("words", "area"),
    [
        ("in Soho", "Soho"),
        ("near Union Square", "Union Square"),
        ("in the old town", "old town"),
        ("near the station", "station"),
        ("downtown", "downtown"),
    ],
)
def test_an_area(words: str, area: str) -> None:
    """A name or a known kind of place."""
    assert args(planned(f"Book a table for 2 at 7pm {words}"), "find_table")["area"] == area


@pytest.mark.parametrize(
    ("words", "cuisine"),
    [("an Italian", "italian"), ("a thai", "thai"), ("a sushi", "japanese"), ("a vegetarian", "vegetarian")],
)
def test_a_cuisine(words: str, cuisine: str) -> None:
    """By its name or by its dish."""
    assert args(planned(f"Book {words} dinner for 2 at 7pm"), "find_table")["cuisine"] == cuisine


def test_two_cuisines_are_asked() -> None:
    """With both to choose from."""
    assert candidates("Book an Italian Thai dinner for 2 at 7pm") == ("italian", "thai")


@pytest.mark.parametrize("words", ["under the name Ana Smith", "under Ana Smith", "in the name of Ana Smith"])
def test_a_name_for_the_reservation(words: str) -> None:
    """The text's goes before the profile's."""
    assert args(planned(f"Book a table for 2 at 7pm {words}"), "reserve_table")["name"] == "Ana Smith"


def test_all_at_once() -> None:
    """Every detail in one sentence."""
    text = "Could you please book an Italian dinner for the four of us at 7:30 pm downtown under the name Ana Smith?"
    assert args(planned(text), "find_table") == {
        "party_size": 4,
        "date": "2026-03-11",
        "time": "19:30",
        "cuisine": "italian",
        "area": "downtown",
    }


@pytest.mark.parametrize(
    "text",
    [
        "For my wife and me, book dinner tomorrow at 8",
        "Tomorrow at 8pm, dinner for two",
        "dinner, 2 people, tomorrow 8pm",
        "I'd like to reserve a table for two tomorrow at 20:00.",
        "BOOK A TABLE FOR TWO TOMORROW AT 8PM!",
        "Hi, can you get us a table tomorrow at 8pm, please? Thanks!",
        "Find a restaurant and book a table for 2 tomorrow at 8pm",
        "plan dinner and reserve a table for 2 tomorrow at 8pm",
        "table for 2 8pm tomorrow",
        "  book\ta\ntable   for 2 tomorrow at 8pm  ",
    ],
)
def test_the_same_table_in_other_words(text: str) -> None:
    """Order, politeness and shape do not matter."""
    assert args(planned(text), "find_table") == {"party_size": 2, "date": "2026-03-12", "time": "20:00"}


def test_two_meals_at_one_table_are_asked() -> None:
    """Lunch and dinner are not one table."""
    assert candidates("Book a lunch dinner for 2 tomorrow at 1pm") == ("lunch", "dinner")


def test_two_tables_are_two_pairs_of_steps() -> None:
    """Numbered from the second on; a time alone means the same evening."""
    found = planned("Book a table for 2 at 7pm and a table for 4 at 9pm")
    assert [step["name"] for step in steps(found)] == ["find_table", "reserve_table", "find_table_2", "reserve_table_2"]
    assert args(found, "reserve_table_2")["restaurant"] == "${find_table_2.restaurant}"


@pytest.mark.parametrize(
    "text",
    [
        "Book a table and a table for 4 at 9pm",
        "Book a table for 2 at 7pm and book a table for 2 at 7pm",
        "Find a table for 2 at 7pm",
        "dinner taxi for 2 at 7pm",
    ],
    ids=["an empty table beside another", "the same twice", "looking is not booking", "a table or a ride"],
)
def test_what_is_wanted_is_asked(text: str) -> None:
    """Never one booking too many."""
    assert "intent" in asked(text)


def test_a_second_table_on_an_unclear_day_is_asked() -> None:
    """The next 18:00 and the 18:00 beside a table tomorrow are two days."""
    text = "Book a table for 2 tomorrow at 7pm and a table for 4 at 9pm"
    assert candidates(text, USER) == ("2026-03-11", "2026-03-12")
