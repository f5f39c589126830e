"""Words without a plan: when the model is asked, how often, and what becomes of its answers."""

from typing import Any

import msgspec
import pytest

from shared.machine.decide import decide
from shared.machine.decision import Adopt, AskModel, Decision, End, Leave, Suspend, apply
from shared.machine.events import Patience, Room, Signalled, Ticked, Woke
from shared.machine.plan import NO_PLAN, Blueprint
from shared.machine.state import Adopted, Advice, Asked, Asking, Execution, Flawed, Header, Notes, Signal, Unreachable
from shared.machine.status import Status

NOW = 1_000_000
FOUND = Adopted(plan=b"{}", hash="h" * 32, cells="r.", fields={})
RULES = Asked(questions=({"field": "time", "question": "When?", "candidates": []},))
PATIENCE = Patience(calls=3, tokens=1_000, call_ms=4_000)


class Planning:
    """One execution that has words only, moved by hand."""

    def __init__(self, status: Status = Status.RECEIVED, patience: Patience = PATIENCE, **notes: Any) -> None:
        self.patience = patience
        self.header = Header(id="exe_00_t", tenant="t", plan="", status=status)
        self.notes = Notes(**notes)
        self.now_ms = NOW
        self.started = 0
        self.load()
        self.last: Decision

    def load(self) -> None:
        """From the record alone."""
        self.x = Execution(header=self.header, blueprint=Blueprint(NO_PLAN), cells=b"", notes=self.notes)

    def room(self) -> Room:
        """What is left of an invocation that began at NOW."""
        return Room(
            checkpoint_ms=NOW + 7_500,
            cutoff_ms=NOW + 8_000,
            lease_ms=NOW + 11_000,
            parallel=1,
            started=self.started,
            patience=self.patience,
        )

    def go(self, event: Any) -> Any:
        """What follows, after what was decided is stored."""
        self.last = decide(self.x, event)
        apply(self.x, self.last.kept)
        following = self.last.next
        apply(self.x, getattr(following, "changes", None) or self.last.kept)
        self.header, self.notes = self.x.header, self.x.notes
        return following

    def wake(self, *signals: Signal) -> Any:
        """A new owner."""
        self.load()
        self.started = 0
        return self.go(Woke(now_ms=self.now_ms, room=self.room(), signals=signals))

    def says(self, said: Any, **more: Any) -> Any:
        """The model has answered."""
        self.started += 1
        self.x.advice = Advice(call=self.notes.asking.calls, said=said, instead=RULES, **({"tokens": 10} | more))
        return self.go(Ticked(now_ms=self.now_ms, room=self.room()))

    @property
    def status(self) -> str:
        """Where it stands."""
        return self.header.status.value

    @property
    def told(self) -> list[str]:
        """The history's events of the latest decision."""
        return [line.event for line in [*self.last.kept.history, *self.last.next.changes.history]]  # type: ignore[union-attr] # all that is used has changes


def signal(kind: str, **payload: Any) -> Signal:
    """The first one."""
    return Signal(position=1, kind=kind, payload=payload)


def test_a_call_is_counted_before_it_is_made() -> None:
    """It costs money even if its process dies in it."""
    one = Planning()
    asked = one.wake()
    assert asked == AskModel(call=1, model=True, until_ms=NOW + 4_000, changes=asked.changes)
    assert (one.header.status, one.notes.asking.calls) == (Status.PLANNING, 1)
    again = one.wake()
    assert (again.call, one.notes.asking.calls) == (2, 2)


def test_a_plan_is_adopted_and_begins_in_the_next_segment() -> None:
    """PLANNING, PLANNED; what was asked is told, and no longer carried along."""
    one = Planning()
    one.wake()
    found = one.says(FOUND, detail={"model": "m"})
    assert isinstance(found, Adopt)
    assert (found.adopted, found.confirm, found.deadline_ms) == (FOUND, False, 0)
    assert (one.header.status, one.notes.asking) == (Status.PLANNED, Asking())
    assert one.told == ["planning.answered", "planning.planned"]
    assert one.last.kept.history[0].detail == {"call": 1, "said": "plan", "tokens": 10, "model": "m"}


