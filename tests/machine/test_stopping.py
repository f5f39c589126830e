"""Cancel, deadline and failure: what runs may finish, nothing new starts, and what was done is taken back."""

import pytest

from shared.machine.decide import decide
from shared.machine.decision import End, Load, StartSteps, Suspend, Wait, apply
from shared.machine.events import Refused, Unanswered
from shared.machine.state import Signal
from shared.machine.status import Cause, Cell, Phase, Reason, Status
from tests.machine.support import (
    DONE,
    NOW,
    answered,
    blueprint,
    cancel,
    execution,
    fault,
    header,
    intent,
    outcome_of,
    put,
    signalled,
    starts,
    ticked,
    whole,
    woke,
)

NO = Refused(code="sold_out", message="none left")
SILENCE = Unanswered(message="?")


def ended(following: object) -> tuple[Status, Cause]:
    """How it ended, and why."""
    assert isinstance(following, End)
    assert following.changes.header is not None
    assert following.changes.header.status is following.status
    return following.status, following.cause


class TestCancel:
    """A signal; the decision that takes it in starts nothing forward any more."""

    @pytest.mark.parametrize("status", [Status.PLANNED, Status.EXECUTING, Status.SUSPENDED])
    def test_before_anything_started_it_just_ends(self, status: Status) -> None:
        """There is nothing to undo."""
        following = decide(execution(blueprint("a idem"), head=header(status)), woke(0, cancel())).next
        assert ended(following) == (Status.CANCELLED, Cause.CANCELLED)

    def test_a_plan_of_pure_steps_is_cancelled_and_not_compensated(self) -> None:
        """A pure step has no effect to take back, done or not."""
        x = execution(blueprint("a pure", "b pure a", "c pure b"), "dr.")
        assert ended(decide(x, woke(0, cancel())).next) == (Status.CANCELLED, Cause.CANCELLED)

    def test_running_siblings_are_drained_before_the_first_undo(self) -> None:
        """Each may still say that it happened; then it is undone too."""
        x = execution(blueprint("a idem", "b idem", "c idem a"), "ii.")
        decision = decide(x, signalled(50, cancel(), started=2))
        assert decision.next == Wait()
        apply(x, decision.kept)
        decision = decide(x, answered({0: DONE}, started=2))
        assert (decision.next, put(decision, 2)) == (Wait(), Cell.READY)
        apply(x, decision.kept)
        decision = decide(x, answered({1: DONE}, 200, started=2))
        assert decision.next == Load(order=(0, 1))

    def test_taken_in_with_the_last_result_it_still_wins(self) -> None:
        """The end was refused because it had arrived: nothing ends COMPLETED over an accepted cancel."""
        x = execution(blueprint("a idem"), "i")
        decision = decide(x, answered({0: DONE}))
        assert ended(decision.next)[0] is Status.COMPLETED
        apply(x, decision.kept)
        assert starts(decide(x, signalled(100, cancel()))) == ["-a"]

    def test_in_back_off_without_doubt_there_is_nothing_to_undo(self) -> None:
        """The tool had said: not done."""
        x = execution(blueprint("a idem"), "b", faults={0: fault(retry_at_ms=NOW + 9_000)})
        assert ended(decide(x, woke(0, cancel())).next) == (Status.CANCELLED, Cause.CANCELLED)

    def test_in_back_off_with_doubt_the_effect_is_undone_by_key(self) -> None:
        """Nobody had answered, so it may be there."""
        x = execution(blueprint("a idem"), "b", faults={0: fault(retry_at_ms=NOW + 9_000, doubt=True)})
        assert starts(decide(x, woke(0, cancel()))) == ["-a"]

    def test_in_settling_the_undo_waits_for_the_same_moment(self) -> None:
        """What has no tombstone may land after an undo."""
        x = execution(blueprint("a probe"), "s", intents={0: intent(settle_at_ms=NOW + 9_000)})
        following = decide(x, woke(0, cancel())).next
        assert isinstance(following, Suspend)
        assert (following.reason, following.wake_at_ms) == (Reason.SETTLING, NOW + 9_000)

    @pytest.mark.parametrize(
        ("says", "undone"),
        [
            pytest.param(DONE, ["-a"], id="it happened: undone"),
            pytest.param(Refused(code="never_happened", message=""), [], id="it never happened: nothing to undo"),
            pytest.param(SILENCE, ["-a"], id="it cannot tell: undone by key"),
        ],
    )
    def test_while_a_probe_runs_its_answer_is_awaited(self, says: object, undone: list[str]) -> None:
        """The probe is drained like any call."""
        told = intent(probe=True, doubt=True, asked=1, settle_at_ms=NOW - 5)
        x = execution(blueprint("a probe"), "i", intents={0: told})
        decision = decide(x, signalled(50, cancel()))
        assert decision.next == Wait()
        apply(x, decision.kept)
        decision = decide(x, answered({0: says}))  # type: ignore[dict-item] # one of the four outcomes
        assert starts(decision) == undone
        if not undone:
            assert ended(decision.next) == (Status.CANCELLED, Cause.CANCELLED)

    def test_an_unknown_effect_is_undone_if_there_is_a_way(self) -> None:
        """And listed if there is none."""
        assert starts(decide(execution(blueprint("a unsafe_keyed"), "u"), woke(0, cancel()))) == ["-a"]
        decision = decide(execution(blueprint("a unsafe"), "u"), woke(0, cancel()))
        assert ended(decision.next) == (Status.COMPENSATION_FAILED, Cause.CANCELLED)
        assert put(decision, 1) is Cell.LEFT

    def test_with_a_dead_owners_call_both_are_taken_in_at_once(self) -> None:
        """The orphan is in doubt, so it is undone and not sent again."""
        decision = decide(execution(blueprint("a idem"), "i"), woke(0, cancel()))
        assert (put(decision, 0), starts(decision)) == (Cell.BACKOFF, ["-a"])

    def test_while_undoing_it_is_taken_in_and_means_nothing(self) -> None:
        """A second cancel, or one after a failure: the position is kept, the cause stands."""
        head = header(Status.COMPENSATING, phase=Phase.UNDO, cause=Cause.FAILED)
        decision = decide(execution(blueprint("a idem"), "dr", head=head), woke(0, cancel(7)))
        assert (decision.kept.seen, starts(decision)) == (7, ["-a"])
        assert decision.kept.header is None

    def test_the_first_cause_stands(self) -> None:
        """A cancel while a failure is being drained changes nothing."""
        x = execution(blueprint("a idem", "b idem"), "ii")
        apply(x, decide(x, answered({0: NO}, started=2)).kept)
        decision = decide(x, signalled(150, cancel(), started=2))
        assert decision.kept.header is None
        assert x.header.cause is Cause.FAILED

    def test_a_signal_of_another_kind_is_taken_in(self) -> None:
        """Its position is kept, or it would come again for ever."""
        decision = decide(execution(blueprint("a idem")), woke(0, Signal(position=3, kind="hello")))
        assert (decision.kept.seen, decision.kept.progress, starts(decision)) == (3, True, ["a"])


