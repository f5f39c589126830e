"""A yes counts for what was shown; what could be meant twice is asked about."""

import pytest

from shared.chat.model import Act, Choose, Drop, Help, Nothing, Pending, Stop, Talk, Tell
from tests.chat.support import asked, meant

ONE = Pending(execution="exe_1", step="book", hash="aa", args={"x": 1})
TWO = Pending(execution="exe_1", step="ride", hash="bb")
PLAN = Pending(execution="exe_2", step="", hash="cc")


@pytest.mark.parametrize(
    ("words", "yes"), [("yes", True), ("Yes!", True), ("go ahead", True), ("no", False), ("No, thanks.", False)]
)
@pytest.mark.parametrize("one", [ONE, PLAN], ids=["step", "plan"])
def test_a_yes_or_no_to_the_one_thing_that_was_shown_counts(words: str, yes: bool, one: Pending) -> None:  # noqa: FBT001
    """Under the hash that was shown."""
    assert meant(words, Talk().having_shown((one,)), [one]) == Act(pending=one, yes=yes)


def test_a_yes_to_what_was_not_shown_shows_it() -> None:
    """Nobody has seen these arguments here."""
    assert meant("yes", Talk(), [ONE]) == Choose(among=(ONE,))


def test_a_yes_to_arguments_that_have_changed_shows_them() -> None:
    """The hash is another one."""
    old = Pending(execution="exe_1", step="book", hash="00")
    assert meant("yes", Talk().having_shown((old,)), [ONE]) == Choose(among=(ONE,))


def test_a_yes_to_one_of_several_names_it() -> None:
    """Without a name it is asked which."""
    talk = Talk().having_shown((ONE, TWO))
    assert meant("yes", talk, [ONE, TWO]) == Choose(among=(ONE, TWO))
    assert meant("yes ride", talk, [ONE, TWO]) == Act(pending=TWO, yes=True)
    assert meant("no to book", talk, [ONE, TWO]) == Act(pending=ONE, yes=False)


def test_a_yes_where_nothing_waits_does_nothing() -> None:
    """And it begins nothing."""
    assert isinstance(meant("yes"), Nothing)
    assert isinstance(meant("yes", Talk().having_shown((ONE,))), Nothing)


@pytest.mark.parametrize("words", ["What can you do?", "help"])
def test_what_it_can_do_is_told(words: str) -> None:
    """Whatever is open stays open."""
    assert isinstance(meant(words, Talk(open=asked("Book a table for 2 at 7"))), Help)


@pytest.mark.parametrize("words", ["status", "What is the status of my booking?", "what\u2019s the status", "is it done yet?"])
def test_how_things_stand_is_told(words: str) -> None:
    """A question about the conversation's own execution."""
    assert isinstance(meant(words), Tell)


def test_never_mind_drops_what_is_open() -> None:
    """So does a cancel, as long as something is."""
    talk = Talk(open=asked("Book a table for 2 at 7"), executions=("exe_1",))
    assert isinstance(meant("Never mind.", talk), Drop)
    assert isinstance(meant("cancel it", talk), Drop)
    assert meant("cancel it", Talk(executions=("exe_1", "exe_2"))) == Stop(execution="exe_2")
    assert isinstance(meant("cancel it"), Nothing)


def test_a_conversation_remembers_so_many_executions() -> None:
    """The latest ones, each once."""
    talk = Talk()
    for number in (*range(9), 7):
        talk = talk.begun(f"exe_{number}")
    assert talk.executions == ("exe_4", "exe_5", "exe_6", "exe_8", "exe_7")
