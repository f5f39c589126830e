"""Waits: what is sat out, what suspends, what needs a person, and what never goes round in circles."""

import pytest

from shared.machine.decide import AUDIT_MS, decide
from shared.machine.decision import Leave, Suspend, Wait
from shared.machine.events import Refused, Unanswered
from shared.machine.status import Cause, Phase, Reason, Status
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
    resend,
    starts,
    ticked,
    woke,
)

BUSY = Refused(code="busy", message="later", retryable=True)


def suspended(decision_next: object) -> Suspend:
    """The wait that was decided."""
    assert isinstance(decision_next, Suspend)
    assert decision_next.changes.header is not None
    assert decision_next.changes.header.status is Status.SUSPENDED
    assert decision_next.changes.header.reason is decision_next.reason
    return decision_next


@pytest.mark.parametrize(
    ("now", "ends", "starts_left", "sits"),
    [
        pytest.param(0, 2_000, None, True, id="two seconds are sat out"),
        pytest.param(0, 2_001, None, False, id="more than two seconds are a message"),
        pytest.param(4_500, 5_500, None, True, id="two seconds before the checkpoint must be left"),
        pytest.param(4_500, 5_501, None, False, id="too near to the checkpoint is a message"),
        pytest.param(0, 500, 0, False, id="a segment that may start nothing more does not sit"),
        pytest.param(0, 500, 1, True, id="a segment that may start one more sits"),
    ],
)
def test_a_short_back_off_is_sat_out(now: int, ends: int, starts_left: int | None, *, sits: bool) -> None:
    """Cheaper than a message, if the invocation has the time."""
    x = execution(blueprint("a idem"), "b", faults={0: fault(retry_at_ms=NOW + ends)})
    following = decide(x, ticked(now, started=1, starts_left=starts_left)).next
    if sits:
        assert following == Wait(until_ms=NOW + ends)
    else:
        wait = suspended(following)
        assert (wait.reason, wait.wake_at_ms, wait.timed) == (Reason.BACKOFF, NOW + ends, True)


def test_retry_after_suspends_until_then() -> None:
    """And not for the shorter back-off."""
    late = Refused(code="busy", message="later", retryable=True, retry_after_ms=30_000)
    wait = suspended(decide(execution(blueprint("a idem"), "i"), answered({0: late})).next)
    assert (wait.reason, wait.wake_at_ms, wait.timed) == (Reason.BACKOFF, NOW + 100 + 30_000, True)


def test_the_earliest_timer_wakes_and_gives_the_reason() -> None:
    """A settling sibling does not turn a back-off into settling."""
    faults = {0: fault(retry_at_ms=NOW + 9_000), 1: fault(retry_at_ms=NOW + 20_000, doubt=True)}
    x = execution(blueprint("a idem", "b probe"), "bs", faults=faults)
    wait = suspended(decide(x, woke()).next)
    assert (wait.reason, wait.wake_at_ms) == (Reason.BACKOFF, NOW + 9_000)
    faults[1] = fault(retry_at_ms=NOW + 8_000, doubt=True)
    wait = suspended(decide(execution(blueprint("a idem", "b probe"), "bs", faults=faults), woke()).next)
    assert (wait.reason, wait.wake_at_ms) == (Reason.SETTLING, NOW + 8_000)


class TestUnknown:
    """An effect of which only a person can say whether it is there."""

    def test_it_waits_for_a_person_and_is_looked_at_daily(self) -> None:
        """Not timed: no message is queued for it."""
        decision = decide(execution(blueprint("a unsafe"), "i"), answered({0: Unanswered(message="?")}))
        wait = suspended(decision.next)
        assert (wait.reason, wait.wake_at_ms, wait.timed) == (Reason.UNKNOWN_EFFECT, NOW + 100 + AUDIT_MS, False)

    def test_with_a_deadline_it_wakes_then(self) -> None:
        """Time ends the wait, so a message is queued."""
        head = header(deadline_ms=NOW + 60_000)
        wait = suspended(decide(execution(blueprint("a unsafe"), "u", head=head), woke()).next)
        assert (wait.wake_at_ms, wait.timed) == (NOW + 60_000, True)

    def test_a_deadline_behind_the_wait_changes_nothing(self) -> None:
        """The wait ends first."""
        head = header(deadline_ms=NOW + 60_000)
        x = execution(blueprint("a idem"), "b", head=head, faults={0: fault(retry_at_ms=NOW + 30_000)})
        assert suspended(decide(x, woke()).next).wake_at_ms == NOW + 30_000


