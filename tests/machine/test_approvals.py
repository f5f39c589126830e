"""Steps that a person must say yes to."""

from typing import Any

import msgspec
import pytest

from shared.machine.decision import Suspend
from shared.machine.events import Done, NotSent, Refused
from shared.machine.plan import Approval, Blueprint, encode, hash_of
from shared.machine.state import question
from tests.machine.play import Play, call, compiled
from tests.machine.support import DONE, NOW, header
from tests.machine.world import Record

HOUR = 3_600_000


def asked(**approve: Any) -> Play:
    """An execution that waits for a yes to b, which comes after a."""
    play = Play(call("a"), call("b", args={"of": "${a.n}"}, approve=approve))
    play.wake()
    assert play.answer({"a": DONE}) == "SUSPENDED approval"
    return play


def yes(play: Play, **more: Any) -> str:
    """Somebody approves what is asked about."""
    return play.tell("approve", **({"step": "b", "args_hash": play.hold("b").args_hash, "actor": "ann"} | more)).wake()


def test_it_is_asked_about_the_arguments_as_they_will_be_sent() -> None:
    """With every reference replaced; and nothing is called."""
    play = asked(message="shall we?")
    assert play.hold("b").args == {"of": 1}
    (line,) = play.lines("step.approval_asked")
    assert line.detail == {"message": "shall we?", "args_hash": play.hold("b").args_hash}
    assert yes(play) == "EXECUTING"
    assert play.started[-1].intent.args == {"of": 1}
    assert play.answer({"b": DONE}) == "COMPLETED"


@pytest.mark.parametrize(
    "said",
    [{"args_hash": "another"}, {"args_hash": None}, {"step": "a"}, {"step": "nobody"}, {"step": None}],
    ids=["of other arguments", "of nothing", "of a step that asks nothing", "of no step", "without a step"],
)
def test_a_yes_to_something_else_starts_nothing_and_is_told(said: dict[str, Any]) -> None:
    """The person may have seen an older question."""
    play = asked()
    assert yes(play, **said) == "SUSPENDED approval"
    assert play.lines("signal.moot")
    assert len(play.started) == 1


def test_arguments_may_be_changed_with_the_yes() -> None:
    """The history says so, with the hash of what was really approved."""
    play = asked()
    before = play.hold("b").args_hash
    yes(play, args={"of": 2}, note="less")
    (line,) = play.lines("step.approved")
    assert (line.detail["edited"], line.detail["by"], line.detail["message"]) == (True, "ann", "less")
    assert line.detail["args_hash"] != before
    assert play.started[-1].intent.args == {"of": 2}
    assert play.started[-1].intent.args_hash == line.detail["args_hash"]


def test_two_people_say_yes_and_it_is_called_once() -> None:
    """The second is told that it was too late."""
    play = asked()
    hashed = play.hold("b").args_hash
    for actor in ("ann", "bob"):
        play.tell("approve", step="b", args_hash=hashed, actor=actor)
    play.wake()
    assert play.running == ["b"]
    assert [line.detail["by"] for line in play.lines("step.approved")] == ["ann"]
    assert [line.detail["by"] for line in play.lines("signal.moot")] == ["bob"]


@pytest.mark.parametrize(("first", "stands"), [("approve", "EXECUTING"), ("reject", "COMPENSATING")])
def test_of_a_yes_and_a_no_the_first_counts(first: str, stands: str) -> None:
    """In the order of arrival."""
    play = asked()
    for kind in (first, "reject" if first == "approve" else "approve"):
        play.tell(kind, step="b", args_hash=play.hold("b").args_hash, actor="ann")
    assert play.wake() == stands


@pytest.mark.parametrize("may_fail", [False, True])
def test_a_no_is_a_failure_of_the_step(may_fail: bool) -> None:  # noqa: FBT001 - a row of the table
    """Which the plan may bear."""
    play = Play(call("b", approve={}, may_fail=may_fail), call("c", when="failed(b)"))
    play.wake()
    play.tell("reject", step="b", actor="ann", note="too dear").wake()
    assert play.code("b") == "rejected"
    assert play.record.faults[0].message == "ann rejected it: too dear"
    assert play.running == (["c"] if may_fail else [])
    assert play.stands == ("EXECUTING" if may_fail else "FAILED")


def test_silence_is_a_failure_when_the_time_is_up() -> None:
    """And a yes that comes with it still counts."""
    play = asked(timeout_ms=HOUR)
    assert play.wake(HOUR) == "COMPENSATING"
    assert play.code("b") == "approval_timeout"
    late = asked(timeout_ms=HOUR)
    late.tell("approve", step="b", args_hash=late.hold("b").args_hash)
    assert late.wake(2 * HOUR) == "EXECUTING"
    assert late.running == ["b"]


def test_people_are_reminded_until_they_answer() -> None:
    """Each time once, whoever wakes it in between."""
    play = asked(remind_ms=HOUR, timeout_ms=3 * HOUR + 60_000)
    assert isinstance(play.next, Suspend)
    assert play.next.wake_at_ms == NOW + 10 + HOUR
    for count in (1, 2, 3):
        assert play.wake(HOUR) == "SUSPENDED approval"
        play.wake()
        assert len(play.lines("step.reminded")) == count
    assert play.wake(60_000) == "COMPENSATING"


def test_a_step_that_only_asks_gives_the_answer() -> None:
    """Who, what, and with which words."""
    play = Play({"name": "ok", "approve": {}, "args": {"sum": 3}}, call("z", args={"by": "${ok.by}"}))
    play.wake()
    play.tell("approve", step="ok", args_hash=play.hold("ok").args_hash, actor="ann", note="fine").wake()
    assert play.output("ok") == {"approved": True, "by": "ann", "note": "fine", "args": {"sum": 3}}
    assert play.started[0].intent.args == {"by": "ann"}


