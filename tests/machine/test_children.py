"""Steps that are executions of their own, as their parent sees them; and the end of a child, as it tells it."""

from typing import Any

import pytest

from shared.machine.children import MOST_OUTPUT_BYTES, child_id
from shared.machine.events import Done, Refused
from shared.machine.state import Notes, Parent
from tests.machine.play import Play, call
from tests.machine.support import DONE, NOW

NO = Refused(code="no", message="no")
STEPS: list[dict[str, Any]] = [{"name": "x", "tool": "idem", "args": {"n": "${input.n}"}}]
INNER = {"steps": STEPS, "output": {"got": "${x.n}"}}
CHILD = {"name": "trip", "child": INNER}
GONE = ["COMPENSATED", "CANCELLED", "TIMED_OUT", "FAILED", "REJECTED"]


def news(play: Play, status: str, output: Any = None, generation: int = 1) -> Play:
    """The child tells how it ended."""
    return play.tell("child", step="trip", generation=generation, status=status, output=output)


def test_a_child_is_asked_for_once_with_its_input() -> None:
    """Its id follows from the step; nobody wakes the parent but its end."""
    play = Play(call("a"), CHILD | {"args": {"n": "${a.n}"}})
    play.wake()
    assert play.answer({"a": DONE}) == "SUSPENDED child"
    (command,) = play.record.commands.values()
    assert (command.kind, command.to) == ("create_child", child_id("exe_00_t", "trip", 1))
    assert command.payload == {"tenant": "t", "step": "trip", "generation": 1, "input": {"n": 1}, "depth": 1}
    assert play.wake() == "SUSPENDED child"
    assert len(play.record.commands) == 1


def test_the_output_of_the_child_is_the_output_of_the_step() -> None:
    """Others refer to it."""
    play = Play(CHILD | {"args": {"n": 1}}, call("z", args={"got": "${trip.got}"}))
    play.wake()
    news(play, "COMPLETED", {"got": 5}).wake()
    assert play.started[0].intent.args == {"got": 5}


@pytest.mark.parametrize("status", GONE)
@pytest.mark.parametrize("may_fail", [False, True])
def test_a_child_that_left_nothing_is_a_failed_step(status: str, may_fail: bool) -> None:  # noqa: FBT001 - a row
    """Which the plan may bear; there is nothing to undo."""
    play = Play(CHILD | {"may_fail": may_fail})
    play.wake()
    assert news(play, status).wake() == ("COMPLETED" if may_fail else "FAILED")
    assert play.code("trip") == "child_ended"


def test_a_child_that_could_not_undo_itself_is_asked_once_more() -> None:
    """Something of it stands: the parent is no better off until it does not."""
    play = Play(CHILD)
    play.wake()
    assert news(play, "COMPENSATION_FAILED").wake() == "SUSPENDED child"
    assert len(play.commands("undo_child")) == 1
    assert news(play, "COMPENSATED").wake() == "COMPENSATED"


def test_what_stands_of_a_child_that_may_fail_is_a_persons_affair() -> None:
    """It did not stop the plan; but the plan does not complete over it. No call is ever made for it."""
    play = Play(CHILD | {"may_fail": True}, call("a"))
    play.wake()
    play.answer({"a": DONE})
    assert news(play, "COMPENSATION_FAILED").wake() == "SUSPENDED unknown effect"
    assert play.tell("settle", step="trip", happened=False, actor="ann").wake() == "COMPLETED"
    assert play.cell("trip") == "FAILED"


def test_a_done_child_is_undone_in_its_turn() -> None:
    """By its own undo, in the reverse order of completion."""
    play = Play(call("a"), CHILD | {"needs": ["a"]}, call("b", needs=["trip"]), call("z", needs=["b"]))
    play.wake()
    play.answer({"a": DONE})
    news(play, "COMPLETED").wake()
    play.answer({"b": DONE})
    play.answer({"z": NO})
    assert play.running == ["-b"]
    assert play.answer({"-b": DONE}) == "SUSPENDED child"
    assert news(play, "COMPENSATED").wake() == "COMPENSATING"
    assert play.running == ["-a"]
    assert play.answer({"-a": DONE}) == "COMPENSATED"


def test_a_child_that_cannot_be_undone_is_told() -> None:
    """The rest is undone all the same."""
    play = Play(call("a"), CHILD | {"needs": ["a"]}, call("z", needs=["trip"]))
    play.wake()
    play.answer({"a": DONE})
    news(play, "COMPLETED").wake()
    play.answer({"z": NO})
    news(play, "COMPENSATION_FAILED").wake()
    assert play.answer({"-a": DONE}) == "COMPENSATION_FAILED"
    assert play.cell("-trip") == "FAILED"


def test_a_child_that_the_plan_wants_to_stand_is_not_undone() -> None:
    """Consent is consent."""
    play = Play(CHILD | {"undo": {"leave": True}}, call("z", needs=["trip"]))
    play.wake()
    news(play, "COMPLETED").wake()
    assert play.answer({"z": NO}) == "COMPENSATED"
    assert not play.commands("undo_child")


