"""A refusal for good: when another plan is looked for, what becomes of the answer, and that all else is undone as before."""

from typing import Any

import msgspec
import pytest

from shared.machine import plan as plans
from shared.machine import reopening
from shared.machine.accept import Limits
from shared.machine.decide import decide
from shared.machine.decision import Adopt, AskModel, Decision, End, Leave, Load, StartSteps, Suspend, apply
from shared.machine.events import Done, NotSent, Patience, Refused, Room, Ticked, Woke
from shared.machine.plan import Blueprint, PlanDraft, StepDraft
from shared.machine.state import (
    Adopted,
    Advice,
    Asked,
    Asking,
    Execution,
    Failure,
    Flawed,
    Header,
    Hold,
    Notes,
    Replan,
    Signal,
    Unreachable,
)
from shared.machine.status import Cause, Cell, Phase, Reason, Status
from shared.machine.versions import extended
from tests.machine.support import LEASE_MS, NOW, TOOLS, answered, blueprint, fault, intent

FULL = Refused(code="full", message="no table is free")
LIMITS = Limits(steps=100, argument_bytes=65_536, step_ms=8_000)
NO_RULES = Asked(questions=({"field": "plan", "question": "No other plan."},))
ONCE = Replan(most=1)
PATIENCE = Patience(calls=2, tokens=1_000, call_ms=4_000)


class Replanning:
    """One execution, moved by hand; `wake` begins a segment from the record alone."""

    def __init__(self, *steps: str, replan: Replan | None = ONCE, **head: Any) -> None:
        self.plan = blueprint(*steps)
        self.header = Header(id="exe_00_t", tenant="t", plan=self.plan.hash, status=Status.EXECUTING, **head)
        self.notes = Notes(replan=replan)
        self.now_ms = NOW
        self.cells = self.plan.plan.first_cells().encode()
        self.results: dict[int, Any] = {}
        self.load()
        self.last: Decision
        self.started = 0

    def load(self) -> None:
        """As the next owner finds it: no fault of what rests is loaded."""
        self.x = Execution(header=self.header, blueprint=self.plan, cells=self.cells, notes=self.notes, results=self.results)

    def room(self) -> Room:
        """What is left of an invocation that began at NOW."""
        return Room(
            checkpoint_ms=NOW + 7_500,
            cutoff_ms=NOW + 8_000,
            lease_ms=NOW + LEASE_MS,
            parallel=8,
            started=self.started,
            patience=PATIENCE,
        )

    def go(self, event: Any) -> Any:
        """What follows, after what was decided is stored."""
        self.last = decide(self.x, event)
        apply(self.x, self.last.kept)
        following = self.last.next
        if isinstance(following, Load):
            self.x.order = {cell: NOW + cell for cell in following.order}
            return self.go(Ticked(now_ms=self.now_ms, room=self.room()))
        if changes := getattr(following, "changes", None):
            apply(self.x, changes)
        if isinstance(following, StartSteps):
            self.started += len(following.starts)
        self.header, self.notes, self.cells, self.results = self.x.header, self.x.notes, bytes(self.x.cells), self.x.results
        if isinstance(following, Adopt):
            self.plan, self.cells = Blueprint(following.adopted.plan), following.adopted.cells.encode()
            self.header = msgspec.structs.replace(self.header, plan=following.adopted.hash, deadline_ms=following.deadline_ms)
        return following

    def wake(self, *signals: Signal) -> Any:
        """A new owner."""
        self.load()
        self.started = 0
        return self.go(Woke(now_ms=self.now_ms, room=self.room(), signals=signals))

    def answers(self, **outcomes: Any) -> Any:
        """Calls have ended, by their steps."""
        event = answered({self.plan.index[name]: outcome for name, outcome in outcomes.items()})
        return self.go(msgspec.structs.replace(event, room=self.room()))

    def says(self, said: Any) -> Any:
        """The model has answered."""
        self.started += 1
        self.x.advice = Advice(call=self.notes.asking.calls, said=said, tokens=10, instead=NO_RULES)
        return self.go(Ticked(now_ms=self.now_ms, room=self.room()))

    def version(self, *steps: StepDraft) -> Adopted:
        """The plan's next version, as a planner gives it."""
        found = extended(
            self.plan.plan,
            self.cells,
            PlanDraft(steps=steps),
            contracts=TOOLS,
            check_args=lambda *_: iter(()),
            limits=LIMITS,
        )
        data = plans.encode(found)
        return Adopted(plan=data, hash=plans.hash_of(data), cells="", fields={})

    @property
    def told(self) -> list[str]:
        """The history's events of the latest decision."""
        return [line.event for line in [*self.last.kept.history, *self.last.next.changes.history]]  # type: ignore[union-attr] # all that is used has changes


