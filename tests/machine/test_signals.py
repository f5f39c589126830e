"""Signals against every place a step can stand at: what fits acts, what does not is told and changes nothing."""

from typing import Any

import pytest

from shared.machine.decide import decide
from shared.machine.decision import apply
from shared.machine.events import Refused, Unanswered
from shared.machine.signals import TAKEN
from shared.machine.state import Execution, Hold, Signal
from shared.machine.status import Cause, Cell, Phase, Reason, Status
from tests.machine.play import Play, call, compiled
from tests.machine.support import DONE, NOW, events, fault, header, intent, signalled, starts, whole, woke

NO = Refused(code="no", message="no")
HOUR = 3_600_000
HOLDS = {
    "approval": Hold(kind=Reason.APPROVAL, since_ms=NOW, args={"n": 1}, args_hash="h"),
    "callback": Hold(kind=Reason.CALLBACK, since_ms=NOW, until_ms=NOW + HOUR),
    "slot": Hold(kind=Reason.SLOT, since_ms=NOW),
}


def standing(where: Cell, hold: str = "", *, doubt: bool = False, phase: Phase = Phase.FORWARD) -> Execution:
    """Step b stands somewhere; a runs, so that nothing else moves."""
    plan = compiled(call("a"), call("b"), call("c", needs=["a", "b"]))
    undo = phase is Phase.UNDO
    built = Execution(
        header=header(
            Status.COMPENSATING if undo else Status.EXECUTING, phase=phase, cause=Cause.FAILED if undo else Cause.NONE
        ),
        blueprint=plan,
        cells=f"i{where.value}....".encode(),
        intents={0: intent(), 1: intent()},
        faults={1: fault(1, retry_at_ms=NOW + HOUR, doubt=doubt)} if where.value in "bsu" else {},
        holds={1: HOLDS[hold]} if hold else {},
    )
    built.order = {}
    return built


def told(x: Execution, kind: str, **payload: Any) -> tuple[str, Cell]:
    """What the history says of it first, and where b is put for keeps."""
    decision = decide(x, signalled(0, Signal(position=1, kind=kind, payload={"step": "b", "actor": "ann"} | payload)))
    lines = [line.event for line in decision.kept.history]
    return (lines[0] if lines else ""), decision.kept.cells.get(1, x.cell(1))


ANYWHERE = [
    *((cell, "") for cell in Cell if cell not in {Cell.WAITING, Cell.LEFT}),
    *((Cell.WAITING, hold) for hold in HOLDS),
]
FITS = {
    "approve": {(Cell.WAITING, "approval"): Cell.GRANTED},
    "reject": {(Cell.WAITING, "approval"): Cell.FAILED},
    "settle": {(Cell.UNKNOWN, ""): Cell.DONE},
    "retry": {(Cell.BACKOFF, ""): Cell.BACKOFF},
    "edit": {(Cell.READY, ""): Cell.GRANTED, (Cell.GRANTED, ""): Cell.GRANTED, (Cell.BACKOFF, ""): Cell.GRANTED},
    "skip": {
        (Cell.IDLE, ""): Cell.DONE, (Cell.OPENING, ""): Cell.DONE, (Cell.READY, ""): Cell.DONE, (Cell.GRANTED, ""): Cell.DONE,
        (Cell.BACKOFF, ""): Cell.DONE, (Cell.WAITING, "approval"): Cell.DONE, (Cell.WAITING, "slot"): Cell.DONE,
    },
    "slot": {(Cell.WAITING, "slot"): Cell.GRANTED},
    "callback": {(Cell.WAITING, "callback"): Cell.DONE, (Cell.UNKNOWN, ""): Cell.DONE},
}  # fmt: skip
PAYLOAD: dict[str, dict[str, Any]] = {
    "approve": {"args_hash": "h"},
    "settle": {"happened": True, "output": 1},
    "edit": {"args": {"n": 2}},
    "skip": {"output": 1},
    "callback": {"data": 1},
}


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("place", ANYWHERE, ids="-".join)
def test_a_signal_acts_where_it_fits_and_nowhere_else(kind: str, place: tuple[Cell, str]) -> None:
    """Elsewhere it is moot, which the history says, or an early callback, which is kept."""
    line, after = told(standing(*place), kind, **PAYLOAD.get(kind, {}))
    if place in FITS[kind]:
        assert after is FITS[kind][place]
        assert line != "signal.moot"
    else:
        assert after is place[0]
        assert line == ("signal.moot" if kind != "callback" or place[0] in {Cell.DONE, Cell.FAILED, Cell.SKIPPED} else "")


@pytest.mark.parametrize("kind", ["skip", "edit"])
@pytest.mark.parametrize("place", [Cell.BACKOFF])
def test_what_may_have_happened_is_neither_skipped_nor_edited(kind: str, place: Cell) -> None:
    """A second effect under another key would stand beside it."""
    line, after = told(standing(place, doubt=True), kind, **PAYLOAD[kind])
    assert (line, after) == ("signal.moot", place)


