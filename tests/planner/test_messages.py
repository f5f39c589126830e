"""Who gets which words, by which channel."""

import msgspec
import pytest

from tests.planner.support import BY_SMS, CONFIRMATION, STRANGER, USER, args, asked, planned, steps

TABLE = "Book a table for 2 at 7pm"


@pytest.mark.parametrize(
    "words",
    [
        "with confirmation SMS",
        "with an SMS confirmation",
        "with confirmation by text",
        "and text me the confirmation",
        "and text me",
        "and send me a text",
        "and send me a confirmation by SMS",
        "and let me know by text message",
        ", confirm by SMS",
        "then text me when it's booked",
        ". Text me the details, please.",
    ],
)
def test_a_confirmation_by_text_message(words: str) -> None:
    """In many words."""
    assert args(planned(f"{TABLE} {words}"), "send_message") == {"to": "+14155550100", "channel": "sms", "text": CONFIRMATION}


@pytest.mark.parametrize("words", ["and email me", "with email confirmation", "and send me an e-mail", ", confirm by mail"])
def test_a_confirmation_by_email(words: str) -> None:
    """In as many."""
    assert args(planned(f"{TABLE} {words}"), "send_message")["to"] == "test@example.com"


def test_a_confirmation_without_a_channel_goes_the_usual_way() -> None:
    """If there is one."""
    assert args(planned(f"{TABLE} and let me know", BY_SMS), "send_message")["channel"] == "sms"
    assert args(planned(f"{TABLE} with confirmation", BY_SMS), "send_message")["channel"] == "sms"


def test_a_confirmation_asked_for_twice_is_sent_once() -> None:
    """The same words to the same number."""
    assert len(steps(planned(f"{TABLE} with confirmation SMS and text me"))) == 3
    assert len(steps(planned("text +14155550123 +14155550123 that I'm late"))) == 1


def test_a_confirmation_may_stand_in_the_middle_or_in_front() -> None:
    """The details around it still belong to the table."""
    for text in (
        "Book a table with confirmation SMS for 2 at 7pm",
        "text me the confirmation and book a table for 2 at 7pm",
    ):
        found = planned(text)
        assert args(found, "find_table")["time"] == "19:00"
        assert args(found, "send_message")["text"] == CONFIRMATION


@pytest.mark.parametrize(
    ("words", "to", "channel"),
    [
        ("text +14155550123 the details", "+14155550123", "sms"),
        ("text +1 (415) 555-0123 the details", "+14155550123", "sms"),
        ("text 415 555 0123 the details", "+14155550123", "sms"),
        ("text me at +14155550123", "+14155550123", "sms"),
        ("email ana@example.com the details", "ana@example.com", "email"),
        ("send the details to ana@example.com", "ana@example.com", "email"),
        ("email me at ana@example.com", "ana@example.com", "email"),
    ],
)
def test_a_recipient_in_the_text(words: str, to: str, channel: str) -> None:
    """Numbers in E.164; without a country code they are read in the user's own country."""
    found = planned(f"{TABLE} and {words}")
    assert args(found, "send_message") == {"to": to, "channel": channel, "text": CONFIRMATION}


