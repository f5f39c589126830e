"""What starts, and when: needs, joins, room. Each row is a rule."""

from typing import Any, NamedTuple

import pytest

from shared.machine.decide import decide
from shared.machine.decision import Leave, Load, StartSteps, Suspend, Wait, apply
from shared.machine.events import Event
from shared.machine.status import Cause, Cell, Phase, Status
from tests.machine.support import (
    DONE,
    NOW,
    answered,
    blueprint,
    events,
    execution,
    fault,
    header,
    outcome_of,
    put,
    signalled,
    starts,
    ticked,
    whole,
    woke,
)

CHAIN = ("a idem", "b idem a", "c idem b")
DIAMOND = ("a idem", "b idem a", "c idem a", "d idem b,c")
QUICK, SLOW = {"idem": 300}, {"idem": 60_000}
FAN = ("a idem", "b idem", "c idem", "d idem")
BACKWARDS = ("a idem b", "b idem c", "c idem")


class Row(NamedTuple):
    """In this state, this event starts these steps, or leads to that."""

    rule: str
    plan: tuple[str, ...]
    cells: str
    event: Event
    starts: str = ""
    next: str = "StartSteps"


ROWS = [
    Row("a new execution starts what needs nothing", CHAIN, "r..", woke(), "a"),
    Row("a step starts in the commit that stores what it needed", CHAIN, "i..", answered({0: DONE}), "b"),
    Row("the order in the plan says nothing, needs do", BACKWARDS, "..i", answered({2: DONE}), "b"),
    Row("the last result ends the execution", CHAIN, "ddi", answered({2: DONE}), next="End"),
    Row("one result may start many", DIAMOND, "i...", answered({0: DONE}), "b c"),
    Row("a join waits for all it needs", DIAMOND, "dii.", answered({1: DONE}), next="Wait"),
    Row("the last of a join's needs starts it", DIAMOND, "ddi.", answered({2: DONE}), "d"),
    Row("two needs of a join that end together start it once", DIAMOND, "dii.", answered({1: DONE, 2: DONE}), "d"),
    Row("what is ready starts at once, as many as may run", FAN, "rrrr", woke(parallel=3), "a b c"),
    Row("what runs counts against what may run", FAN, "iirr", answered({0: DONE}, parallel=2), "c"),
    Row("no slot, no start", FAN, "iirr", ticked(started=2, parallel=2), next="Wait"),
    Row("ready steps start in the plan's order", ("a idem", "b idem", "c idem b"), "ri.", answered({1: DONE}, parallel=1), "a"),
    Row("STEPS_PER_MESSAGE limits a segment", FAN, "rrrr", woke(starts_left=2), "a b"),
    Row("STEPS_PER_MESSAGE used up: the next segment goes on", CHAIN, "i..", answered({0: DONE}, starts_left=0), next="Leave"),
    Row("STEPS_PER_MESSAGE used up: what runs is awaited", FAN, "iirr", answered({0: DONE}, starts_left=0), next="Wait"),
    Row("STEPS_PER_MESSAGE used up by the last step: it ends", CHAIN, "ddi", answered({2: DONE}, starts_left=0), next="End"),
    Row("just before the checkpoint a fitting step starts", CHAIN, "i..", answered({0: DONE}, 4_799), "b"),
    Row("a step that may not end before the cut-off is left", CHAIN, "i..", answered({0: DONE}, 4_801), next="Leave"),
    Row("a tool known to be quick starts late", CHAIN, "i..", answered({0: DONE}, 7_400, estimates=QUICK), "b"),
    Row("at the checkpoint nothing starts", CHAIN, "i..", answered({0: DONE}, 7_500, estimates=QUICK), next="Leave"),
    Row("behind the checkpoint what runs is awaited", FAN, "iirr", answered({0: DONE}, 7_600), next="Wait"),
    Row("no estimate passes the declared maximum", CHAIN, "i..", answered({0: DONE}, 4_000, estimates=SLOW), "b"),
    Row("a fresh segment starts a step that can take all of it", ("a slow",), "r", woke(), "a"),
    Row("a fresh segment starts one such step, not two", ("a slow", "b slow"), "rr", woke(), "a"),
    Row("a fresh segment starts what will hardly fit", CHAIN, "r..", woke(2_000, estimates=SLOW, cutoff_ms=NOW + 4_000), "a"),
    Row("a segment that started one leaves what cannot fit", ("a idem", "b slow"), "ir", answered({0: DONE}), next="Leave"),
    Row("a segment that came too late waits a little instead of leaving at once", CHAIN, "r..", woke(7_600), next="Suspend"),
    Row("a fresh segment without any slot waits a little too", CHAIN, "r..", woke(parallel=0), next="Suspend"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_what_starts(row: Row) -> None:
    """The steps that start, or what comes instead."""
    decision, following = outcome_of(execution(blueprint(*row.plan), row.cells), row.event)
    assert (following, " ".join(starts(decision))) == (row.next, row.starts)


def test_a_start_says_all_that_the_call_needs() -> None:
    """The intent is complete before the call: key, arguments and their hash, and when its request has settled."""
    decision = decide(execution(blueprint("a idem", "b idem a ${a.n}"), "i."), answered({0: DONE}, 500))
    assert isinstance(decision.next, StartSteps)
    (start,) = decision.next.starts
    intent = start.intent
    assert (start.step, start.tool, start.timeout_ms, start.undo) == ("b", "idem", 3_000, False)
    assert (intent.attempt, intent.key, intent.args) == (1, "exe_00_t.b.1", {"value": 1})
    assert (intent.sent_by_ms, intent.settle_at_ms) == (NOW + 11_000, NOW + 26_000)
    assert decision.next.changes.cells == {1: Cell.INTENDED}
    assert decision.kept.cells == {0: Cell.DONE, 1: Cell.READY}


def test_the_key_stays_and_the_attempt_rises() -> None:
    """A second attempt is the same effect."""
    x = execution(blueprint("a idem"), "b", faults={0: fault(2, retry_at_ms=NOW, doubt=True)})
    decision = decide(x, woke())
    assert isinstance(decision.next, StartSteps)
    intent = decision.next.starts[0].intent
    assert (intent.attempt, intent.key, intent.doubt) == (3, "exe_00_t.a.1", True)


def test_a_call_is_given_no_more_time_than_the_invocation_has() -> None:
    """The first step of a segment starts whatever its maximum, and is cut off with the invocation."""
    decision = decide(execution(blueprint("a slow"), "r"), woke(4_000))
    assert isinstance(decision.next, StartSteps)
    assert decision.next.starts[0].timeout_ms == 4_000


def test_a_segment_that_began_too_late_starts_nothing_and_waits() -> None:
    """Less than half of what the call may take is left: it would be cut off, and its effect unknown for nothing."""
    following = decide(execution(blueprint("a slow"), "r"), woke(4_100)).next
    assert isinstance(following, Suspend)
    assert following.timed


def test_a_short_back_off_beside_a_new_call_is_watched() -> None:
    """The retry need not wait until the call ends."""
    x = execution(blueprint("a idem", "b idem"), "br", faults={0: fault(retry_at_ms=NOW + 300)})
    following = decide(x, woke()).next
    assert isinstance(following, StartSteps)
    assert [start.step for start in following.starts] == ["b"]
    assert following.until_ms == NOW + 300


def test_leaving_names_the_next_step_and_what_it_will_want() -> None:
    """So that the next segment gets both with its first round trip."""
    plan = blueprint("a idem", "b idem a", "c slow b ${a.n}")
    decision = decide(execution(plan, "di."), answered({1: DONE}))
    assert isinstance(decision.next, Leave)
    assert (decision.next.next_step, decision.next.need) == ("c", (0,))


class TestReferences:
    """Arguments are made before the intent, from what is stored."""

    PLAN = ("a idem", "b idem a ${a.n}", "c idem")

    def test_what_is_not_at_hand_is_loaded_first(self) -> None:
        """A working copy holds few results; asking again with them at hand starts the step."""
        x = execution(blueprint(*self.PLAN), "drd", results={})
        assert decide(x, woke()).next == Load(results=(0,))
        x.results[0] = {"n": 7}
        decision = decide(x, ticked())
        assert isinstance(decision.next, StartSteps)
        assert decision.next.starts[0].intent.args == {"value": 7}

    def test_only_what_starts_now_is_loaded(self) -> None:
        """No room, no round trip."""
        x = execution(blueprint(*self.PLAN), "dri", results={})
        assert isinstance(decide(x, ticked(started=1, parallel=1)).next, Wait)

    def test_one_that_leads_nowhere_fails_the_step_before_any_call(self) -> None:
        """No intent, no effect; and nothing else starts in that commit."""
        x = execution(blueprint("a pure", "b idem a ${a.nothing}", "c idem"), "drr", results={0: {"n": 1}})
        decision, following = outcome_of(x, woke())
        assert following == "End"
        assert put(decision, 1) is Cell.FAILED
        assert whole(decision).faults[1].code == "bad_reference"
        assert "step.intended" not in events(decision)
        assert (head := whole(decision).header) is not None
        assert head.cause is Cause.FAILED

    def test_one_that_leads_nowhere_lets_running_siblings_finish(self) -> None:
        """They are drained like at any other failure."""
        x = execution(blueprint("a pure", "b idem a ${a.nothing}", "c idem"), "dri", results={0: {"n": 1}})
        decision = decide(x, ticked(started=1))
        assert starts(decision) == []
        apply(x, whole(decision))
        decision, following = outcome_of(x, answered({2: DONE}))
        assert (following, starts(decision)) == ("StartSteps", ["-c"])

    def test_a_result_of_none_is_a_result(self) -> None:
        """Nothing is loaded for ever because a tool answered nothing."""
        x = execution(blueprint("a idem", "b idem a ${a}"), "dr", results={0: None})
        assert starts(decide(x, woke())) == ["b"]


def test_the_first_owner_makes_it_executing() -> None:
    """PLANNED is left by the first segment, SUSPENDED by each."""
    for status in (Status.PLANNED, Status.SUSPENDED, Status.EXECUTING):
        head = decide(execution(blueprint("a idem"), head=header(status)), woke()).kept.header
        assert (head.status if head else status) is Status.EXECUTING


def test_a_suspended_undo_lane_goes_on_compensating() -> None:
    """The phase says which lane was suspended."""
    head = header(Status.SUSPENDED, phase=Phase.UNDO, cause=Cause.FAILED)
    decision = decide(execution(blueprint("a idem"), "dr", head=head), woke())
    assert decision.kept.header is not None
    assert decision.kept.header.status is Status.COMPENSATING


def test_a_refused_continuation_is_decided_again() -> None:
    """FLAGS stored what was kept; a signal that means nothing here changes nothing else."""
    x = execution(blueprint(*CHAIN), "i..")
    apply(x, decide(x, answered({0: DONE})).kept)
    assert starts(decide(x, signalled(100))) == ["b"]


@pytest.mark.parametrize("fields", [{"parallel": 1}, {"starts_left": 0}, {"cutoff_ms": NOW + 6_000}], ids=str)
def test_what_is_due_but_has_no_room_is_no_reason_to_wake(fields: dict[str, Any]) -> None:
    """A back-off that is over while a call runs waits for room: a wait until the past would spin until the call ends."""
    x = execution(blueprint("a idem", "b idem"), "bi", faults={0: fault(retry_at_ms=NOW + 100)})
    assert decide(x, ticked(4_000, started=2, **fields)).next == Wait()


def test_a_back_off_that_ends_while_a_call_runs_is_waited_for() -> None:
    """With room for both, the retry does not have to wait for the sibling."""
    x = execution(blueprint("a idem", "b idem"), "bi", faults={0: fault(retry_at_ms=NOW + 900)})
    assert decide(x, ticked(100, started=2)).next == Wait(until_ms=NOW + 900)
    x = execution(blueprint("a idem", "b idem"), "bi", faults={0: fault(retry_at_ms=NOW + 7_600)})
    assert decide(x, ticked(100, started=2)).next == Wait()