def test_with_confirm_it_waits_for_a_yes() -> None:
    """As a plan that was accepted at once does."""
    one = Planning(unconfirmed=True)
    one.wake()
    found = one.says(FOUND)
    assert isinstance(found, Adopt)
    assert found.confirm
    assert one.header.status is Status.AWAITING_CONFIRMATION


def test_a_plan_that_policies_want_confirmed_waits_too() -> None:
    """Nobody asked for that with the words: nobody knew the plan."""
    one = Planning()
    one.wake()
    found = one.says(msgspec.structs.replace(FOUND, confirm=True))
    assert found.confirm
    assert (one.header.status, one.notes.unconfirmed) == (Status.AWAITING_CONFIRMATION, True)


def test_the_plans_own_timeout_counts_from_the_plan() -> None:
    """Nobody is timed out because the model was slow."""
    one = Planning()
    one.wake()
    assert one.says(msgspec.structs.replace(FOUND, timeout_ms=500)).deadline_ms == NOW + 500


def test_questions_end_it_rejected_with_the_questions() -> None:
    """Whoever asks again with an answer begins a new execution."""
    one = Planning()
    one.wake()
    asked = Asked(questions=({"field": "people", "question": "How many?"},))
    end = one.says(asked)
    assert isinstance(end, End)
    assert end.status is Status.REJECTED
    assert end.changes.output["questions"] == [{"field": "people", "question": "How many?"}]
    assert end.changes.output["error"] == {"code": "clarification_needed", "message": "How many?"}


def test_a_flawed_answer_is_mended_at_once_with_what_was_wrong() -> None:
    """In the same segment while there is time; the problems are kept for the next one."""
    one = Planning()
    one.wake()
    asked = one.says(Flawed(problems=("no tool x",), answer="{}"))
    assert isinstance(asked, AskModel)
    assert (asked.call, one.notes.asking.problems) == (2, ("no tool x",))


def test_without_time_the_next_segment_asks() -> None:
    """It begins at once: something came of this one."""
    one = Planning()
    one.wake()
    one.now_ms += 6_000
    assert isinstance(one.says(Flawed(problems=("no tool x",))), Leave)
    assert one.notes.asking.problems == ("no tool x",)
    one.now_ms = NOW
    assert isinstance(one.wake(), AskModel)


def test_repair_is_bounded_and_then_the_rules_have_the_word() -> None:
    """Three calls, whatever they say."""
    one = Planning()
    one.wake()
    assert isinstance(one.says(Flawed(problems=("p",))), AskModel)
    assert isinstance(one.says(Flawed(problems=("p",))), AskModel)
    end = one.says(Flawed(problems=("p",)))
    assert isinstance(end, End)
    assert end.changes.output == {
        "error": {"code": "clarification_needed", "message": "When?", "planner": "p"},
        "questions": [RULES.questions[0]],
    }


def test_tokens_are_bounded_too() -> None:
    """No further call once they are used up."""
    one = Planning()
    one.wake()
    assert isinstance(one.says(Flawed(problems=("p",)), tokens=1_000), End)


def test_money_is_bounded_too() -> None:
    """What every call costs is told and added up; no further call once the money is used up."""
    one = Planning(patience=msgspec.structs.replace(PATIENCE, cost_micro=2_500_000))
    one.wake()
    assert isinstance(one.says(Flawed(problems=("p",)), cost_micro=1_250_000), AskModel)
    assert [line.detail["cost"] for line in one.last.kept.history if line.event == "planning.answered"] == [1.25]
    assert one.notes.asking.cost_micro == 1_250_000
    assert isinstance(one.says(Flawed(problems=("p",)), cost_micro=1_250_000), End)


def test_without_a_price_no_cost_is_told() -> None:
    """It is not known, which is not the same as nothing."""
    one = Planning()
    one.wake()
    one.says(Flawed(problems=("p",)))
    assert [list(line.detail) for line in one.last.kept.history if line.event == "planning.answered"] == [
        ["call", "said", "tokens", "problems"]
    ]