@pytest.mark.parametrize(
    ("status", "stands"), [("CANCELLED", "CANCELLED"), ("COMPENSATED", "CANCELLED"), ("COMPLETED", "SUSPENDED child")]
)
def test_a_stopped_parent_stops_its_child_once_and_waits_for_it(status: str, stands: str) -> None:
    """One that had completed meanwhile is undone."""
    play = Play(CHILD)
    play.wake()
    assert play.tell("cancel").wake() == "SUSPENDED child"
    assert play.wake() == "SUSPENDED child"
    assert len(play.commands("cancel_child")) == 1
    assert news(play, status).wake() == stands
    assert len(play.commands("undo_child")) == (status == "COMPLETED")


def test_the_deadline_of_a_parent_stops_its_child() -> None:
    """The end of the parent comes after the child's."""
    play = Play(CHILD, deadline_ms=NOW + 60_000)
    play.wake()
    assert play.wake(60_000) == "SUSPENDED child"
    assert play.commands("cancel_child")
    assert news(play, "CANCELLED").wake() == "TIMED_OUT"


@pytest.mark.parametrize(
    "said",
    [{"status": "NOTHING"}, {"status": None}, {"status": "EXECUTING"}, {"status": "COMPLETED", "generation": 2},
     {"status": "COMPLETED", "step": "a"}, {"status": "COMPLETED", "step": "nobody"}, {}],
)  # fmt: skip
def test_news_of_no_child_of_this_step_changes_nothing(said: dict[str, Any]) -> None:
    """And breaks nothing."""
    play = Play(CHILD, {"name": "a", "sleep": {"ms": 3_600_000}})
    play.wake()
    assert play.tell("child", **({"step": "trip", "generation": 1} | said)).wake() == "SUSPENDED sleep"
    assert play.cells == "ww.."
    assert play.lines("signal.moot")


def test_news_that_comes_twice_counts_once() -> None:
    """A result never changes."""
    play = Play(CHILD, {"name": "w", "wait": {"callback": True}})
    play.wake()
    news(play, "COMPLETED", {"got": 1})
    news(play, "COMPLETED", {"got": 2}).wake()
    assert play.output("trip") == {"got": 1}


def test_a_child_that_was_skipped_by_a_person_is_never_asked_to_undo_itself() -> None:
    """It never was."""
    play = Play(call("a"), CHILD | {"needs": ["a"]}, call("z", needs=["trip"]))
    play.wake()
    play.tell("skip", step="trip", output={"got": 9})
    play.answer({"a": DONE})
    play.answer({"z": NO})
    assert play.running == ["-a"]
    assert play.answer({"-a": DONE}) == "COMPENSATED"
    assert not play.commands("undo_child")


def test_a_child_that_is_under_way_cannot_be_skipped() -> None:
    """It would go on by itself."""
    play = Play(CHILD)
    play.wake()
    assert play.tell("skip", step="trip").wake() == "SUSPENDED child"
    assert play.lines("signal.moot")


def child() -> Play:
    """An execution that is a child itself."""
    notes = Notes(parent=Parent(execution="exe_00_p", step="trip", generation=3), depth=1, input={"n": 7})
    return Play(*STEPS, notes=notes, output={"got": "${x.n}"})


def test_a_child_tells_its_parent_how_it_ended_and_what_it_gives() -> None:
    """With the generation it belongs to; its input is in its arguments."""
    play = child()
    play.wake()
    assert play.started[0].intent.args == {"n": 7}
    play.answer({"x": Done(output={"n": 5})})
    (command,) = play.record.commands.values()
    assert (command.kind, command.to) == ("signal", "exe_00_p")
    said = {"step": "trip", "generation": 3, "status": "COMPLETED", "output": {"got": 5}}
    assert command.payload == {"tenant": "t", "kind": "child", "payload": said}


def test_a_failed_child_tells_so() -> None:
    """Without an output."""
    play = child()
    play.wake()
    play.answer({"x": NO})
    (command,) = play.record.commands.values()
    assert command.payload["payload"] == {"step": "trip", "generation": 3, "status": "FAILED", "output": None}


def test_an_output_that_no_inbox_would_take_is_told_as_too_large() -> None:
    """The child keeps it; a reference of the parent into it fails before a call."""
    play = child()
    play.wake()
    play.answer({"x": Done(output={"n": "y" * MOST_OUTPUT_BYTES})})
    assert len(play.record.output["got"]) == MOST_OUTPUT_BYTES
    (command,) = play.record.commands.values()
    assert command.payload["payload"]["output"]["error"]["code"] == "output_too_large"


def test_the_ids_of_children_are_their_parents_partition_and_nobody_elses() -> None:
    """The same for the same step and generation, another for any other."""
    parent = "exe_3f_01890a5d-ac96-774b-bcce-b302099a8057".replace("-", "")
    ids = {child_id(parent, step, generation) for step in ("a", "b", "a.1") for generation in (1, 2, 11)}
    assert len(ids) == 9
    assert {one[:7] for one in ids} == {"exe_3f_"}
    assert {len(one) for one in ids} == {len(parent)}
