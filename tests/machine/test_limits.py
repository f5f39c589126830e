"""Calls under limits: a slot is taken before anything is recorded, and given back when the call has ended."""

from typing import Any

import msgspec
import pytest

from shared.machine import plan as plans
from shared.machine.accept import Limits, accept
from shared.machine.decide import decide
from shared.machine.decision import Suspend, Take, apply
from shared.machine.events import Outcome, Unanswered
from shared.machine.plan import Blueprint, Contract, Effect, Limited, PlanDraft, Retry
from shared.machine.state import Execution, Hold, Signal, Slot
from shared.machine.status import Cell, Phase, Reason
from tests.machine.support import (
    DONE,
    NOW,
    answered,
    cancel,
    events,
    fault,
    header,
    intent,
    put,
    signalled,
    starts,
    ticked,
    whole,
    woke,
)

CONTRACTS = {
    "work": Contract(version="1", effect=Effect.IDEMPOTENT, retry=Retry(attempts=1)),
    "rare": Contract(version="1", effect=Effect.PURE, limit=Limited(most=2)),
}
LIMITS = Limits(steps=100, argument_bytes=10_000, step_ms=8_000)
LIMIT = {"key": "room-${a.n}", "most": 1}


def planned(*steps: dict[str, Any]) -> Execution:
    """An execution of a plan as a caller writes it; `a` is done."""
    draft = msgspec.convert({"steps": [{"name": "a", "tool": "work"}, *steps]}, PlanDraft)
    plan = accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=LIMITS)
    blueprint = Blueprint(plans.encode(plan))
    cells = "d" + "r" * len(steps) + "." * (len(steps) + 1)
    return Execution(header=header(), blueprint=blueprint, cells=cells.encode(), results={0: {"n": 7}})


def call(name: str, **more: Any) -> dict[str, Any]:
    """A step under the limit."""
    return {"name": name, "tool": "work", "needs": ["a"], "limits": [LIMIT]} | more


def taken(x: Execution, event: Any, *, free: bool = True) -> Any:
    """The decision once every slot that is asked for was answered so."""
    decision = decide(x, event)
    while isinstance(decision.next, Take):
        apply(x, decision.kept)
        for ask in decision.next.asks:
            x.slots[ask.limit, ask.member] = free
        decision = decide(x, ticked())
    return decision


def test_a_slot_is_asked_for_before_anything_is_recorded() -> None:
    """Under the tenant's own name, for this attempt, until the call has happened or never will."""
    x = planned(call("b"))
    decision = decide(x, woke())
    assert isinstance(decision.next, Take)
    (ask,) = decision.next.asks
    assert (ask.limit, ask.member, ask.most) == ("tenant/t/room-7", f"{x.header.id}.b.1.1", 1)
    assert not decision.kept.cells
    decision = taken(x, woke())
    assert starts(decision) == ["b"]
    assert decision.next.starts[0].intent.settle_at_ms == ask.until_ms


def test_without_a_free_slot_the_step_stands_in_line() -> None:
    """And the execution waits for the grant, unless something else may start."""
    decision = taken(planned(call("b")), woke(), free=False)
    assert isinstance(decision.next, Suspend)
    assert (decision.next.reason, decision.next.timed, put(decision, 1)) == (Reason.SLOT, False, Cell.WAITING)
    beside = planned(call("b"), call("c", limits=[]))
    decision = taken(beside, woke(parallel=1), free=False)
    assert starts(decision) == ["c"]
    assert put(decision, 1) is Cell.WAITING


def test_a_grant_makes_it_ask_again() -> None:
    """What the queue said is forgotten."""
    x = planned(call("b"))
    apply(x, whole(taken(x, woke(), free=False)))
    grant = Signal(position=1, kind="slot", payload={"step": "b", "member": "m"})
    decision = decide(x, signalled(0, grant))
    assert isinstance(decision.next, Take)
    assert starts(taken(x, signalled(0, grant))) == ["b"]


@pytest.mark.parametrize(
    ("outcome", "given"),
    [
        pytest.param(DONE, 1, id="done"),
        pytest.param(Unanswered(message="?"), 0, id="an unanswered call may work on: its slot runs out"),
    ],
)
def test_an_ended_call_gives_its_slot_back(outcome: Outcome, given: int) -> None:
    """With what it came to, in the same commit."""
    x = planned(call("b"))
    apply(x, whole(taken(x, woke())))
    decision = decide(x, answered({1: outcome}))
    commands = [command for command in whole(decision).commands if command.kind == "slot_give"]
    assert len(commands) == given
    if given:
        assert commands[0].payload == {"name": "tenant/t/room-7", "member": f"{x.header.id}.b.1.1", "period_ms": 0}


def test_who_stops_leaves_the_line() -> None:
    """Nobody waits behind a dead one."""
    x = planned(call("b"))
    apply(x, whole(taken(x, woke(), free=False)))
    decision = decide(x, signalled(0, cancel()))
    assert [command.kind for command in whole(decision).commands] == ["slot_give"]