class TestDeadline:
    """Of the whole execution."""

    def test_nothing_done_ends_timed_out(self) -> None:
        """Whether it had begun or not."""
        x = execution(blueprint("a idem"), head=header(Status.PLANNED, deadline_ms=NOW))
        assert ended(decide(x, woke()).next) == (Status.TIMED_OUT, Cause.TIMED_OUT)

    def test_what_was_done_is_undone(self) -> None:
        """And the cause says why."""
        x = execution(blueprint("a idem", "b idem a"), "dr", head=header(deadline_ms=NOW + 5))
        decision = decide(x, ticked(5, started=1))
        assert starts(decision) == ["-a"]
        assert (head := whole(decision).header) is not None
        assert head.cause is Cause.TIMED_OUT

    def test_just_before_it_steps_still_start(self) -> None:
        """The deadline is the first moment that is too late."""
        x = execution(blueprint("a idem"), head=header(deadline_ms=NOW + 5))
        assert starts(decide(x, woke(4))) == ["a"]

    def test_running_calls_are_drained(self) -> None:
        """They may have had their effect."""
        x = execution(blueprint("a idem", "b idem"), "ii", head=header(deadline_ms=NOW + 50))
        decision = decide(x, answered({0: DONE}, started=2))
        assert starts(decision) == []
        assert isinstance(decision.next, StartSteps)  # it stores why, and starts nothing
        assert (head := whole(decision).header) is not None
        assert head.cause is Cause.TIMED_OUT

    def test_undoing_has_none(self) -> None:
        """It takes as long as it takes."""
        head = header(Status.COMPENSATING, phase=Phase.UNDO, cause=Cause.CANCELLED, deadline_ms=NOW - 5)
        decision = decide(execution(blueprint("a idem"), "dr", head=head), woke())
        assert (starts(decision), decision.kept.header) == (["-a"], None)

    @pytest.mark.parametrize(
        ("back_off", "deadline", "wakes"),
        [(30_000, 9_000, 9_000), (9_000, 30_000, 9_000), (9_000, 0, 9_000)],
        ids=["the deadline is first", "the back-off is first", "there is no deadline"],
    )
    def test_a_suspended_execution_wakes_for_whichever_is_first(self, back_off: int, deadline: int, wakes: int) -> None:
        """Otherwise it would time out late."""
        head = header(deadline_ms=NOW + deadline if deadline else 0)
        x = execution(blueprint("a idem"), "b", head=head, faults={0: fault(retry_at_ms=NOW + back_off)})
        following = decide(x, woke()).next
        assert isinstance(following, Suspend)
        assert (following.wake_at_ms, following.timed) == (NOW + wakes, True)


class TestFailure:
    """A step that fails for good stops the plan."""

    def test_without_effects_it_ends_failed(self) -> None:
        """Done pure siblings are nothing to undo."""
        x = execution(blueprint("a pure", "b idem a", "c pure a"), "did")
        assert ended(decide(x, answered({1: NO})).next) == (Status.FAILED, Cause.FAILED)

    def test_with_effects_they_are_undone(self) -> None:
        """The failed step itself is not."""
        decision = decide(execution(blueprint("a idem", "b idem a"), "di"), answered({1: NO}))
        assert starts(decision) == ["-a"]

    def test_what_was_ready_does_not_start(self) -> None:
        """Not even with room for it."""
        decision, following = outcome_of(execution(blueprint("a idem", "b idem"), "ir"), answered({0: NO}))
        assert (following, starts(decision)) == ("End", [])

    def test_a_pending_back_off_is_not_waited_for(self) -> None:
        """It would only start what must be undone."""
        faults = {1: fault(retry_at_ms=NOW + 9_000)}
        x = execution(blueprint("a idem", "b idem"), "ib", faults=faults)
        assert ended(decide(x, answered({0: NO})).next) == (Status.FAILED, Cause.FAILED)
