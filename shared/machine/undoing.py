"""The undo lane: which effects are taken back, in which order, and what it came to."""

from shared.machine.decision import Load
from shared.machine.draft import Draft
from shared.machine.plan import Effect, Undo
from shared.machine.status import Cell, Phase, Status

_MAY_EXIST = frozenset({Cell.DONE, Cell.UNKNOWN, Cell.SETTLING})
_OVER = frozenset({Cell.IDLE, Cell.DONE, Cell.FAILED, Cell.LEFT})


def open_lane(draft: Draft) -> None:
    """Turn to undoing if there is, or may be, an effect; what cannot be undone is marked as left standing."""
    cells = [cell for cell in range(draft.blueprint.size) if _may_have_effect(draft, cell)]
    if not cells:
        return
    for cell in cells:
        undoable = draft.blueprint.contract(cell).undo is not Undo.NONE
        undo = cell + draft.blueprint.size
        draft.put(undo, Cell.READY if undoable else Cell.LEFT)
        if not undoable:
            draft.say("undo.left", undo, was=draft.cell(cell).name)
    draft.move(Status.COMPENSATING, phase=Phase.UNDO)
    draft.say("execution.compensating", steps=len(cells), cause=draft.header.cause)


def _may_have_effect(draft: Draft, cell: int) -> bool:
    if draft.blueprint.contract(cell).effect is Effect.PURE:
        return False
    where = draft.cell(cell)
    fault = draft.fault(cell) if where is Cell.BACKOFF else None
    return where in _MAY_EXIST or (fault is not None and fault.doubt)


def _open(draft: Draft) -> list[int]:
    size = draft.blueprint.size
    return [cell for cell in range(size, 2 * size) if draft.cell(cell) not in _OVER]


def order_missing(draft: Draft) -> bool:
    """Whether more than one undo is open and nobody said yet in which order the effects completed."""
    return draft.x.order is None and len(_open(draft)) > 1


def load_order(draft: Draft) -> Load:
    """Ask for the completion order of the effects that are still to be undone."""
    return Load(order=tuple(cell - draft.blueprint.size for cell in _open(draft)))


def next_cell(draft: Draft) -> int | None:
    """The undo cell whose turn it is: the effect that completed last; what may still land counts as later than all."""
    size = draft.blueprint.size
    order = draft.x.order or {}
    return max(_open(draft), key=lambda cell: (order.get(cell - size, 2**62), cell), default=None)


def not_before(draft: Draft, cell: int) -> int:
    """Unix ms before which this undo may not be called: its back-off, or the settle time of a request that may land."""
    forward = cell - draft.blueprint.size
    fault = draft.fault(cell)
    at_ms = fault.retry_at_ms if fault is not None else 0
    if draft.blueprint.contract(cell).undo is Undo.SETTLED and draft.cell(forward) is not Cell.DONE:
        intent = draft.x.intents.get(forward)
        at_ms = max(at_ms, intent.settle_at_ms if intent else 0)
    return at_ms


def verdict(draft: Draft) -> Status:
    """COMPENSATED only if every effect was taken back."""
    size = draft.blueprint.size
    bad = any(draft.cell(cell) in {Cell.FAILED, Cell.LEFT} for cell in range(size, 2 * size))
    return Status.COMPENSATION_FAILED if bad else Status.COMPENSATED