def test_what_was_approved_is_sent_by_every_attempt() -> None:
    """After a back-off, and after a crash."""
    play = asked()
    yes(play, args={"of": 9})
    play.answer({"b": NotSent(message="away")})
    play.wake(10_000)
    play.wake(10_000)
    play.answer({"b": DONE})
    assert [start.intent.args for start in play.started[1:]] == [{"of": 9}] * 3


def test_a_reference_that_leads_nowhere_is_not_asked_about() -> None:
    """It fails before a person is bothered."""
    play = Play(call("a"), call("b", args={"of": "${a.nothing}"}, approve={}))
    play.wake()
    play.answer({"a": DONE})
    assert play.code("b") == "bad_reference"
    assert not play.lines("step.approval_asked")


@pytest.mark.parametrize("also", ["cancel", "failure beside it"])
def test_a_question_that_nobody_needs_answered_is_dropped(also: str) -> None:
    """The plan is stopped; a later yes is moot."""
    play = Play(call("b", approve={}), call("c"))
    play.wake()
    play.answer({"c": Refused(code="no", message="no") if also != "cancel" else NotSent(message="away")})
    if also == "cancel":
        play.tell("cancel").wake(10_000)
    assert play.stands == ("CANCELLED" if also == "cancel" else "FAILED")
    assert play.cell("b") == "SKIPPED"


# --- what the person is asked


def question_of(play: Play, name: str) -> str:
    """What a reader is shown."""
    return question(next(step for step in play.plan.plan.steps if step.name == name), play.hold(name))


def test_references_in_the_message_are_resolved_and_are_needs() -> None:
    """In the history and wherever else it is read; dollars that are no reference stay."""
    play = Play(call("a"), call("c"), call("b", approve={"message": "${a.n} of ${c}, for $${x}?"}, needs=["c"]))
    play.wake()
    play.answer({"c": Done(output={"x": [1]})})
    assert play.cell("b") == "IDLE"
    play.answer({"a": DONE})
    said = '1 of {"x":[1]}, for ${x}?'
    (line,) = play.lines("step.approval_asked")
    assert (line.detail["message"], question_of(play, "b")) == (said, said)
    assert yes(play) == "EXECUTING"


def test_a_message_that_is_one_reference_is_its_value() -> None:
    """As text, whatever its type is; also where it is empty."""
    asks = [call(name, approve={"message": f"${{a.{name}}}"}) for name in ("text", "none", "empty")]
    play = Play(call("a"), *asks)
    play.wake()
    play.answer({"a": Done(output={"text": "sure?", "none": None, "empty": ""})})
    assert [question_of(play, step["name"]) for step in asks] == ["sure?", "null", ""]


def test_a_large_value_leaves_room_for_the_words_behind_it() -> None:
    """It is cut, and the message is not."""
    play = Play(call("a"), call("b", approve={"message": "${a.n}: sure?"}))
    play.wake()
    play.answer({"a": Done(output={"n": "x" * 100_000})})
    assert question_of(play, "b") == f"{'x' * 499}…: sure?"


def test_a_message_that_refers_to_what_is_not_there_asks_nobody() -> None:
    """As with arguments: a path that leads nowhere fails the step, a step without an output skips it."""
    play = Play(call("a"), call("b", approve={"message": "${a.nothing}?"}))
    play.wake()
    play.answer({"a": DONE})
    assert play.code("b") == "bad_reference"
    assert play.record.faults[1].message.startswith("$.approve.message: the output of a has no 'nothing'")
    skipped = Play(call("a", may_fail=True), call("b", approve={"message": "${a.n}?"}))
    skipped.wake()
    skipped.answer({"a": Refused(code="no", message="no")})
    assert skipped.cell("b") == "SKIPPED"
    assert not [*play.lines("step.approval_asked"), *skipped.lines("step.approval_asked")]


def test_what_a_join_misses_is_null_in_the_message() -> None:
    """As in arguments."""
    steps = call("a"), call("c", may_fail=True)
    play = Play(*steps, call("b", needs=["a", "c"], join="any", approve={"message": "${a.n} or ${c.n}?"}))
    play.wake()
    play.answer({"a": DONE, "c": Refused(code="no", message="no")})
    assert question_of(play, "b") == "1 or null?"


@pytest.mark.parametrize("message", ["${zz.q} ok?", "a ${ that is never closed", "$${a}"])
def test_the_message_of_an_older_plan_is_shown_as_it_stands(message: str) -> None:
    """It was accepted when nothing was resolved there: whatever it looks like, its executions go on."""
    plan = compiled(call("a"), call("b", approve={"message": "plain"}, needs=["a"])).plan
    steps = (plan.steps[0], msgspec.structs.replace(plan.steps[1], approve=Approval(message=message)))
    play = Play(call("a"))
    play.plan = Blueprint(encode(msgspec.structs.replace(plan, steps=steps)))
    play.record = Record(header(), play.plan)
    play.wake()
    assert play.answer({"a": DONE}) == "SUSPENDED approval"
    assert (question_of(play, "b"), play.hold("b").message) == (message, "")
    assert yes(play) == "EXECUTING"


def test_a_plan_without_references_in_messages_is_what_it_was() -> None:
    """Its hash names it in stores that are there already."""
    plain = compiled(call("b", approve={"message": "sure?"})).plan
    assert b"message_refs" not in encode(plain)
    assert hash_of(encode(plain)) != hash_of(encode(compiled(call("b", approve={"message": "$${sure}?"})).plan))