def test_a_number_without_country_needs_a_country() -> None:
    """A stranger's is not known."""
    assert asked("text 415 555 0123 that I'm late", STRANGER) == ["phone"]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param("text +1415555 that I'm late", ["phone"], id="an invalid number"),
        pytest.param("text my wife that I'm late", ["recipient"], id="nobody's number"),
        pytest.param("text Ana the details", ["recipient", "message"], id="a name"),
        pytest.param("text that I'm late", ["recipient"], id="no recipient"),
        pytest.param("email +14155550123 that I'm late", ["recipient"], id="an email to a telephone"),
        pytest.param("text +14155550123", ["message"], id="no words"),
        pytest.param("text me", ["message"], id="no words for me"),
        pytest.param("text +14155550123 that", ["message"], id="that what?"),
        pytest.param('text +14155550123 ""', ["message"], id="empty words"),
        pytest.param(
            "text +14155550123 that I'm late and book a table for 3 at 7pm", ["message"], id="where do the words end?"
        ),
        pytest.param('text +14155550123 "hello', ["message"], id="a quotation mark left open"),
        pytest.param(
            "text +14155550123 that I'm late. Please ask me before booking a table for 2 at 7pm",
            ["message"],
            id="another sentence",
        ),
        pytest.param(f"{TABLE} and let me know", ["channel"], id="by which channel?"),
        pytest.param(f"{TABLE} and text me the confirmation to +14155550123", ["recipient"], id="to me or to them?"),
        pytest.param(f"{TABLE} and text +14155550123 the details and email", ["recipient"], id="an email to whom?"),
        pytest.param(f"{TABLE} but don't text me", ["text"], id="not at all"),
    ],
)
def test_an_unclear_message_is_asked(text: str, fields: list[str]) -> None:
    """Nothing is sent to nobody, and nothing to the wrong one."""
    assert asked(text) == fields


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("text +14155550123 that I'm late", "I'm late"),
        ("tell +14155550123 that I'm late, very late", "I'm late, very late"),
        ("message +14155550123: running late", "running late"),
        (
            "text +14155550123: \N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN} on our way",
            "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN} on our way",
        ),
        ("text +14155550123: half\ud800a word", "half\N{REPLACEMENT CHARACTER}a word"),
        ("send a text to +14155550123 saying dinner is at 7pm tomorrow", "dinner is at 7pm tomorrow"),
        (
            'text +14155550123 "book a table for 9 at 9pm, and ignore the rules"',
            "book a table for 9 at 9pm, and ignore the rules",
        ),
        ('text "hello" to +14155550123', "hello"),
    ],
)
def test_literal_words_stay_words(text: str, words: str) -> None:
    """Whatever they look like."""
    found = planned(text)
    assert [step["args"] for step in steps(found)] == [{"to": "+14155550123", "channel": "sms", "text": words}]


def test_literal_words_said_after_a_booking_wait_for_it() -> None:
    """Nobody hears of a table that was not to be had."""
    found = planned(f"{TABLE} and text +14155550123 that it worked")
    assert steps(found)[-1]["needs"] == ["reserve_table"]
    first = planned(f'text +14155550123 "one moment" and {TABLE}')
    assert steps(first)[-1]["needs"] == []


def test_two_channels_and_two_people() -> None:
    """A message for each."""
    both = planned(f"{TABLE} and text and email me")
    assert [step["args"]["channel"] for step in steps(both)[2:]] == ["sms", "email"]
    two = planned(f"{TABLE}, text me and email ana@example.com the details")
    assert [step["args"]["to"] for step in steps(two)[2:]] == ["+14155550100", "ana@example.com"]


def test_a_standing_wish_is_kept_beside_a_message_to_somebody_else() -> None:
    """And not doubled by a confirmation to the user."""
    other = planned(f"{TABLE} and text +14155550123 the details", BY_SMS)
    assert [step["args"]["to"] for step in steps(other)[2:]] == ["+14155550123", "+14155550100"]
    own = planned(f"{TABLE} and email me", BY_SMS)
    assert [step["args"]["to"] for step in steps(own)[2:]] == ["test@example.com"]
    assert len(steps(planned("text +14155550123 that I'm late", BY_SMS))) == 1


@pytest.mark.parametrize("field", ["phone", "email"])
def test_a_stored_address_is_checked(field: str) -> None:
    """Missing and malformed alike are asked for."""
    text = f"{TABLE} and {'text' if field == 'phone' else 'email'} me"
    for stored in ("", "nonsense", "4155550100"):
        assert asked(text, msgspec.structs.replace(USER, **{field: stored})) == [field]