@pytest.mark.parametrize("kind", ["skip", "edit", "cancel"])
def test_while_the_plan_is_undone_its_steps_are_left_alone(kind: str) -> None:
    """And a second cancel is none."""
    line, after = told(standing(Cell.READY, phase=Phase.UNDO), kind, **PAYLOAD.get(kind, {}))
    assert (line, after) == ("signal.moot", Cell.READY)


@pytest.mark.parametrize("kind", [*TAKEN, "no such kind", ""])
@pytest.mark.parametrize(
    "payload",
    [None, 5, [], "text", {}, {"step": 7}, {"step": "b.1"}, {"step": "b.\u00b2"}, {"step": "b." + "9" * 5_000},
     {"step": {"x": 1}}, {"step": "b", "actor": {"x": 1}, "args": 5, "status": 9, "generation": "x", "note": [1]}],
)  # fmt: skip
def test_no_signal_whatever_it_says_breaks_a_decision(kind: str, payload: Any) -> None:
    """It would break every segment from then on."""
    for place in ANYWHERE:
        decide(standing(*place), woke(0, Signal(position=1, kind=kind, payload=payload)))


def test_signals_are_taken_in_the_order_of_their_arrival() -> None:
    """Of an edit and a skip, the first wins; the position of the last is remembered."""
    x = standing(Cell.READY)
    edit = Signal(position=4, kind="edit", payload={"step": "b", "args": {"n": 2}})
    skip = Signal(position=5, kind="skip", payload={"step": "b", "output": 1})
    decision = decide(x, woke(0, edit, skip))
    assert decision.kept.seen == 5
    assert decision.kept.cells[1] is Cell.DONE
    assert events(decision).index("step.edited") < events(decision).index("step.skipped_by")


def test_an_edit_after_an_attempt_is_a_new_effect() -> None:
    """Under another key: the tool may know the old one with the old arguments."""
    play = Play(call("a", args={"n": 1}))
    play.wake()
    play.answer({"a": Refused(code="busy", message="later", retryable=True)})
    play.tell("edit", step="a", args={"n": 2}).wake()
    first, second = play.started
    assert (first.intent.key, second.intent.key) == ("exe_00_t.a.1", "exe_00_t.a.2")
    assert second.intent.args == {"n": 2}


def test_a_retry_does_not_wait_and_counts_anew() -> None:
    """Also for an undo that has failed for now."""
    busy = Refused(code="busy", message="later", retryable=True, retry_after_ms=HOUR)
    play = Play(call("a", retry={"attempts": 2}))
    play.wake()
    assert play.answer({"a": busy}) == "SUSPENDED back-off"
    play.tell("retry", step="a", actor="ann").wake()
    assert play.answer({"a": busy}) == "SUSPENDED back-off", "the first of two, again"
    play.tell("retry", step="a", actor="ann").wake()
    assert play.answer({"a": DONE}) == "COMPLETED"


@pytest.mark.parametrize(
    ("happened", "stands", "running"), [(True, "COMPLETED", []), (False, "SUSPENDED unknown effect", [])], ids=["yes", "no"]
)
def test_what_a_person_says_of_an_unknown_effect(happened: bool, stands: str, running: list[str]) -> None:  # noqa: FBT001 - a row
    """Happened: it is done. Not: nobody can know that while a request may still land; after that it is tried again."""
    play = Play(call("a", "unsafe"))
    play.wake()
    play.answer({"a": Unanswered(message="?")})
    assert play.stands == "SUSPENDED unknown effect"
    play.tell("settle", step="a", happened=happened, output={"n": 1}, actor="ann")
    assert play.wake() == stands
    assert play.running == running
    if not happened:
        play.wake(60_000)
        assert play.tell("settle", step="a", happened=False, actor="ann").wake() == "EXECUTING"
        assert play.running == ["a"]


# --- the execution as a whole


def test_a_pause_lets_calls_end_and_starts_nothing() -> None:
    """Also no retry, no reminder and no undo."""
    play = Play(call("a"), call("b", needs=["a"]))
    play.wake()
    play.tell("pause", actor="ann")
    assert play.answer({"a": DONE}) == "PAUSED"
    assert play.wake(HOUR) == "PAUSED"
    assert not play.running
    assert len(play.lines("execution.paused")) == 1
    assert play.tell("resume").wake() == "EXECUTING"
    assert play.running == ["b"]


def test_a_pause_in_the_undo_lane_holds_the_next_undo() -> None:
    """And a cancel does not lift it: it is cancelled already."""
    play = Play(call("a"), call("b", needs=["a"]), call("c", needs=["b"]))
    play.wake()
    play.answer({"a": DONE})
    play.answer({"b": DONE})
    play.answer({"c": NO})
    play.tell("pause")
    assert play.answer({"-b": DONE}) == "PAUSED"
    assert play.tell("cancel").wake() == "PAUSED"
    assert play.tell("resume").wake() == "COMPENSATING"
    assert play.running == ["-a"]
    assert play.answer({"-a": DONE}) == "COMPENSATED"


