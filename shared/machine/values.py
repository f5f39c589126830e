"""What a reference finds when a step's arguments are made: outputs, the item of a map, the input of a child."""

from collections.abc import Callable, Iterable
from typing import Any

from shared.machine import conditions, refs
from shared.machine.draft import Draft
from shared.machine.plan import is_address, wanted
from shared.machine.status import Cell

RESERVED = frozenset({"item", "index", "input"})
"""Names that no step may have: what they stand for is no step's output."""
_STANDING = {Cell.DONE: "done", Cell.FAILED: "failed", Cell.SKIPPED: "skipped"}


def outputs(draft: Draft, cell: int) -> Callable[[str], Any]:
    """Finds the value of a name for the arguments of `cell`. BadReference for what has no output."""

    def find(name: str) -> Any:
        if name in RESERVED:
            return _reserved(draft, cell, name)
        number = draft.blueprint.index[name]
        if draft.cell(number) is Cell.DONE:
            return draft.output(number)
        step = draft.blueprint.plan.steps[number]
        if number == draft.layout.step(cell) or (step.wait and step.wait.callback):
            return {"callback_url": address(draft.header.id, name)}
        if draft.step(cell).join:
            return refs.ABSENT
        raise refs.BadReference(f"${{{name}}}", f"{name} is not done")

    return find


def address(execution: str, step: str) -> str:
    """Stands for the signed address where a step is called back: whoever calls the tool puts the real one in its place, so that
    no secret is stored."""
    return f"callback://{execution}/{step}"


def _reserved(draft: Draft, cell: int, name: str) -> Any:
    if name == "input":
        return draft.notes.input
    item = draft.layout.item(cell)
    return item if name == "index" else items(draft, draft.layout.step(cell))[item]


def items(draft: Draft, step: int) -> list[Any]:
    """What a map goes over. BadReference if that is no list."""
    each = draft.blueprint.plan.steps[step].map
    found = refs.resolve(each.over if each else None, outputs(draft, step), "$.map.over")
    if not isinstance(found, list | tuple):
        raise refs.BadReference("$.map.over", f"a list is needed, and this is {type(found).__name__}")
    return list(found)


def missing(draft: Draft, cells: list[int]) -> tuple[int, ...]:
    """Outputs that must be loaded before these cells can start."""
    found = {ref for cell in cells for ref in _refs(draft, cell)}
    return tuple(sorted(cell for cell in found if draft.cell(cell) is Cell.DONE and not draft.has_output(cell)))


def _refs(draft: Draft, cell: int) -> Iterable[int]:
    return undo_refs(draft, cell) if draft.layout.is_undo(cell) else draft.blueprint.refs[draft.layout.step(cell)]


def undo_refs(draft: Draft, cell: int) -> set[int]:
    """The steps that an undo of its own refers to."""
    own = draft.step(cell).undo
    return {draft.blueprint.index[ref.step] for ref in refs.find(own.args) if ref.step not in RESERVED} if own else set()


def unmet(draft: Draft, cell: int) -> str:
    """A step that this one refers to and that has no output to give; empty if there is none, or a join may miss some."""
    step = draft.step(cell)
    if step.join:
        return ""
    index = draft.blueprint.index
    names = (ref.step for ref in refs.find(wanted(step)) if ref.step in index and not is_address(ref))
    return next((name for name in names if draft.cell(index[name]) is not Cell.DONE), "")


def condition_holds(draft: Draft, cell: int) -> bool:
    """Whether the step's condition holds, or it has none."""
    index = draft.blueprint.index

    def value_of(name: str, path: tuple[str, ...]) -> Any:
        if name not in RESERVED and draft.cell(index[name]) is not Cell.DONE:
            return None
        try:
            return refs.look_up(refs.Ref(name, path, "$.when"), outputs(draft, cell))
        except refs.BadReference:
            return None

    text = draft.step(cell).when
    return not text or conditions.holds(text, value_of, lambda name: _STANDING.get(draft.cell(index[name]), "open"))
