"""Leaving a terminal status: what a person's word puts back, and that the machine goes on from there."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.machine import reopening
from shared.machine.decision import Changes, End, StartSteps, Suspend, apply
from shared.machine.events import Done
from shared.machine.plan import Blueprint
from shared.machine.reopening import NotReopened
from shared.machine.starting import hash_of_args
from shared.machine.state import Execution, Hold, Notes, Parent, Region
from shared.machine.status import REOPENINGS, TERMINAL, Cause, Cell, Phase, Reason, Status
from tests.machine.support import NOW, answered, blueprint, execution, fault, header, intent, outcome_of, same, starts, woke

BY = "acme/anna"
PLAN = blueprint("a pure", "b idem a", "c idem b")


def failed(cells: str = "df.", plan: Blueprint = PLAN, **more: Any) -> Execution:
    """An execution that failed with nothing to undo."""
    faults = {number: fault() for number, where in enumerate(cells) if where == "f"}
    head = header(Status.FAILED, cause=Cause.FAILED, deadline_ms=NOW - 1)
    return execution(plan, cells, head=head, faults=faults, **more)


def half_undone(cells: str, plan: Blueprint, **more: Any) -> Execution:
    """An execution whose undoing did not come to a good end."""
    head = header(Status.COMPENSATION_FAILED, cause=Cause.FAILED, phase=Phase.UNDO)
    return execution(plan, cells, head=head, order={0: 1, 1: 2}, **more)


def going(x: Execution, changes: Changes) -> Execution:
    """As the next segment finds it: stored, its deadline gone, and only what is kept beside busy cells loaded."""
    apply(x, changes)
    busy = {cell for cell, where in enumerate(x.cells) if chr(where) in "ibsuwg"}
    x.faults = {cell: found for cell, found in x.faults.items() if cell in busy}
    head = x.header
    x.header = type(head)(
        id=head.id, tenant=head.tenant, plan=head.plan, status=head.status, phase=head.phase, cause=head.cause
    )
    return x


def by_step(changes: Changes) -> list[str]:
    """The history, with the steps."""
    return [f"{line.event} {line.step}".strip() for line in changes.history]


# --- forward again


def test_a_failed_step_is_tried_again_under_a_new_key() -> None:
    """The tool may remember its refusal under the old one."""
    x = failed()
    changes = reopening.retry(x, step="b", by=BY, now_ms=NOW)
    assert by_step(changes) == ["execution.reopened", "step.put_back b"]
    assert changes.history[0].detail == {"by": BY, "action": "retry", "from": "FAILED", "to": "EXECUTING", "step": "b"}
    decision, _ = outcome_of(going(x, changes), woke())
    assert starts(decision) == ["b"]
    assert isinstance(decision.next, StartSteps)
    assert decision.next.starts[0].intent.key.endswith(".b.2")
    assert decision.next.starts[0].intent.attempt == 1


def test_the_plan_goes_on_behind_the_retried_step() -> None:
    """What needs it waits for it, and begins when it is done."""
    x = going(failed(), reopening.retry(failed(), step="", by=BY, now_ms=NOW))
    decision, _ = outcome_of(x, woke())
    assert isinstance(decision.next, StartSteps)
    apply(x, decision.kept)
    apply(x, decision.next.changes)
    decision, _ = outcome_of(x, answered({1: Done(output=1)}))
    assert starts(decision) == ["c"]


def test_what_failed_beside_it_is_retried_too() -> None:
    """A plan cannot complete over a step that failed."""
    plan = blueprint("a pure", "b idem a", "c idem a", "d idem b,c")
    x = failed("dff.", plan)
    decision, _ = outcome_of(going(x, reopening.retry(x, step="b", by=BY, now_ms=NOW)), woke())
    assert starts(decision) == ["b", "c"]


def test_a_supplied_output_lets_the_plan_go_on() -> None:
    """But not before the other needs are met: the failed step was no met need."""
    plan = blueprint("a idem", "b pure", "c idem a,b")
    x = failed("fr.", plan)
    decision, _ = outcome_of(going(x, reopening.skip(x, step="a", output={"n": 5}, by=BY, now_ms=NOW)), woke())
    assert x.results[0] == {"n": 5}
    assert starts(decision) == ["b"]


def test_what_a_person_supplied_is_no_effect_to_be_undone() -> None:
    """There was none."""
    changes = reopening.skip(failed(), step="b", output=1, by=BY, now_ms=NOW)
    assert changes.notes is not None
    assert changes.notes.supplied == (1,)


def test_edited_arguments_are_the_ones_that_are_called() -> None:
    """Under a new key."""
    x = failed()
    decision, _ = outcome_of(going(x, reopening.edit(x, step="b", args={"q": 1}, by=BY, now_ms=NOW)), woke())
    assert isinstance(decision.next, StartSteps)
    made = decision.next.starts[0].intent
    assert (made.args, made.args_hash, made.key[-4:]) == ({"q": 1}, hash_of_args({"q": 1}), ".b.2")
    assert made.attempt == 1


def test_what_a_person_had_approved_needs_no_second_approval() -> None:
    """The call failed, not the approval."""
    granted = Hold(kind=Reason.APPROVAL, since_ms=1, args={"q": 1}, by="acme/ben")
    x = failed()
    x.holds[1] = granted
    assert reopening.retry(x, step="b", by=BY, now_ms=NOW).cells[1] is Cell.GRANTED


def test_what_waited_when_the_plan_stopped_waits_again() -> None:
    """A person who was asked has as long as before."""
    x = failed("kf.")
    x.holds[0] = Hold(kind=Reason.APPROVAL, since_ms=NOW - 900, until_ms=NOW - 400, args={})
    changes = reopening.retry(x, step="b", by=BY, now_ms=NOW)
    assert changes.cells[0] is Cell.WAITING
    assert (changes.holds[0].since_ms, changes.holds[0].until_ms) == (NOW, NOW + 500)


@pytest.mark.parametrize(
    ("hold", "where"),
    [
        (Hold(kind=Reason.EVENT, since_ms=1, events=(("paid", "order-7"),)), Cell.OPENING),
        (Hold(kind=Reason.SLOT, since_ms=1), Cell.OPENING),
        (Hold(kind=Reason.SLOT, since_ms=1, args={}, by="acme/ben"), Cell.GRANTED),
    ],
    ids=["a subscription", "a slot", "a slot for what was approved"],
)
def test_what_was_given_up_with_the_wait_is_asked_for_again(hold: Hold, where: Cell) -> None:
    """A subscription to a key, a place in a line."""
    x = failed("kf.")
    x.holds[0] = hold
    assert reopening.retry(x, step="b", by=BY, now_ms=NOW).cells[0] is where


def test_the_failed_items_of_a_map_are_retried_and_the_done_ones_stand() -> None:
    """Each item has a key of its own."""
    x = failed("df...." + "dfk" + "...")
    x.grow(Notes(maps=(Region(1, 6, 3),)))
    changes = reopening.retry(x, step="b", by=BY, now_ms=NOW)
    assert {cell: where.name for cell, where in changes.cells.items()} == {7: "IDLE", 8: "IDLE", 1: "WAITING"}
    assert changes.notes is not None
    assert changes.notes.generations == {"b.1": 2}


def test_a_timed_out_plan_goes_on() -> None:
    """Without its deadline, which a person has set aside."""
    x = execution(PLAN, "r..", head=header(Status.TIMED_OUT, cause=Cause.TIMED_OUT))
    assert starts(outcome_of(going(x, reopening.retry(x, step="", by=BY, now_ms=NOW)), woke())[0]) == ["a"]


def test_a_child_is_not_reopened_behind_its_parents_back() -> None:
    """The parent has gone on without it."""
    x = failed()
    x.grow(Notes(parent=Parent(execution="exe_p", step="s")))
    with pytest.raises(NotReopened, match="its parent exe_p"):
        reopening.retry(x, step="b", by=BY, now_ms=NOW)
    x = execution(PLAN, "ddd", head=header(Status.COMPLETED))
    x.grow(Notes(parent=Parent(execution="exe_p", step="s")))
    with pytest.raises(NotReopened, match="its parent exe_p relies on it"):
        reopening.compensate(x, by=BY, now_ms=NOW)


# --- undoing


def test_a_completed_execution_is_undone() -> None:
    """The machine opens the lane."""
    x = execution(PLAN, "ddd", head=header(Status.COMPLETED), order={1: 1, 2: 2})
    decision, _ = outcome_of(going(x, reopening.compensate(x, by=BY, now_ms=NOW)), woke())
    assert starts(decision) == ["-c"]


def test_what_a_cancel_left_standing_is_undone_after_all() -> None:
    """Whoever cancelled wanted it to stand, and has thought again."""
    x = execution(PLAN, "dd.", head=header(Status.CANCELLED, cause=Cause.CANCELLED))
    x.grow(Notes(no_undo=True))
    decision, _ = outcome_of(going(x, reopening.compensate(x, by=BY, now_ms=NOW)), woke())
    assert starts(decision) == ["-b"]


def test_failed_undos_are_tried_again() -> None:
    """All of them, or one step's."""
    plan = blueprint("a idem", "b idem a")
    x = half_undone("ddff", plan)
    assert starts(outcome_of(going(x, reopening.compensate(x, by=BY, now_ms=NOW)), woke())[0]) == ["-b"]
    x = half_undone("ddff", plan)
    assert starts(outcome_of(going(x, reopening.retry(x, step="a", by=BY, now_ms=NOW)), woke())[0]) == ["-a"]