def call(name: str, *needs: str, tool: str = "idem", **args: Any) -> StepDraft:
    """A call."""
    return StepDraft(name=name, tool=tool, args=args, needs=needs)


def refused(**more: Any) -> Replanning:
    """Its second of three steps was refused for good, and it has left its segment."""
    one = Replanning("a idem", "b idem a", "c idem b", **more)
    one.wake()
    one.answers(a=Done(output={"n": 1}))
    left = one.answers(b=FULL)
    assert isinstance(left, Leave)
    return one


SAME = (call("b2", "a"), call("c2", "b2"))
OTHER = (call("b2", "a", time="20:00"), call("c2", "b2"))


def signal(kind: str, **payload: Any) -> Signal:
    """The first one."""
    return Signal(position=1, kind=kind, payload=payload)


# --- when


def test_a_refusal_for_good_is_stored_with_what_was_said() -> None:
    """With the fact itself, so that no crash between the two forgets it; the segment ends before the model is asked."""
    one = refused()
    assert one.last.next.next_step == "another plan"  # type: ignore[union-attr] # it left
    assert (one.header.status, one.header.phase, one.header.cause) == (Status.EXECUTING, Phase.FORWARD, Cause.FAILED)
    assert one.notes.replan == Replan(most=1, failed=(Failure("b", "full", "no table is free"),))
    assert one.last.kept.notes is not None


def test_the_model_is_asked_in_a_segment_of_its_own() -> None:
    """Counted before, as for words."""
    one = refused()
    asked = one.wake()
    assert isinstance(asked, AskModel)
    assert (asked.call, asked.until_ms, one.notes.asking.calls) == (1, NOW + 4_000, 1)
    assert isinstance(one.wake(), AskModel)
    assert one.notes.asking.calls == 2


def test_without_leave_to_it_nobody_is_asked() -> None:
    """It is undone."""
    one = Replanning("a idem", "b idem a", replan=None)
    one.wake()
    one.answers(a=Done(output={}))
    undo = one.answers(b=FULL)
    assert isinstance(undo, StartSteps)
    assert one.header.status is Status.COMPENSATING


def given_up(one: Replanning, why: str) -> None:
    """It goes back."""
    assert one.header.status in {Status.COMPENSATING, Status.FAILED}, one.header
    assert one.notes.replan is None or not one.notes.replan.failed
    lines = [*one.last.kept.history, *one.last.next.changes.history]  # type: ignore[union-attr] # as above
    (line,) = [line for line in lines if line.event == "replanning.given_up"]
    assert why in line.detail["message"]


def test_what_runs_beside_it_ends_first() -> None:
    """And its result stays, whatever becomes of the plan."""
    one = Replanning("a idem", "b idem")
    one.wake()
    one.answers(b=FULL)
    assert one.notes.asking == Asking()
    assert isinstance(one.answers(a=Done(output={"n": 1})), Leave)
    assert isinstance(one.wake(), AskModel)
    found = one.says(one.version(call("b2")))
    assert one.cells == b"dfo..."
    assert found.adopted.cells == "dfo..."


def test_a_technical_failure_is_undone_as_before() -> None:
    """Nobody said no: the partner is not there, and another plan would meet it too."""
    one = Replanning("a idem")
    one.cells = b"b."
    one.load()
    one.x.faults[0] = fault(2, retry_at_ms=NOW)
    one.go(Woke(now_ms=NOW, room=one.room()))
    end = one.answers(a=NotSent(message="away"))
    assert (end.status, one.notes.replan) == (Status.FAILED, ONCE)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("dfw...", "c is under way"),
        ("dfu...", "c is under way"),
        ("dfs...", "c is under way"),
        ("fff...", "a failed for another reason"),
    ],
)
def test_what_is_under_way_or_failed_otherwise_hinders_it(cells: str, why: str) -> None:
    """A wait, a child, an effect that nobody knows of; or a reference that led nowhere beside the refusal."""
    one = refused()
    one.cells = cells.encode()
    one.load()
    one.x.intents[2] = intent()
    one.x.holds[2] = Hold(kind=Reason.EVENT, since_ms=NOW)
    one.go(Woke(now_ms=NOW, room=one.room()))
    given_up(one, why)


