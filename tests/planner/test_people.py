"""How many people the words mean."""

from dataclasses import dataclass

import msgspec
import pytest

from tests.planner.support import STRANGER, USER, args, asked, candidates, origin, planned


@dataclass(frozen=True)
class Row:
    """Words for a party, and its size."""

    words: str
    size: int


COUNTED = {
    "a figure": Row("for 2", 2),
    "a word": Row("for four", 4),
    "a dozen is twelve": Row("for a dozen people", 12),
    "the largest party": Row("for twenty", 20),
    "people": Row("for 4 people", 4),
    "adults and kids are added up": Row("for three adults and two kids", 5),
    "a baby counts": Row("for two adults and a baby", 3),
    "a party of": Row("for a party of six", 6),
    "a family of": Row("for a family of four", 4),
    "the four of us": Row("for the four of us", 4),
    "only me": Row("for just me", 1),
    "alone": Row("alone", 1),
    "my wife and me": Row("for my wife and me", 2),
    "me and my wife": Row("for me and my wife", 2),
    "me and three friends": Row("for me and three friends", 4),
    "my wife, two kids and me": Row("for my wife, two kids and me", 4),
    "without for": Row(", 4 people,", 4),
    "said twice alike": Row("for 4, for four people", 4),
}


@pytest.mark.parametrize("row", COUNTED.values(), ids=COUNTED.keys())
def test_a_party_is_counted(row: Row) -> None:
    """In figures, in words, by head."""
    found = planned(f"Book a table {row.words} at 7pm")
    assert args(found, "find_table")["party_size"] == row.size
    assert origin(found, "find_table", "party_size")[0] == "text"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param("for my wife", ("1", "2"), id="my wife, with or without me"),
        pytest.param("for my wife and two kids", ("3", "4"), id="my family, with or without me"),
        pytest.param("for me", ("1", "2"), id="for me, as guest or as the one who asks"),
        pytest.param("for my parents", None, id="an unknown group"),
        pytest.param("for me and my friends", (), id="friends without a number"),
        pytest.param("for 2 for 4 people", ("2", "4"), id="two numbers"),
    ],
)
def test_an_unclear_party_is_asked(words: str, offered: tuple[str, ...] | None) -> None:
    """With the readings to choose from."""
    if offered is None:
        assert "text" in asked(f"Book a table {words} at 7pm")
    else:
        assert asked(f"Book a table {words} at 7pm") == ["party_size"]
        assert candidates(f"Book a table {words} at 7pm") == offered


@pytest.mark.parametrize("size", ["0", "21", "40", "twenty-one", "9999"])
def test_an_impossible_party_is_asked(size: str) -> None:
    """A party has 1 to 20 people."""
    assert asked(f"Book a table for {size} at 7pm") == ["party_size"]


@pytest.mark.parametrize("words", ["for 2-3", "for -2", "for 2.5", "for 2 or 3", "for about 4", "for 2 hours", "for 99999"])
def test_a_number_that_is_no_party_is_not_read_as_one(words: str) -> None:
    """And is not dropped either."""
    assert "text" in asked(f"Book a table {words} at 7pm")


def test_a_two_person_table() -> None:
    """The number may stand before the table."""
    assert args(planned("Book a four-person table at 19:00"), "find_table")["party_size"] == 4


def test_we_will_be_six() -> None:
    """Said in a sentence of its own."""
    assert args(planned("we'll be six, dinner at 8"), "find_table")["party_size"] == 6


def test_us_is_the_usual_party() -> None:
    """Or a question, if there is no usual one."""
    assert origin(planned("Book a table for us at 7pm"), "find_table", "party_size") == ("profile", "party_size")
    assert asked("Book a table for us at 7pm", msgspec.structs.replace(STRANGER, name="A")) == ["party_size"]


def test_a_stored_party_is_checked_too() -> None:
    """A profile is data like any other."""
    assert asked("Book a table at 7pm", msgspec.structs.replace(USER, party_size=0)) == ["party_size"]
    assert asked("Book a table at 7pm", msgspec.structs.replace(USER, party_size=40)) == ["party_size"]