class TestFruitlessSegments:
    """After so many segments without progress an operator is asked, instead of one more message."""

    def test_the_limit_stops_it_until_somebody_looks(self) -> None:
        """What the dead owner left is settled all the same."""
        decision = decide(execution(blueprint("a idem"), "i", head=header(stalled=6)), woke(stalled_limit=5))
        wait = suspended(decision.next)
        assert (wait.reason, wait.timed) == (Reason.UNDELIVERABLE, False)
        assert wait.changes.progress
        assert decision.kept.cells

    @pytest.mark.parametrize(("stalled", "limit"), [(5, 5), (50, 0)], ids=["at the limit it still runs", "no limit"])
    def test_below_it_runs(self, stalled: int, limit: int) -> None:
        """The count includes the segment that begins."""
        x = execution(blueprint("a idem"), head=header(stalled=stalled))
        assert starts(decide(x, woke(stalled_limit=limit))) == ["a"]

    def test_a_person_who_resends_it_starts_the_count_again(self) -> None:
        """The wait is over, the step starts, and its next fruitless segments are counted from nothing."""
        head = header(Status.SUSPENDED, reason=Reason.UNDELIVERABLE, stalled=6)
        decision = decide(execution(blueprint("a idem"), head=head), woke(0, resend(), stalled_limit=5))
        assert starts(decision) == ["a"]
        assert decision.kept.progress
        assert decision.kept.header is not None
        assert (decision.kept.header.status, decision.kept.header.reason) == (Status.EXECUTING, Reason.NONE)

    @pytest.mark.parametrize(("cells", "reason"), [("b", Reason.BACKOFF), ("u", Reason.UNKNOWN_EFFECT)])
    def test_a_resend_shortens_no_other_wait(self, cells: str, reason: Reason) -> None:
        """A back-off waits for its time, and a doubt for somebody who knows."""
        head = header(Status.SUSPENDED, reason=reason)
        x = execution(blueprint("a unsafe"), cells, head=head, faults={0: fault(retry_at_ms=NOW + 60_000)})
        assert suspended(decide(x, woke(0, resend(), stalled_limit=5)).next).reason is reason

    def test_a_signal_starts_the_count_again(self) -> None:
        """Somebody acted; and what must be loaded on the way does not undo that."""
        x = execution(blueprint("a idem", "b idem"), "dd", head=header(stalled=6), order=None)
        decision = decide(x, woke(0, cancel(), stalled_limit=5))
        assert decision.kept.progress
        assert type(decision.next).__name__ == "Load"
        x = execution(
            blueprint("a idem", "b idem"),
            "ddrr",
            head=header(Status.COMPENSATING, phase=Phase.UNDO, cause=Cause.CANCELLED, stalled=6),
            order={0: 1, 1: 2},
        )
        assert starts(decide(x, ticked(stalled_limit=5))) == ["-b"]

    def test_a_deadline_that_has_passed_does_not_wake_it_at_once(self) -> None:
        """Otherwise it would go round without a pause."""
        x = execution(blueprint("a idem"), head=header(stalled=6, deadline_ms=NOW - 1))
        wait = suspended(decide(x, woke(stalled_limit=5)).next)
        assert wait.wake_at_ms == NOW + AUDIT_MS

    def test_a_deadline_to_come_ends_it(self) -> None:
        """What was done is undone then, if the engine can."""
        x = execution(blueprint("a idem"), head=header(stalled=6, deadline_ms=NOW + 9_000))
        assert suspended(decide(x, woke(stalled_limit=5)).next).wake_at_ms == NOW + 9_000


class TestIdleSegments:
    """A segment that came too late to start anything."""

    @pytest.mark.parametrize(("stalled", "wait_ms"), [(1, 1_000), (2, 2_000), (4, 8_000), (90, 64_000)])
    def test_each_waits_longer_than_the_last(self, stalled: int, wait_ms: int) -> None:
        """A crowd of late messages must not breed more of them."""
        wait = suspended(decide(execution(blueprint("a idem"), head=header(stalled=stalled)), woke(7_600)).next)
        assert (wait.wake_at_ms, wait.timed) == (NOW + 7_600 + wait_ms, True)

    def test_it_counts_as_fruitless(self) -> None:
        """Otherwise the limit would never be reached."""
        assert not suspended(decide(execution(blueprint("a idem")), woke(7_600)).next).changes.progress

    def test_also_in_the_undo_lane(self) -> None:
        """The rule is the segment's, not the lane's."""
        head = header(Status.COMPENSATING, phase=Phase.UNDO, cause=Cause.FAILED)
        assert suspended(decide(execution(blueprint("a idem"), "dr", head=head), woke(7_600)).next).timed

    def test_a_segment_in_which_something_came_in_may_leave_at_once(self) -> None:
        """A result, or a signal: each only once."""
        x = execution(blueprint("a idem", "b idem a"), "i.")
        assert isinstance(decide(x, answered({0: DONE}, 7_600)).next, Leave)
        x = execution(blueprint("a idem"), "d")
        assert isinstance(decide(x, woke(7_600, cancel())).next, Leave)


def test_waiting_for_a_running_call_needs_no_timer() -> None:
    """It ends by itself, at the cut-off at the latest."""
    x = execution(blueprint("a idem", "b idem a"), "i.", intents={0: intent()})
    assert decide(x, ticked(started=1)).next == Wait()