@pytest.mark.parametrize(("cells", "verdict"), [("dddl", "COMPENSATED"), ("ddfl", "COMPENSATION_FAILED")])
def test_an_effect_that_a_person_dealt_with_no_longer_counts(cells: str, verdict: str) -> None:
    """The verdict follows from what is left."""
    x = half_undone(cells, blueprint("a idem", "b idem a"))
    decision, _ = outcome_of(going(x, reopening.skip(x, step="b", output=None, by=BY, now_ms=NOW)), woke())
    assert isinstance(decision.next, End)
    assert decision.next.status == verdict
    assert x.holds[3].by == BY


def test_an_effect_that_did_not_happen_needs_no_undo() -> None:
    """Once no request may land any more."""
    plan = blueprint("a idem", "b unsafe a")
    x = half_undone("dudl", plan, intents={1: intent(settle_at_ms=NOW)})
    decision, _ = outcome_of(going(x, reopening.settle(x, step="b", happened=False, output=None, by=BY, now_ms=NOW)), woke())
    assert isinstance(decision.next, End)
    assert decision.next.status is Status.COMPENSATED


def test_an_effect_that_happened_is_undone_if_there_is_a_way() -> None:
    """By its key; without a way it stays in the list."""
    x = half_undone("dudl", blueprint("a idem", "b unsafe_keyed a"))
    changes = reopening.settle(x, step="b", happened=True, output={"id": 1}, by=BY, now_ms=NOW)
    assert starts(outcome_of(going(x, changes), woke())[0]) == ["-b"]
    x = half_undone("dudl", blueprint("a idem", "b unsafe a"))
    changes = reopening.settle(x, step="b", happened=True, output={"id": 1}, by=BY, now_ms=NOW)
    assert outcome_of(going(x, changes), woke())[0].next.status is Status.COMPENSATION_FAILED  # type: ignore[union-attr] # an End


