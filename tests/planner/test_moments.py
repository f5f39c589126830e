"""Days and times: what the words mean on a Wednesday at noon in Berlin, what the clock changes do, and what is asked."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.planner.support import BERLIN, NOON, USER, args, asked, candidates, moment, origin, planned

TIMES = {
    "7pm": "19:00",
    "7 pm": "19:00",
    "7:30pm": "19:30",
    "7.30 p.m.": "19:30",
    "12am": "00:00",
    "12pm": "12:00",
    "seven pm": "19:00",
    "seven thirty pm": "19:30",
    "19:30": "19:30",
    "07:30": "07:30",
    "00:15": "00:15",
    "19h30": "19:30",
    "19": "19:00",
    "noon": "12:00",
    "12 noon": "12:00",
    "7 o'clock pm": "19:00",
    "half past seven pm": "19:30",
    "quarter to eight pm": "19:45",
    "ten past six am": "06:10",
    "7 in the evening": "19:00",
    "half past seven in the morning": "07:30",
}


@pytest.mark.parametrize(("words", "time"), TIMES.items(), ids=TIMES.keys())
def test_a_time_of_day(words: str, time: str) -> None:
    """Read exactly."""
    assert moment(f"Book a table for 2 tomorrow at {words}") == f"2026-03-12 {time}"


@pytest.mark.parametrize("words", ["7", "seven", "7:30", "7.30", "half past seven", "7 o'clock", "12:30"])
def test_an_ambiguous_time_is_asked_unless_a_meal_decides(words: str) -> None:
    """A table may be for breakfast; a ride may be at any time."""
    assert asked(f"Book a table for 2 tomorrow at {words}") == ["time"]
    assert len(candidates(f"book me a ride to the airport tomorrow at {words}")) == 2


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("dinner for 2 at 7", "19:00"),
        ("supper for 2 at half past seven", "19:30"),
        ("Book a table for 2 tonight at 7", "19:00"),
        ("Book a table for 2 this evening at 7", "19:00"),
        ("lunch for 2 tomorrow at 1", "13:00"),
        ("brunch for 2 tomorrow at 10", "10:00"),
        ("breakfast for 2 tomorrow at 8", "08:00"),
        ("lunch for 2 tomorrow at 12:30", "12:30"),
        ("Book a table for 2 tomorrow morning at 9", "09:00"),
        ("Book a table for 2 today at 9", "21:00"),
    ],
)
def test_a_meal_a_part_of_the_day_or_the_past_decides(text: str, time: str) -> None:
    """Two readings become one."""
    assert moment(text).endswith(time)


@pytest.mark.parametrize("words", ["25:00", "13pm", "0am", "7:75pm", "19:60", "24:00", "half past 25"])
def test_an_impossible_time_is_asked(words: str) -> None:
    """25:00 is not one o'clock."""
    assert asked(f"Book a table for 2 at {words}") == ["time"]


@pytest.mark.parametrize("words", ["at 7pm at 8pm", "at 7pm, 8pm", "tomorrow morning at 7pm", "at 3 for dinner"])
def test_contradicting_times_are_asked(words: str) -> None:
    """All that was said has to agree."""
    assert asked(f"Book a table for 2 {words}") == ["time"]


@pytest.mark.parametrize("words", ["after 7pm", "before 7pm", "by 7pm", "from 7pm", "7pm or 8pm", "19:30:15"])
def test_a_vague_time_is_not_made_exact(words: str) -> None:
    """The word that makes it vague is asked about."""
    assert asked(f"Book a table for 2 {words}")


@pytest.mark.parametrize("words", ["around 7pm", "about 7pm", "at around 19:00", "at about seven pm"])
def test_about_a_time_is_that_time(words: str) -> None:
    """A booking is for one time, and no other is meant."""
    assert moment(f"Book a table for 2 {words}") == "2026-03-11 19:00"


def test_about_so_many_people_is_no_time() -> None:
    """ "For about 6" is a party that is not known yet."""
    assert asked("Dinner for about 6 tomorrow") == ["text"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [("on the weekend", ("2026-03-14", "2026-03-15")), ("this weekend", ("2026-03-14", "2026-03-15"))],
)
def test_a_weekend_has_two_days(words: str, offered: tuple[str, ...]) -> None:
    """One of them is chosen by whoever asked."""
    assert asked(f"Book a table for 2 {words} at 7pm") == ["date"]
    assert candidates(f"Book a table for 2 {words} at 7pm") == offered


