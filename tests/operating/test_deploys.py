"""What new code would break of what is in flight: only what may still be called counts."""

from typing import Any

import pytest

from shared.deploys import Break, InFlight, breaks
from shared.machine.plan import Contract, Effect, Plan, Retry, Step, Undo, UndoDraft
from shared.machine.status import Phase
from shared.tools.registry import Call, Registry


async def charge(_: Call, *, cents: int) -> Any:
    """Charge a card."""
    return cents


async def charge_in(_: Call, *, cents: int, currency: str) -> Any:
    """Charge a card in a currency."""
    return cents, currency


async def back(_: Call) -> Any:
    """Give the money back."""
    return {}


def registry(function: Any = charge, version: str = "1", **facts: Any) -> Registry:
    """With one tool, `charge`."""
    found = Registry()
    promised: dict[str, Any] = {"effect": Effect.IDEMPOTENT, "undo": back} | facts
    found.add(function, name="charge", version=version, **promised)
    return found


PINNED = registry().contracts()
STILL = {"look": Contract(version="1", effect=Effect.PURE)}


def step(name: str, tool: str = "charge", **facts: Any) -> Step:
    """A step as a plan has it."""
    return Step(name=name, tool=tool, args={}, needs=(), retry=Retry(), timeout_ms=1_000, **facts)


def in_flight(cells: str, *steps: Step, phase: Phase = Phase.FORWARD, contracts: dict[str, Contract] | None = None) -> InFlight:
    """An execution, its cells as given."""
    plan = Plan(steps=steps or (step("a"), step("b")), contracts=(contracts or PINNED) | STILL)
    return InFlight(id="exe_1", tenant="acme", status="EXECUTING", phase=phase, plan=plan, cells=cells)


def found(execution: InFlight, new: Registry) -> list[tuple[str, str]]:
    """Step and kind of what would break."""
    return [(one.step, one.kind) for one in breaks(execution, new)]


def test_the_same_code_breaks_nothing() -> None:
    """Wherever the execution stands."""
    for cells in ("r...", "ir..", "dd..", "dk..", "ff.."):
        assert found(in_flight(cells), registry()) == []


def test_a_newer_version_beside_the_old_one_breaks_nothing() -> None:
    """What is in flight keeps its own."""
    new = registry()
    new.add(charge_in, name="charge", effect=Effect.UNSAFE, version="2")

    assert found(in_flight("r..."), new) == []


@pytest.mark.parametrize(
    ("new", "kind", "says"),
    [
        (Registry(), "missing", "there is no tool charge any more"),
        (registry(version="2"), "version", "there is no version 1 any more, only 2"),
        (registry(charge_in), "changed", "version 1 is not what it was (what it takes)"),
        (registry(effect=Effect.UNSAFE), "changed", "(effect idempotent is unsafe)"),
        (registry(undo=None), "changed", "(undo tombstone is none)"),
        (registry(undo_kind=Undo.SETTLED), "changed", "(undo tombstone is settled)"),
    ],
)
def test_what_is_gone_or_changed_is_told_once_for_an_execution(new: Registry, kind: str, says: str) -> None:
    """At the first step that needs it, with what to do."""
    [one] = breaks(in_flight("r..."), new)

    assert (one.step, one.tool, one.version, one.kind) == ("a", "charge", "1", kind)
    assert says in one.message
    assert isinstance(one, Break)
    assert (one.execution, one.tenant, one.status) == ("exe_1", "acme", "EXECUTING")


def test_times_and_retries_are_the_plans_own() -> None:
    """A tool may become slower or more patient under its version."""
    assert found(in_flight("r..."), registry(timeout_ms=1, settle_ms=1, retry=Retry(attempts=1))) == []


def test_an_older_plan_that_pinned_no_schema_is_not_accused() -> None:
    """Nobody can tell what its tool took."""
    old = {"charge": Contract(version="1", effect=Effect.IDEMPOTENT, undo=Undo.TOMBSTONE)}

    assert found(in_flight("r...", contracts=old), registry(charge_in)) == []
    assert found(in_flight("r...", contracts=old), Registry()) == [("a", "missing")]


@pytest.mark.parametrize(
    ("cells", "phase", "needed"),
    [
        ("r...", Phase.FORWARD, ["a"]),
        ("..r.", Phase.FORWARD, ["a"]),
        ("kk..", Phase.FORWARD, []),
        ("fk..", Phase.FORWARD, []),
        ("dk..", Phase.FORWARD, ["a"]),
        ("kd..", Phase.UNDO, ["b"]),
        ("kdd.", Phase.UNDO, ["b"]),
        ("dkd.", Phase.UNDO, []),
        ("k...", Phase.UNDO, []),
        ("ku..", Phase.UNDO, ["b"]),
        ("ks..", Phase.UNDO, ["b"]),
    ],
)
def test_only_what_may_still_be_called_counts(cells: str, phase: Phase, needed: list[str]) -> None:
    """What is settled is needed for its undo only, and what was undone, or never begins, for nothing."""
    assert [one for one, _ in found(in_flight(cells, phase=phase), Registry())] == needed


def test_a_step_without_an_undo_is_not_needed_once_it_is_done() -> None:
    """Nothing calls it again."""
    look = step("a", "look")

    assert found(in_flight("d.", look), Registry()) == []
    assert found(in_flight("r.", look), Registry()) == [("a", "missing")]


def test_a_tool_that_undoes_another_is_needed_too() -> None:
    """And the undone step's own undo is not."""
    own = step("a", "look", undo=UndoDraft(tool="charge", args={}))
    leaves = step("a", undo=UndoDraft(leave=True))

    assert found(in_flight("d.", own), Registry()) == [("a", "missing")]
    assert found(in_flight("d.", leaves), Registry()) == []


def test_a_child_that_has_not_begun_is_looked_into() -> None:
    """One that has is an execution of its own."""
    child = Plan(steps=(step("inner"),), contracts=PINNED)
    parent = step("outer", "", child=child)

    assert found(in_flight("r.", parent), Registry()) == [("outer/inner", "missing")]
    assert found(in_flight("d.", parent), Registry()) == []