def test_nobody_says_that_it_did_not_happen_while_it_still_may() -> None:
    """A request may be on its way."""
    x = half_undone("dudl", blueprint("a idem", "b unsafe a"), intents={1: intent(settle_at_ms=NOW + 700)})
    with pytest.raises(NotReopened, match="for 700 ms"):
        reopening.settle(x, step="b", happened=False, output=None, by=BY, now_ms=NOW)


# --- what is refused

ACTS: dict[str, Callable[[Execution], Changes]] = {
    "retry": lambda x: reopening.retry(x, step="", by=BY, now_ms=NOW),
    "skip": lambda x: reopening.skip(x, step="b", output=1, by=BY, now_ms=NOW),
    "edit": lambda x: reopening.edit(x, step="b", args={}, by=BY, now_ms=NOW),
    "settle": lambda x: reopening.settle(x, step="b", happened=True, output=1, by=BY, now_ms=NOW),
    "compensate": lambda x: reopening.compensate(x, by=BY, now_ms=NOW),
}


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize("act", ACTS)
def test_a_terminal_status_is_left_as_the_table_says_or_not_at_all(act: str, status: Status) -> None:
    """Deciding changes nothing, whatever comes of it."""
    x = execution(PLAN, "duf..l", head=header(status, cause=Cause.FAILED, phase=Phase.FORWARD))
    before = same([bytes(x.cells), x.header, x.notes])
    try:
        changes = ACTS[act](x)
    except NotReopened:
        pass
    else:
        assert changes.header is not None
        assert changes.header.status in REOPENINGS[status]
        assert changes.history[0].event == "execution.reopened"
    assert same([bytes(x.cells), x.header, x.notes]) == before


@pytest.mark.parametrize(
    ("act", "status", "cells", "says"),
    [
        ("retry", Status.COMPLETED, "ddd", "nowhere"),
        ("skip", Status.FAILED, "fd.", "none of the steps that stopped"),
        ("skip", Status.COMPENSATION_FAILED, "dd.f..", "no effect of 'b' is left"),
        ("retry", Status.COMPENSATION_FAILED, "dd..l.", "no undo of it failed"),
        ("settle", Status.COMPENSATION_FAILED, "dd..l.", "b is not unknown"),
        ("settle", Status.COMPENSATION_FAILED, "fu.fd.", "b was undone by its key"),
        ("compensate", Status.COMPLETED, "dkk", "nothing of it stands"),
        ("compensate", Status.COMPENSATED, "dd..d.", "nothing of it stands"),
    ],
)
def test_a_refusal_says_why(act: str, status: Status, cells: str, says: str) -> None:
    """In the words of what is there."""
    with pytest.raises(NotReopened, match=says):
        ACTS[act](execution(PLAN, cells, head=header(status)))


def test_an_approval_that_ran_out_is_asked_again() -> None:
    """Nobody had said yes."""
    x = failed()
    x.holds[1] = Hold(kind=Reason.APPROVAL, since_ms=1, args={"q": 1})
    changes = reopening.retry(x, step="b", by=BY, now_ms=NOW)
    assert changes.cells[1] is Cell.OPENING
    decision, _ = outcome_of(going(x, changes), woke())
    assert not isinstance(decision.next, Suspend)