DAYS = {
    "today": "2026-03-11",
    "tonight": "2026-03-11",
    "this evening": "2026-03-11",
    "tomorrow": "2026-03-12",
    "the day after tomorrow": "2026-03-13",
    "on Friday": "2026-03-13",
    "this Friday": "2026-03-13",
    "fri": "2026-03-13",
    "on Tuesday": "2026-03-17",
    "next Tuesday": "2026-03-17",
    "next Wednesday": "2026-03-18",
    "in 3 days": "2026-03-14",
    "in two weeks": "2026-03-25",
    "in a week": "2026-03-18",
    "on 24 December": "2026-12-24",
    "on the 24th of December": "2026-12-24",
    "December 24th": "2026-12-24",
    "on Dec 24, 2026": "2026-12-24",
    "on Thursday 24 December": "2026-12-24",
    "on 11 March": "2026-03-11",
    "on 1 March": "2027-03-01",
    "on 24 December, 2026": "2026-12-24",
    "on 2026-12-24": "2026-12-24",
    "on 24.12.": "2026-12-24",
    "on 24.12.2026": "2026-12-24",
    "on 24/12": "2026-12-24",
    "on 12/24": "2026-12-24",
    "on the 24th": "2026-03-24",
    "on the 5th": "2026-04-05",
    "on the 31st": "2026-03-31",
}


@pytest.mark.parametrize(("words", "date"), DAYS.items(), ids=DAYS.keys())
def test_a_day(words: str, date: str) -> None:
    """The next one that the words can mean."""
    found = planned(f"Book a table for 2 {words} at 7pm")
    assert args(found, "find_table")["date"] == date
    assert origin(found, "find_table", "date") == ("text", words)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param("next Friday", ("2026-03-13", "2026-03-20"), id="next Friday on a Wednesday"),
        pytest.param("on Wednesday", ("2026-03-11", "2026-03-18"), id="on Wednesday on a Wednesday"),
        pytest.param("on 3/4", ("2026-04-03", "2027-03-04"), id="day first or month first"),
        pytest.param("on Friday on Monday", ("2026-03-13", "2026-03-16"), id="two days"),
    ],
)
def test_an_ambiguous_day_is_asked(words: str, offered: tuple[str, ...]) -> None:
    """With the days to choose from."""
    assert candidates(f"Book a table for 2 {words} at 7pm") == offered


def test_a_weekday_that_can_only_be_the_next_one_is_not_asked() -> None:
    """Today's nine o'clock is gone."""
    assert moment("Book a table for 2 on Wednesday at 9am") == "2026-03-18 09:00"


@pytest.mark.parametrize(
    "words", ["on 31 February", "on 32 December", "on Friday 24 December", "on 2026-13-01", "on 31/31", "on 0 May"]
)
def test_an_impossible_day_is_asked(words: str) -> None:
    """24 December 2026 is a Thursday."""
    assert asked(f"Book a table for 2 {words} at 7pm") == ["date"]


@pytest.mark.parametrize("words", ["today at 11am", "yesterday at 7pm", "on 24 December 2020 at 7pm", "this morning at 9"])
def test_the_past_is_asked(words: str) -> None:
    """Nothing is moved to tomorrow on the quiet."""
    assert asked(f"Book a table for 2 {words}") == ["date"]


def test_more_than_a_year_ahead_is_asked() -> None:
    """It is more often a slip than a wish."""
    assert asked("Book a table for 2 on 24 December 2028 at 7pm") == ["date"]


@pytest.mark.parametrize("words", ["next week", "in December"])
def test_other_days_are_not_understood(words: str) -> None:
    """And therefore asked about."""
    assert "text" in asked(f"Book a table for 2 {words} at 7pm")


# -- a time alone ----------------------------------------------------------------------------------------------------------


def test_a_time_alone_is_the_next_such_time() -> None:
    """Later today, or tomorrow when today's has gone by, or is this very moment."""
    text = "Book a table for 2 at 7pm"
    assert moment(text, now=datetime(2026, 3, 11, 18, 59, tzinfo=BERLIN)) == "2026-03-11 19:00"
    assert moment(text, now=datetime(2026, 3, 11, 19, 0, tzinfo=BERLIN)) == "2026-03-12 19:00"
    assert moment(text, now=datetime(2026, 12, 31, 20, 0, tzinfo=BERLIN)) == "2027-01-01 19:00"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2026-03-11 19:00"),
        ("America/Los_Angeles", "2026-03-11 19:00"),
        ("Asia/Tokyo", "2026-03-12 19:00"),
        ("Pacific/Kiritimati", "2026-03-12 19:00"),
    ],
)
def test_now_is_read_in_the_users_zone(zone: str, expected: str) -> None:
    """At 15:00 UTC it is past seven in Tokyo."""
    user = msgspec.structs.replace(USER, timezone=zone)
    assert moment("Book a table for 2 at 7pm", user, datetime(2026, 3, 11, 15, 0, tzinfo=UTC)) == expected


def test_tomorrow_is_tomorrow_where_the_user_is() -> None:
    """Half past eleven at night in UTC is already the next day in Berlin."""
    late = datetime(2026, 3, 11, 23, 30, tzinfo=UTC)
    assert moment("Book a table for 2 tomorrow at 7pm", now=late) == "2026-03-13 19:00"
    assert (
        moment("Book a table for 2 tomorrow at 7pm", msgspec.structs.replace(USER, timezone="UTC"), late) == "2026-03-12 19:00"
    )