def test_no_answer_is_waited_out() -> None:
    """SUSPENDED, with a message for the end of the back-off; at least as long as the endpoint wants."""
    one = Planning()
    one.wake()
    rest = one.says(Unreachable(message="429", retry_after_ms=30_000))
    assert isinstance(rest, Suspend)
    assert (rest.timed, rest.wake_at_ms) == (True, NOW + 30_000)
    assert one.status == "SUSPENDED"
    assert isinstance(one.wake(), AskModel)
    assert one.status == "PLANNING"


def test_what_will_never_answer_is_asked_once() -> None:
    """A wrong key is not mended by asking again."""
    one = Planning()
    one.wake()
    end = one.says(Unreachable(message="the model's endpoint answered 401", retryable=False))
    assert isinstance(end, End)
    assert end.changes.output["error"]["planner"] == "the model's endpoint answered 401"


def test_the_rules_plan_where_the_model_fails() -> None:
    """If they can."""
    one = Planning()
    one.wake()
    one.x.advice = Advice(call=1, said=Unreachable(message="x", retryable=False), instead=FOUND)
    assert isinstance(one.go(Ticked(now_ms=NOW, room=one.room())), Adopt)


def test_calls_whose_processes_died_count_and_then_only_the_rules_are_asked() -> None:
    """Which cost nothing."""
    one = Planning(asking=Asking(calls=3))
    asked = one.wake()
    assert (asked.call, asked.model, one.notes.asking.calls) == (3, False, 3)
    assert isinstance(one.says(Unreachable(message="not asked", retryable=False)), End)


@pytest.mark.parametrize("status", [Status.RECEIVED, Status.PLANNING, Status.SUSPENDED])
def test_a_cancel_ends_it_wherever_it_stands(status: Status) -> None:
    """No call is made for what nobody wants any more."""
    end = Planning(status).wake(signal("cancel"))
    assert isinstance(end, End)
    assert end.status is Status.CANCELLED


def test_a_cancel_that_comes_with_the_answer_wins_and_the_answer_is_told_once() -> None:
    """The commit was refused, and its kept part was stored."""
    one = Planning()
    one.wake()
    one.started = 1
    one.x.advice = Advice(call=1, said=FOUND, tokens=10, instead=RULES)
    first = decide(one.x, Ticked(now_ms=NOW, room=one.room()))
    apply(one.x, first.kept)
    end = one.go(Signalled(now_ms=NOW, room=one.room(), signals=(signal("cancel"),)))
    assert isinstance(end, End)
    assert end.status is Status.CANCELLED
    assert [line.event for line in first.kept.history] == ["planning.answered"]
    assert "planning.answered" not in one.told


def test_a_pause_keeps_it_from_asking_until_somebody_resumes() -> None:
    """PAUSED and back."""
    one = Planning()
    assert isinstance(one.wake(signal("pause", actor="ann")), Suspend)
    assert one.status == "PAUSED"
    assert isinstance(one.wake(signal("resume")), AskModel)
    assert one.status == "PLANNING"


@pytest.mark.parametrize("kind", ["confirm", "reject"])
def test_nobody_confirms_a_plan_that_is_not_there(kind: str) -> None:
    """Not even by the empty hash."""
    one = Planning(unconfirmed=True)
    assert isinstance(one.wake(signal(kind, plan_hash="")), AskModel)
    assert one.notes.unconfirmed
    assert "signal.moot" in one.told


def test_an_event_that_comes_before_the_plan_is_kept_for_it() -> None:
    """Whoever sent it does not send it again."""
    one = Planning()
    one.wake(signal("event", name="paid", key="k"))
    assert [early.name for early in one.notes.early] == ["paid"]


def test_an_invocation_that_came_too_late_asks_nothing() -> None:
    """The next one does."""
    one = Planning()
    one.now_ms = NOW + 7_600
    assert not isinstance(one.wake(), AskModel)
