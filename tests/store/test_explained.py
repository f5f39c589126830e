"""The checker itself: a true story is explained, and each way to tell it wrong is caught."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.store.explained import contradictions
from tests.store.observed import Record, Seen
from tests.support.executions import ANN, BOB, EXE

Story = tuple[list[Seen], Record]


def call(at: int, kind: str, answer: str, **facts: Any) -> Seen:
    """A call that takes ten."""
    return Seen(kind=kind, execution=EXE, began=at, ended=at + 10, answer=answer, **facts)


def told(event: str, **detail: Any) -> dict[str, Any]:
    """A line of the history."""
    return {"event": event, "detail": detail}


def story() -> Story:
    """Ann works, a signal comes, Ann is flagged, Bob takes over and leaves, Ann comes too late; Carl ends it."""
    ann, bob, carl = {"owner": ANN}, {"owner": BOB}, {"owner": "c" * 32}
    calls = [
        call(0, "acquire", "lease", after=1, fence=1, **ann),
        call(20, "commit", "committed", mark="a1", ver=1, after=2, going="intents", **ann),
        call(40, "signal", "accepted", mark="s1"),
        call(45, "signal", "duplicate", mark="s1", again=True),
        call(60, "commit", "flags", mark="a2", ver=2, after=3, going="leave", **ann),
        call(80, "acquire", "lease", after=4, fence=2, **bob),
        call(100, "commit", "committed", mark="b1", ver=4, after=5, seen=1, going="leave", entry="e1", **bob),
        call(120, "commit", "committed", mark="b1", ver=4, after=5, seen=1, going="leave", entry="e1", again=True, **bob),
        call(140, "commit", "lost", mark="a3", ver=3, going="none", **ann),
        call(150, "signal", "accepted", mark="s2"),
        call(160, "acquire", "lease", after=6, fence=3, **carl),
        call(170, "acquire", "lease", after=6, fence=3, **carl),
        call(180, "commit", "committed", mark="c1", ver=6, after=7, seen=2, going="end", **carl),
        call(200, "acquire", "TERMINAL", **ann),
    ]
    history = [
        told("execution.created"), told("segment.started", fence=1), told("kept", mark="a1"), told("went", mark="a1"),
        told("signal.received", position=1), told("kept", mark="a2"), told("segment.started", fence=2),
        told("kept", mark="b1"), told("went", mark="b1"), told("signal.received", position=2),
        told("segment.started", fence=3), told("kept", mark="c1"), told("went", mark="c1"),
    ]  # fmt: skip
    return calls, Record(execution=EXE, ver=7, fence=3, inbox={1: "s1", 2: "s2"}, history=history)


def changed(at: int, **facts: Any) -> Callable[[Story], Story]:
    """The story with one call that went otherwise."""

    def apply(told: Story) -> Story:
        calls = list(told[0])
        calls[at] = msgspec.structs.replace(calls[at], **facts)
        return calls, told[1]

    return apply


def recorded(**facts: Any) -> Callable[[Story], Story]:
    """The story with another record at its end."""
    return lambda told: (told[0], msgspec.structs.replace(told[1], **facts))


def moved(first: int, second: int) -> Callable[[Story], Story]:
    """Two lines of the history change places."""

    def apply(told: Story) -> Story:
        lines = list(told[1].history)
        lines[first], lines[second] = lines[second], lines[first]
        return told[0], msgspec.structs.replace(told[1], history=lines)

    return apply


WRONG: list[tuple[str, Callable[[Story], Story], str]] = [
    ("two commits make one version", changed(8, answer="committed", after=4), "made twice"),
    ("a version that nobody made", recorded(ver=8), "by nobody"),
    ("a commit skips a version", changed(1, ver=0), "from version 0 made 2"),
    ("a fence is left out", changed(5, fence=4), "fence 4 follows 1"),
    ("a commit of somebody else", changed(6, owner=ANN), "while " + BOB),
    ("a commit of nobody, after a leave", changed(12, owner=BOB, ver=6), "committed c1 while"),
    ("an answer before the question", changed(6, began=70, ended=75), "was over before that"),
    ("lost to nobody", changed(8, ver=9), "to nobody"),
    ("lost before anybody came", changed(8, began=5, ended=15, ver=3), "to nobody"),
    ("stored after a takeover", changed(4, began=95, ended=105), "had taken over"),
    ("a repeat with another entry", changed(7, entry="e2"), "repeated"),
    ("a repeat that is lost too early", changed(7, answer="lost", after=0, entry=""), "repeated"),
    ("woken after the end", changed(13, answer="lease", fence=3, after=6), "after the end"),
    ("a signal that vanished", recorded(inbox={1: "s1"}), "2 were accepted"),
    ("a signal that nobody sent", recorded(inbox={1: "s1", 2: "s2", 3: "x"}), "2 were accepted"),
    ("signals in the wrong order", recorded(inbox={1: "s2", 2: "s1"}), "was over before that"),
    ("a gap in the inbox", recorded(inbox={1: "s1", 3: "s2"}), "2 were accepted"),
    ("a signal accepted twice", changed(3, answer="accepted"), "accepted twice"),
    ("a lost commit that was stored", moved(6, 7), "the history tells"),
    ("a commit over a signal", moved(3, 4), "went on having seen 0 of 1"),
    ("positions out of order", moved(4, 9), "has position 2"),
]


def test_a_true_story_is_explained() -> None:
    """Flags, takeover, LOST, repeats and the end among it."""
    assert contradictions(*story()) == []


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_story_that_cannot_be_is_caught(change: Callable[[Story], Story], said: str) -> None:
    """By the check that is made for it."""
    found = contradictions(*change(story()))

    assert any(said in one for one in found), found
