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
from shared.machine.state import Execution, Signal
from shared.machine.status import Cell, Reason
from tests.machine.support import DONE, answered, cancel, header, put, signalled, starts, ticked, whole, woke

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
