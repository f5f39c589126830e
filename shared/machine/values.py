"""What a reference finds when a step's arguments are made: outputs, the item of a map, the input of a child."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shared.machine import conditions, refs
from shared.machine.draft import Draft
from shared.machine.plan import is_address, wanted
from shared.machine.status import Cell

RESERVED = frozenset({"item", "index", "input"})
"""Names that no step may have: what they stand for is no step's output."""
_STANDING = {Cell.DONE: "done", Cell.FAILED: "failed", Cell.SKIPPED: "skipped"}


def made(draft: Draft, cell: int, value: Any, place: str = "$") -> Any:
    """`value` with every reference replaced as `cell` sees them; BadReference."""
    plain, step = outputs(draft, cell), draft.step(cell)

    def find(ref: refs.Ref) -> Any:
        # An address stays what it is once the step has been called: a second attempt must send what the first one did.
        if is_address(ref, step.name, draft.blueprint.called):
            return address(draft.header.id, ref.step)
        return refs.look_up(ref, plain)

    return refs.replace(value, find, place)


def key(draft: Draft, cell: int, value: str, place: str) -> str:
    """A name that other executions use too: text, or a number written as such; BadReference for anything else."""
    found = made(draft, cell, value, place)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise refs.BadReference(place, f"a key is a text or a number, and this is {type(found).__name__}")
    if found == "":
        raise refs.BadReference(place, "the key is empty")
    return str(found)


def outputs(draft: Draft, cell: int) -> Callable[[str], Any]:
    """Finds the value of a name for the arguments of `cell`. BadReference for what has no output."""

    def find(name: str) -> Any:
        if name in RESERVED:
            return _reserved(draft, cell, name)
        number = _where(draft, cell, draft.blueprint.index[name])
        if draft.cell(number) is Cell.DONE:
            return draft.output(number)
        if draft.step(cell).join:
            return refs.ABSENT
        raise refs.BadReference(f"${{{name}}}", f"{name} is not done")

    return find


def _where(draft: Draft, cell: int, number: int) -> int:
    """The cell whose output a step's name stands for. For the undo of a map's item the map is that item."""
    own = draft.layout.is_undo(cell) and draft.layout.item(cell) >= 0 and number == draft.layout.step(cell)
    return draft.layout.forward_of(cell) if own else number


def address(execution: str, step: str) -> str:
    """Stands for the signed address where a step is called back: whoever calls the tool puts the real one in its place, so that
    no secret is stored."""
    return f"callback://{execution}/{step}"


def _reserved(draft: Draft, cell: int, name: str) -> Any:
    if name == "input":
        return draft.notes.input
    item = draft.layout.item(cell)
    return item if name == "index" else items(draft, draft.layout.step(cell))[item]


def items(draft: Draft, step: int) -> Sequence[Any]:
    """What a map goes over. BadReference if that is no list."""
    known = draft.x.items.get(step)
    if known is None:
        each = draft.blueprint.plan.steps[step].map
        known = made(draft, step, each.over if each else None, "$.map.over")
        if not isinstance(known, list | tuple):
            raise refs.BadReference("$.map.over", f"a list is needed, and this is {type(known).__name__}")
        draft.x.items[step] = known  # a memo: it is made of what never changes
    return known


def missing(draft: Draft, cells: list[int]) -> tuple[int, ...]:
    """Outputs that must be loaded before these cells can start."""
    found = {ref for cell in cells for ref in _refs(draft, cell)}
    return tuple(sorted(cell for cell in found if draft.cell(cell) is Cell.DONE and not draft.has_output(cell)))


def _refs(draft: Draft, cell: int) -> Iterable[int]:
    return undo_refs(draft, cell) if draft.layout.is_undo(cell) else draft.blueprint.refs[draft.layout.step(cell)]


def undo_refs(draft: Draft, cell: int) -> set[int]:
    """The cells whose outputs an undo of its own refers to."""
    own = draft.step(cell).undo
    names = {ref.step for ref in refs.find(own.args)} if own else set()
    found = {_where(draft, cell, draft.blueprint.index[name]) for name in names - RESERVED}
    return found | set(draft.blueprint.refs[draft.layout.step(cell)]) if "item" in names else found


def unmet(draft: Draft, cell: int) -> str:
    """A step that this one refers to and that has no output to give; empty if there is none, or a join may miss some."""
    step = draft.step(cell)
    if step.join:
        return ""
    index = draft.blueprint.index
    called = draft.blueprint.called
    names = (ref.step for ref in refs.find(wanted(step)) if ref.step in index and not is_address(ref, step.name, called))
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