def test_a_cancel_ends_a_pause() -> None:
    """What was done is undone at once."""
    play = Play(call("a"), call("b", needs=["a"]))
    play.wake()
    play.tell("pause")
    play.answer({"a": DONE})
    assert play.tell("cancel").wake() == "COMPENSATING"
    assert play.answer({"-a": DONE}) == "COMPENSATED"
    assert play.record.header.cause is Cause.CANCELLED


@pytest.mark.parametrize("kind", ["pause", "resume"])
def test_a_second_pause_and_a_resume_of_nothing_are_moot(kind: str) -> None:
    """And told."""
    play = Play(call("a"))
    play.wake()
    if kind == "pause":
        play.tell("pause")
    play.tell(kind)
    play.answer({"a": DONE})
    assert len(play.lines("signal.moot")) == 1


def test_a_pause_and_a_resume_that_come_together_are_no_pause() -> None:
    """It goes on in the same segment."""
    play = Play(call("a"), call("b", needs=["a"]))
    play.wake()
    play.tell("pause").tell("resume")
    assert play.answer({"a": DONE}) == "EXECUTING"
    assert play.running == ["b"]


def test_the_clock_runs_on_during_a_pause() -> None:
    """A wait that ends meanwhile has ended; its consequences begin when it is resumed."""
    play = Play({"name": "w", "wait": {"callback": True, "timeout_ms": HOUR}}, call("a"))
    play.wake()
    play.answer({"a": DONE})
    play.tell("pause").wake()
    assert play.wake(2 * HOUR) == "PAUSED"
    assert play.code("w") == "wait_timeout"
    assert not play.running
    assert play.tell("resume").wake() == "COMPENSATING"


def test_the_deadline_waits_for_the_end_of_a_pause() -> None:
    """A person is looking at it."""
    play = Play(call("a"), {"name": "nap", "sleep": {"ms": 10 * HOUR}}, deadline_ms=NOW + HOUR)
    play.wake()
    play.answer({"a": DONE})
    play.tell("pause").wake()
    assert play.wake(2 * HOUR) == "PAUSED"
    assert play.tell("resume").wake() == "COMPENSATING"
    assert play.record.header.cause is Cause.TIMED_OUT


def test_a_cancel_that_wants_no_undo_says_what_stands() -> None:
    """And ends CANCELLED; what runs is waited for first."""
    play = Play(call("a"), call("b"), call("c", needs=["b"]))
    play.wake()
    play.answer({"a": DONE})
    play.tell("cancel", undo=False)
    assert play.answer({"b": DONE}) == "CANCELLED"
    assert [line.step for line in play.lines("undo.left")] == ["a", "b"]
    assert not play.running


@pytest.mark.parametrize("cause", ["failed", "cancelled", "timed out"])
def test_the_first_cause_stands(cause: str) -> None:
    """Whatever else happens while it ends."""
    play = Play(call("a"), call("b"), call("c"), call("d", needs=["b"]), deadline_ms=NOW + 2_000)
    play.wake()
    play.answer({"a": DONE})
    match cause:
        case "failed":
            play.answer({"b": NO})
        case "cancelled":
            play.tell("cancel").answer({"b": DONE})
        case _:
            play.answer({"b": DONE}, 2_000)
    play.tell("cancel")
    play.answer({"c": NO}, 2_000)
    play.finish()
    assert play.record.header.cause.value == cause
    assert play.stands == "COMPENSATED"


def test_deciding_changes_nothing_that_is_remembered() -> None:
    """Two decisions about one event are one decision."""
    for place in ANYWHERE:
        for kind in TAKEN:
            x = standing(*place)
            event = woke(0, Signal(position=1, kind=kind, payload={"step": "b"} | PAYLOAD.get(kind, {})))
            assert decide(x, event) == decide(x, event)


def test_what_was_skipped_lets_the_others_go_on() -> None:
    """With the output that a person gave."""
    play = Play({"name": "w", "wait": {"callback": True}}, call("a", args={"x": "${w.n}"}))
    play.wake()
    play.tell("skip", step="w", output={"n": 7}, actor="ann").wake()
    assert play.started[0].intent.args == {"x": 7}


def test_nothing_is_started_after_a_cancel_was_taken_in() -> None:
    """In the same decision, too."""
    x = standing(Cell.READY)
    decision = decide(x, woke(0, Signal(position=1, kind="cancel")))
    assert not any(not start.startswith("-") for start in starts(decision))
    apply(x, whole(decision))
    assert x.header.cause is Cause.CANCELLED
