"""Whether the tools of this code can finish what plans of earlier code began. Pure.

A plan pins each tool's version and what it promises; the executor calls that version or none. So a tool may only go, or change
under its version, when nothing in flight needs it any more.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from shared.machine.plan import Contract, Plan, Step, Undo
from shared.machine.status import SETTLED, Cell, Phase
from shared.tools.registry import Registry

Kind = Literal["missing", "version", "changed"]
_BY_KEY: Final = frozenset({Undo.TOMBSTONE, Undo.SETTLED})


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that is not over."""

    id: str
    tenant: str
    status: str
    phase: Phase
    plan: Plan
    cells: str
    """One byte a cell, the steps of the plan first, then their undos."""


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """One step that this code cannot carry on with as it was planned."""

    execution: str
    tenant: str
    status: str
    step: str
    tool: str
    version: str
    kind: Kind
    message: str


def breaks(found: InFlight, registry: Registry) -> Iterator[Break]:
    """What `registry` would break of an execution: each tool once, at the first step that needs it."""
    seen: set[tuple[str, str]] = set()
    for step, tool, contract in _needed(found):
        if (tool, contract.version) in seen:
            continue
        seen.add((tool, contract.version))
        if problem := _problem(tool, contract, registry):
            kind, message = problem
            yield Break(
                execution=found.id,
                tenant=found.tenant,
                status=found.status,
                step=step,
                tool=tool,
                version=contract.version,
                kind=kind,
                message=message,
            )


def _needed(found: InFlight) -> Iterator[tuple[str, str, Contract]]:
    """Step, tool and pinned contract of every call that may still be made."""
    for number, step in enumerate(found.plan.steps):
        cell = Cell(found.cells[number])
        begun = cell is not Cell.IDLE
        if cell not in SETTLED and (begun or found.phase is Phase.FORWARD):
            yield from _calls(step, found.plan.contracts)
        elif cell is Cell.DONE and Cell(found.cells[len(found.plan.steps) + number]) is not Cell.DONE:
            yield from _undo_calls(step, found.plan.contracts)


def _calls(step: Step, contracts: dict[str, Contract], under: str = "") -> Iterator[tuple[str, str, Contract]]:
    """What a step that is not over may call, its undo and the plan of its child included."""
    name = f"{under}{step.name}"
    if step.tool:
        yield name, step.tool, contracts[step.tool]
    yield from ((name, tool, contract) for _, tool, contract in _undo_calls(step, contracts))
    if step.child:
        for inner in step.child.steps:
            yield from _calls(inner, step.child.contracts, f"{name}/")


def _undo_calls(step: Step, contracts: dict[str, Contract]) -> Iterator[tuple[str, str, Contract]]:
    """What undoing a step that is done calls. A child undoes itself, and is looked at by itself."""
    if step.undo:
        if step.undo.tool:
            yield step.name, step.undo.tool, contracts[step.undo.tool]
    elif step.tool and contracts[step.tool].undo in _BY_KEY:
        yield step.name, step.tool, contracts[step.tool]


def _problem(name: str, pinned: Contract, registry: Registry) -> tuple[Kind, str] | None:
    versions = registry.versions(name)
    if not versions:
        return "missing", f"there is no tool {name} any more: keep it until nothing in flight needs it"
    tool = registry.get(name, pinned.version)
    if tool is None:
        return "version", f"there is no version {pinned.version} any more, only {', '.join(versions)}: keep it beside them"
    if changed := _changes(pinned, tool.contract):
        said = ", ".join(changed)
        return "changed", f"version {pinned.version} is not what it was ({said}): give the changed one another version"
    return None


def _changes(pinned: Contract, now: Contract) -> Sequence[str]:
    """What a plan relies on and is different now. Times, retries and limits are the plan's own, whatever the tool says."""
    found = []
    if pinned.schema and pinned.schema != now.schema:
        found.append("what it takes")
    if pinned.effect is not now.effect:
        found.append(f"effect {pinned.effect} is {now.effect}")
    if pinned.undo in _BY_KEY and pinned.undo is not now.undo:
        found.append(f"undo {pinned.undo} is {now.undo}")
    return found