@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../etc/passwd", "Europe", "a\0b", "\ud800"])
def test_an_unknown_zone_is_asked(zone: str) -> None:
    """Never taken for UTC."""
    assert asked("Book a table for 2 at 7pm", msgspec.structs.replace(USER, timezone=zone)) == ["timezone"]


@pytest.mark.parametrize("stored", ["7pm", "19", "25:00", "19:60", "\u0660\u0667:\u0660\u0660", ""])
def test_a_malformed_stored_time_is_asked(stored: str) -> None:
    """A profile is data like any other."""
    assert asked("Book a table for 2", msgspec.structs.replace(USER, dinner_time=stored)) == ["time"]


@pytest.mark.parametrize("meal", ["lunch", "breakfast", "brunch"])
def test_the_dinner_time_is_for_dinner(meal: str) -> None:
    """Nobody's lunch is moved to the evening."""
    assert asked(f"Book {meal} for 2 tomorrow") == ["time"]


def test_a_part_of_the_day_the_dinner_time_is_not_in_is_asked() -> None:
    """Tomorrow morning is not 19:00."""
    assert asked("Book a table for 2 tomorrow morning") == ["time"]
    assert moment("Book a table for 2 tonight") == "2026-03-11 19:00"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("in 30 minutes", "12:30"),
        ("in half an hour", "12:30"),
        ("in an hour", "13:00"),
        ("in 14 hours", "02:00"),
        ("now", "12:00"),
    ],
)
def test_a_time_from_now(words: str, expected: str) -> None:
    """Carries its day along, also over midnight."""
    found = args(planned(f"book me a ride to the airport {words}"), "book_ride")
    assert found["time"] == expected
    assert found["date"] == ("2026-03-12" if expected == "02:00" else "2026-03-11")


def test_now_is_the_next_whole_minute() -> None:
    """Never a moment that is already past."""
    found = args(planned("book me a ride to the airport now", now=NOON + timedelta(seconds=1)), "book_ride")
    assert found["time"] == "12:01"


# -- midnight --------------------------------------------------------------------------------------------------------------


def test_midnight_alone_and_tonight_is_the_coming_one() -> None:
    """It belongs to tomorrow's date."""
    assert moment("Book a table for 2 at midnight") == "2026-03-12 00:00"
    assert moment("Book a table for 2 tonight at midnight") == "2026-03-12 00:00"
    assert moment("Book a table for 2 today at midnight") == "2026-03-12 00:00"


def test_midnight_of_another_day_has_two_ends() -> None:
    """The night before it or the night after it."""
    assert candidates("Book a table for 2 tomorrow at midnight") == ("2026-03-12", "2026-03-13")


def test_a_ride_home_after_midnight_is_the_next_day() -> None:
    """The next 1:00 after a table at 22:00."""
    found = planned("Book a table for 2 at 10pm and a taxi home at 1am")
    assert (args(found, "book_ride")["date"], args(found, "book_ride")["time"]) == ("2026-03-12", "01:00")


# -- clocks that change ----------------------------------------------------------------------------------------------------

SPRING = datetime(2026, 3, 28, 20, 0, tzinfo=BERLIN)
"""The evening before 02:00 becomes 03:00."""
AUTUMN = datetime(2026, 10, 24, 20, 0, tzinfo=BERLIN)
"""The evening before 03:00 becomes 02:00."""


@pytest.mark.parametrize("now", [SPRING, AUTUMN], ids=["skipped in spring", "shown twice in autumn"])
def test_a_time_that_is_not_exactly_one_is_asked(now: datetime) -> None:
    """02:30 does not exist, or exists twice."""
    assert asked("book me a ride to the airport at 2:30am", now=now) == ["time"]
    assert asked("book me a ride to the airport tomorrow at 2:30am", now=now) == ["time"]


@pytest.mark.parametrize("now", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_other_times_of_such_a_day_are_fine(now: datetime) -> None:
    """As are the same times the day after."""
    assert args(planned("book me a ride to the airport at 3:30am", now=now), "book_ride")["time"] == "03:30"
    assert args(planned("book me a ride to the airport in 2 days at 2:30am", now=now), "book_ride")["time"] == "02:30"


def test_hours_from_now_are_real_hours() -> None:
    """Eight hours after 20:00, with one of them skipped, the wall shows 5:00."""
    assert args(planned("book me a ride to the airport in 8 hours", now=SPRING), "book_ride")["time"] == "05:00"
    assert args(planned("book me a ride to the airport in 8 hours", now=AUTUMN), "book_ride")["time"] == "03:00"


def test_the_second_two_oclock_does_not_make_half_past_two_the_past() -> None:
    """In the hour that happens twice, a later wall time may still come: that is asked, not refused as past."""
    first = datetime(2026, 10, 25, 2, 45, tzinfo=BERLIN)
    assert asked("book me a ride to the airport today at 2:30am", now=first) == ["time"]
    second = first.replace(fold=1)
    assert asked("book me a ride to the airport today at 2:30am", now=second) == ["date"]