def test_the_bound_is_kept() -> None:
    """The last version fails as every plan does."""
    one = Replanning("a idem", "b idem a", replan=Replan(most=1, made=1))
    one.wake()
    one.answers(a=Done(output={}))
    one.answers(b=FULL)
    given_up(one, "the last there may be")


def test_when_its_time_is_over_nobody_is_asked() -> None:
    """What is done is undone."""
    one = refused(deadline_ms=NOW + 5_000)
    one.now_ms = NOW + 6_000
    one.wake()
    given_up(one, "its time is over")


# --- what becomes of the answer


def test_the_same_again_goes_on_at_once() -> None:
    """Old cells stay where they are, and the undo cells move behind the new ones."""
    one = refused()
    one.wake()
    before = one.plan.hash
    found = one.says(one.version(*SAME))
    assert isinstance(found, Adopt)
    assert (found.confirm, found.adopted.cells) == (False, "dfko......")
    assert (one.header.status, one.header.cause) == (Status.EXECUTING, Cause.NONE)
    assert one.notes.replan == Replan(most=1, made=1)
    assert one.notes.asking == Asking()
    line = one.last.next.changes.history[-1]  # type: ignore[union-attr] # as above
    assert (line.event, line.detail["version"]) == ("plan.replanned", 2)
    assert (line.detail["before"], line.detail["hash"]) == (before, found.adopted.hash)


def finished(one: Replanning) -> Any:
    """The version that was adopted, to its end."""
    started = one.wake()
    assert [start.intent.key for start in started.starts] == ["exe_00_t.b2.1"]
    one.answers(b2=Done(output={}))
    return one.answers(c2=Done(output={}))


def test_it_completes_and_nothing_that_was_done_is_done_again() -> None:
    """Keys are of the new names."""
    one = refused()
    one.wake()
    one.says(one.version(*SAME))
    end = finished(one)
    assert isinstance(end, End)
    assert end.status is Status.COMPLETED
    assert one.cells == b"dfkdd....."


def test_a_version_that_fails_undoes_what_both_did() -> None:
    """In reverse order."""
    one = refused()
    one.wake()
    one.says(one.version(*SAME))
    one.wake()
    one.answers(b2=Done(output={}))
    undo = one.answers(c2=FULL)
    assert [start.intent.key for start in undo.starts] == ["exe_00_t.b2.1.undo"]
    assert one.header.status is Status.COMPENSATING


def test_another_time_waits_for_a_yes_with_the_difference() -> None:
    """Nothing of it starts before."""
    one = refused()
    one.wake()
    found = one.says(one.version(*OTHER))
    assert (found.confirm, one.header.status) == (True, Status.AWAITING_CONFIRMATION)
    assert one.notes.unconfirmed
    assert one.notes.replan is not None
    assert [(row.step, row.field, row.before, row.after) for row in one.notes.replan.asks] == [("b2", "time", None, "20:00")]
    assert isinstance(one.wake(), Suspend)
    started = one.wake(signal("confirm", plan_hash=one.plan.hash))
    assert [start.step for start in started.starts] == ["b2"]
    assert one.notes.replan.confirmed


def test_a_yes_to_the_plan_before_is_none() -> None:
    """It names another hash."""
    one = refused()
    one.wake()
    before = one.plan.hash
    one.says(one.version(*OTHER))
    one.wake(signal("confirm", plan_hash=before))
    assert one.header.status is Status.AWAITING_CONFIRMATION
    assert "signal.moot" in one.told


def test_whoever_signed_a_plan_signs_every_version() -> None:
    """Even the same again."""
    one = refused(replan=Replan(most=1, confirmed=True))
    one.wake()
    assert one.says(one.version(*SAME)).confirm


