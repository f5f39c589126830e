"""What was begun is changed in a few words: shown first, and only if there is exactly one way."""

import pytest

from shared.chat import phrases
from shared.chat.corrections import corrected
from shared.chat.model import Ask, Begin, Drop, Help, Latest, Meaning, Nothing, Offer, Propose, Redo, Stop, Talk, Tell
from tests.chat.support import HOUR, NOW, meant, read

TABLE = "table for 2 tomorrow 7pm"


def then(words: str, message: str) -> Meaning:
    """What a message means behind an execution that was begun with these words."""
    latest = Latest(execution="exe_1", words=words, said_ms=NOW)
    return meant(message, Talk(executions=("exe_1",), latest=latest))


@pytest.mark.parametrize(
    ("words", "message", "summary"),
    [
        (TABLE, "actually make it 8pm", "Table for 2 on Thursday 12 March 2026 at 20:00"),
        (TABLE, "Actually, 8pm please", "Table for 2 on Thursday 12 March 2026 at 20:00"),
        (TABLE, "can you make it 20:30 instead?", "Table for 2 on Thursday 12 March 2026 at 20:30"),
        (TABLE, "make it for 3", "Table for 3 on Thursday 12 March 2026 at 19:00"),
        (TABLE, "no, 3 people", "Table for 3 on Thursday 12 March 2026 at 19:00"),
        (TABLE, "sorry, I meant Friday", "Table for 2 on Friday 13 March 2026 at 19:00"),
        (TABLE, "make it at Luigi's", "Table for 2 on Thursday 12 March 2026 at 19:00, restaurant Luigi's"),
        (TABLE, "no, book a table for 4 tomorrow at 9pm", "Table for 4 on Thursday 12 March 2026 at 21:00"),
        (
            "Book a table for 2 at 7pm but ask me first",
            "change it to 8pm",
            "Table for 2 on Wednesday 11 March 2026 at 20:00, after",
        ),
        ("Taxi to the airport tomorrow at 6am", "no, to the station", "Ride for 1 from 12 Harbour Street to the station"),
        ("What's the weather in Paris tomorrow?", "actually, in London", "Weather in London on Thursday 12 March 2026"),
        ("remind me at 5pm to call Bob", "make it 6pm", "Reminder by sms to +14155550123 on Wednesday 11 March 2026 at 18:00"),
        (
            "Book a table for 2 at 7pm and a taxi there half an hour earlier",
            "oh no, actually 8pm",
            "Table for 2 on Wednesday 11 March 2026 at 20:00; ride for the same party",
        ),
    ],
    ids=lambda value: value[:40],
)
def test_a_correction_is_proposed(words: str, message: str, summary: str) -> None:
    """With everything else that was said."""
    found = then(words, message)
    assert isinstance(found, Propose), found
    assert found.planned.summary.startswith(summary)
    assert found.offer.execution == "exe_1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (TABLE, "make it nice"),
        (TABLE, "no, thanks a lot"),
        (TABLE, "make it 7pm"),
        ("text +14155550111 that dinner is at 8", "make it at 9"),
        ("every Friday at 6pm book a table for 2 at 8pm", "make it 9pm"),
    ],
    ids=lambda value: value[:40],
)
def test_what_changes_nothing_or_could_change_two_things_is_asked_about(words: str, message: str) -> None:
    """Literal words are nobody's to change."""
    assert isinstance(then(words, message), Ask)


def test_a_correction_of_nothing_is_asked_about() -> None:
    """Nothing was begun."""
    assert isinstance(meant("make it 8pm"), Ask)


def test_a_correction_names_no_step_and_is_no_consent() -> None:
    """ "No, 3 people" is no no."""
    assert phrases.consent("no, 3 people") is None
    assert phrases.correction("no") == ""


def test_long_words_are_not_tried_in_every_way() -> None:
    """Others wait meanwhile."""
    words = "table for 2 tomorrow 7pm " + "and then " * 400
    assert corrected(words, "8pm", read, NOW) is None


OFFER = Talk(executions=("exe_1",), offer=Offer(execution="exe_1", words="Book a table for 2 at 8pm", said_ms=NOW))


def test_a_yes_takes_up_what_was_offered() -> None:
    """With the plan as it is now."""
    found = meant("yes please", OFFER)
    assert isinstance(found, Redo)
    assert found.planned is not None
    assert found.planned.summary.startswith("Table for 2 on Wednesday 11 March 2026 at 20:00")


def test_a_yes_to_taking_back_begins_nothing() -> None:
    """There are no words."""
    found = meant("yes", Talk(executions=("exe_1",), offer=Offer(execution="exe_1")))
    assert found == Redo(offer=Offer(execution="exe_1"))


def test_a_no_leaves_all_as_it_is() -> None:
    """And says so."""
    found = meant("no", OFFER)
    assert isinstance(found, Nothing)
    assert "stays" in found.text


def test_an_offer_whose_time_has_passed_is_asked_about() -> None:
    """Nothing is taken back for a table that cannot be had."""
    offer = Offer(execution="exe_1", words="Book a table for 2 at 8pm", said_ms=NOW)
    assert isinstance(meant("yes", Talk(offer=offer), now_ms=NOW + 12 * HOUR), Ask)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("thanks!", Nothing),
        ("Thank you very much.", Nothing),
        ("who are you?", Help),
        ("where's my ride?", Tell),
        ("cancel my booking", Stop),
        ("Book a table for 2 at 9pm", Begin),
    ],
)
def test_other_words_behind_an_execution_mean_what_they_always_mean(message: str, kind: type[Meaning]) -> None:
    """Nothing of it is a correction."""
    assert isinstance(then(TABLE, message), kind)


def test_a_correction_of_words_whose_day_has_moved_is_asked_about() -> None:
    """ "Tomorrow" was said yesterday."""
    latest = Latest(execution="exe_1", words=TABLE, said_ms=NOW - 24 * HOUR)
    assert isinstance(meant("make it 8pm", Talk(executions=("exe_1",), latest=latest)), Ask)


def test_never_mind_drops_an_offer() -> None:
    """It counts in the next message only."""
    assert isinstance(meant("never mind", OFFER), Drop)