def test_a_tools_own_limit_is_over_all_tenants() -> None:
    """Beside those of the step, in an order that is the same for everybody."""
    x = planned(call("b", tool="rare", limits=[{"key": "z", "most": 3}]))
    asked = []
    decision = decide(x, woke())
    while isinstance(decision.next, Take):
        asked += [(ask.limit, ask.most) for ask in decision.next.asks]
        x.slots |= {(ask.limit, ask.member): True for ask in decision.next.asks}
        decision = decide(x, woke())
    assert asked == [("tenant/t/z", 3), ("tool/rare", 2)]
    assert starts(decision) == ["b"]


def test_a_key_that_leads_nowhere_fails_the_step() -> None:
    """Before any call."""
    x = planned(call("b", limits=[{"key": "${a.nothing}", "most": 1}]))
    decision = decide(x, woke())
    assert put(decision, 1) is Cell.FAILED
    assert whole(decision).faults[1].code == "bad_reference"


def test_an_item_of_a_map_has_a_slot_of_its_own() -> None:
    """Each is a call."""
    x = planned({"name": "m", "tool": "rare", "needs": ["a"], "map": {"over": [1, 2, 3]}})
    x.move(1, Cell.OPENING)
    decision = decide(x, woke())
    assert isinstance(decision.next, Take)
    assert [ask.step for ask in decision.next.asks] == ["m.0", "m.1", "m.2"]


def rested(x: Execution, event: Any) -> Any:
    """What is decided in a new segment, which has no output at hand that it was not given."""
    decision = decide(x, event)
    assert not isinstance(decision.next, Take)
    return decision


def granted(cell: Cell, *, doubt: bool, **hold: Any) -> Execution:
    """A step whose earlier attempt failed, and that waits for a slot, or has it; nothing else was loaded."""
    x = planned(call("b"))
    return Execution(
        header=x.header,
        blueprint=x.blueprint,
        cells=f"d{cell.value}..".encode(),
        faults={1: fault(1, retry_at_ms=NOW, doubt=doubt)},
        intents={1: intent(1)},
        holds={1: Hold(kind=Reason.SLOT, since_ms=NOW, slots=(Slot("tenant/t/room-7"),), **hold)},
    )


@pytest.mark.parametrize("cell", [Cell.WAITING, Cell.GRANTED])
def test_a_doubtful_effect_is_undone_although_its_next_attempt_stands_in_line(cell: Cell) -> None:
    """A cancel while it waits for its slot must not forget what may have happened."""
    decision = rested(granted(cell, doubt=True), woke(0, cancel()))
    head = whole(decision).header
    assert head is not None
    assert head.phase is Phase.UNDO
    assert put(decision, 3) is not None


@pytest.mark.parametrize("kind", ["cancel", "skip"])
def test_whoever_leaves_the_line_gives_back_what_it_may_have_been_given(kind: str) -> None:
    """The key of the limit needs no output for that: it stands beside the wait."""
    said = Signal(position=1, kind=kind, payload={"step": "b"})
    decision = rested(granted(Cell.WAITING, doubt=False), woke(0, said))
    commands = whole(decision).commands
    assert [command.kind for command in commands] == ["slot_give"]
    assert commands[0].payload["name"] == "tenant/t/room-7"


def test_a_step_in_line_with_a_doubtful_effect_cannot_be_skipped() -> None:
    """A call that may be on its way must end first."""
    said = Signal(position=1, kind="skip", payload={"step": "b"})
    decision = decide(granted(Cell.WAITING, doubt=True), woke(0, said))
    assert "signal.moot" in events(decision)


def test_the_end_of_a_call_that_was_taken_over_gives_the_slot_back() -> None:
    """In a later segment, which does not have the output that the key was made of."""
    x = planned(call("b"))
    x = Execution(
        header=x.header,
        blueprint=x.blueprint,
        cells=b"dw..",
        intents={1: intent(1, slots=(Slot("tenant/t/room-7", hold=True),))},
        holds={1: Hold(kind=Reason.CALLBACK, since_ms=NOW, until_ms=NOW + 10_000)},
    )
    said = Signal(position=1, kind="callback", payload={"step": "b", "data": 1})
    decision = rested(x, woke(0, said))
    assert put(decision, 1) is Cell.DONE
    assert [command.payload["name"] for command in whole(decision).commands] == ["tenant/t/room-7"]


def test_approved_arguments_are_kept_while_the_next_attempt_stands_in_line() -> None:
    """Else it would send others than were approved."""
    x = planned(call("b"))
    x = Execution(
        header=x.header,
        blueprint=x.blueprint,
        cells=b"db..",
        faults={1: fault(1, retry_at_ms=NOW)},
        intents={1: intent(1)},
        holds={1: Hold(kind=Reason.APPROVAL, since_ms=NOW, args={"n": 2}, by="ann")},
        results={0: {"n": 7}},
    )
    decision = taken(x, woke(), free=False)
    assert whole(decision).holds[1].args == {"n": 2}