def test_policies_can_want_a_yes_too() -> None:
    """As for the first plan."""
    one = refused()
    one.wake()
    assert one.says(msgspec.structs.replace(one.version(*SAME), confirm=True)).confirm


@pytest.mark.parametrize("word", ["reject", "cancel"])
def test_a_no_undoes_what_is_done(word: str) -> None:
    """And there is no further version, whoever reopens it."""
    one = refused()
    one.wake()
    one.says(one.version(*OTHER))
    undo = one.wake(signal(word))
    assert [start.intent.key for start in undo.starts] == ["exe_00_t.a.1.undo"]
    assert (one.header.status, one.notes.unconfirmed) == (Status.COMPENSATING, False)
    assert one.header.cause is (Cause.FAILED if word == "reject" else Cause.CANCELLED)


def test_time_that_runs_out_while_it_waits_undoes_what_is_done() -> None:
    """The deadline is that of the first plan."""
    one = refused(deadline_ms=NOW + 60_000)
    one.wake()
    found = one.says(one.version(*OTHER))
    assert (found.deadline_ms, found.wake_at_ms) == (NOW + 60_000, NOW + 60_000)
    one.now_ms = NOW + 61_000
    one.wake()
    assert (one.header.status, one.header.cause) == (Status.COMPENSATING, Cause.TIMED_OUT)


def test_a_cancel_ends_the_search() -> None:
    """Before the model has answered: the answer is not used."""
    one = refused()
    one.wake()
    one.says(Unreachable(message="busy"))
    assert one.header.reason is Reason.BACKOFF
    one.wake(signal("cancel"))
    assert one.header.status is Status.COMPENSATING
    assert one.notes.asking == Asking()


def test_it_can_be_paused_while_a_plan_is_looked_for() -> None:
    """And goes on looking."""
    one = refused()
    assert isinstance(one.wake(signal("pause", actor="ann")), Suspend)
    assert one.header.status is Status.PAUSED
    assert isinstance(one.wake(signal("resume", actor="ann")), AskModel)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Asked(questions=({"field": "time", "question": "When else?"},)), "it asks: When else?"),
        (Unreachable(message="the model's endpoint answered 401", retryable=False), "answered 401"),
    ],
)
def test_no_plan_is_the_ordinary_failure(said: Any, why: str) -> None:
    """Nobody waits for answers in the middle of a saga."""
    one = refused()
    one.wake()
    one.says(said)
    given_up(one, why)


def test_calls_are_bounded_for_a_version() -> None:
    """Flawed answers are mended as often as that; then it is undone."""
    one = refused()
    one.wake()
    assert isinstance(one.says(Flawed(problems=("no tool x",))), AskModel)
    one.says(Flawed(problems=("still not",)))
    given_up(one, "still not")


def test_an_answer_that_no_longer_fits_is_not_used() -> None:
    """Somebody has skipped a step with an output while the model thought: the version does not know of it."""
    one = refused()
    one.wake()
    found = one.version(*SAME)
    one.x.results[2] = {}
    one.x.move(2, Cell.DONE)
    one.says(found)
    given_up(one, "somebody has acted")


def test_a_planner_that_repeats_what_is_done_is_not_believed() -> None:
    """The machine looks itself, whatever the validator let through."""
    one = refused()
    one.wake()
    found = one.version(*SAME)
    plan = plans.decode(found.plan)
    again = msgspec.structs.replace(plan, steps=(msgspec.structs.replace(plan.steps[0], replaced=True), *plan.steps[1:]))
    one.says(msgspec.structs.replace(found, plan=plans.encode(again)))
    given_up(one, "somebody has acted")


# --- later


def test_a_failed_version_is_retried_without_what_it_replaced() -> None:
    """Both failed; only one of them is a step of this version."""
    one = Replanning("b pure", "c idem b")
    one.wake()
    one.answers(b=FULL)
    one.wake()
    one.says(one.version(call("b2", tool="pure"), call("c2", "b2")))
    one.wake()
    end = one.answers(b2=FULL)
    assert isinstance(end, End)
    assert (end.status, one.cells) == (Status.FAILED, b"fkf.....")
    one.load()
    apply(one.x, reopening.retry(one.x, step="", by="ann", now_ms=NOW))
    assert bytes(one.x.cells) == b"fko....."
