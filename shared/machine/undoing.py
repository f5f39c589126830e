"""The undo lane: which effects are taken back, in which order, and what it came to."""

from collections.abc import Iterator
from itertools import islice

from shared.machine.decision import Load
from shared.machine.draft import Draft
from shared.machine.plan import Effect, Undo
from shared.machine.status import OVER, Cell, Phase, Reason, Status

_MAY_EXIST = frozenset({Cell.DONE, Cell.UNKNOWN, Cell.SETTLING})
_TO_BE_TRIED = frozenset({Cell.BACKOFF, Cell.WAITING, Cell.GRANTED})
"""With an earlier attempt in doubt the effect may exist: the next one waits for its time, or has a slot to wait for."""
_NOT_YET = 2**62
"""Stands for the completion time of an effect that may still come: later than all."""


def open_lane(draft: Draft) -> None:
    """Turn to undoing if there is, or may be, an effect; what cannot be undone is marked as left standing."""
    cells = [cell for start, end in draft.layout.forward() for cell in range(start, end) if _may_have_effect(draft, cell)]
    if not cells:
        return
    for cell in cells:
        way_back = undoable(draft, cell)
        undo = draft.layout.undo_of(cell)
        draft.put(undo, Cell.READY if way_back else Cell.LEFT)
        if not way_back:
            draft.say("undo.left", undo, was=draft.cell(cell).name)
    draft.move(Status.COMPENSATING, phase=Phase.UNDO)
    draft.say("execution.compensating", steps=len(cells), cause=draft.header.cause)


def standing(draft: Draft) -> list[int]:
    """Forward cells whose effect is, or may be, in the world and was not taken back."""
    cells = (cell for start, end in draft.layout.forward() for cell in range(start, end))
    return [c for c in cells if _may_have_effect(draft, c) and draft.cell(draft.layout.undo_of(c)) is not Cell.DONE]


def leave_standing(draft: Draft) -> None:
    """Whoever stopped the execution wants no undo: say what stands."""
    for start, end in draft.layout.forward():
        for cell in range(start, end):
            if _may_have_effect(draft, cell):
                draft.say("undo.left", cell, was=draft.cell(cell).name)


def undoable(draft: Draft, cell: int) -> bool:
    """Whether there is a way back: another tool's call needs the answer that an unknown effect does not have."""
    kind = _undo(draft, cell)
    return kind is not Undo.NONE and (kind is not Undo.CALL or draft.cell(cell) is Cell.DONE)


def _undo(draft: Draft, cell: int) -> Undo:
    return draft.blueprint.undo_of(draft.layout.step(cell))


def _may_have_effect(draft: Draft, cell: int) -> bool:
    number = draft.layout.step(cell)
    step, where = draft.blueprint.plan.steps[number], draft.cell(cell)
    if cell in draft.notes.supplied:
        return False
    if step.child:
        return where in {Cell.DONE, Cell.UNKNOWN}
    if draft.blueprint.contract(number).effect is Effect.PURE or (step.map and cell < draft.blueprint.size):
        return False
    fault = draft.fault(cell) if where in _TO_BE_TRIED else None
    return where in _MAY_EXIST or (fault is not None and fault.doubt)


def _open(draft: Draft) -> Iterator[int]:
    changed, layout = draft.changed_cells(), draft.layout
    yield from (cell for cell in draft.x.undoing if cell not in changed)
    yield from (cell for cell, where in changed.items() if layout.is_undo(cell) and where not in OVER)


def order_missing(draft: Draft) -> bool:
    """Whether the next undo, or its moment, depends on when the effects completed, and nobody said yet."""
    if draft.x.order is not None:
        return False
    some = list(islice(_open(draft), 2))
    return len(some) > 1 or any(_lands_behind_an_answer(draft, cell) for cell in some)


def load_order(draft: Draft) -> Load:
    """Ask when the effects that are still to be undone completed."""
    return Load(order=tuple(sorted(draft.layout.forward_of(cell) for cell in _open(draft))))


def next_cell(draft: Draft) -> int | None:
    """The undo cell whose turn it is: the effect that completed last; what may still land counts as later than all."""
    if draft.x.order is None:
        return next(_open(draft), None)
    if draft.x.lane is None:  # sorted once a segment: the order is known, and undo cells only leave the lane
        draft.x.lane = sorted(_open(draft), key=lambda cell: _turn(draft, cell))
    lane = draft.x.lane
    while lane and lane[-1] not in draft.x.undoing and draft.cell(lane[-1]) in OVER:
        lane.pop()
    return next((cell for cell in reversed(lane) if draft.cell(cell) not in OVER), None)


def _turn(draft: Draft, cell: int) -> tuple[int, int, int]:
    """Within one millisecond a step and what needed it may both complete; the rank knows which of them came later."""
    forward = draft.layout.forward_of(cell)
    return (draft.x.order or {}).get(forward, _NOT_YET), draft.blueprint.rank[draft.layout.step(cell)], cell


def not_before(draft: Draft, cell: int) -> tuple[int, Reason]:
    """Unix ms before which this undo may not be called, and why: its back-off, or a request that may still land."""
    fault = draft.fault(cell)
    backoff_ms = fault.retry_at_ms if fault is not None else 0
    settled_ms = _settled_ms(draft, cell)
    return (settled_ms, Reason.SETTLING) if settled_ms > backoff_ms else (backoff_ms, Reason.BACKOFF)


def _settled_ms(draft: Draft, cell: int) -> int:
    """From when no request of the step lands any more; 0 where the undo refuses late ones, or where there are none."""
    forward = draft.layout.forward_of(cell)
    if _undo(draft, cell) is not Undo.SETTLED:
        return 0
    if draft.cell(forward) is not Cell.DONE:
        intent = draft.x.intents.get(forward)
        return intent.settle_at_ms if intent else 0
    if _lands_behind_an_answer(draft, cell):
        return (draft.x.order or {}).get(forward, 0) + draft.contract(forward).settle_ms
    return 0


def _lands_behind_an_answer(draft: Draft, cell: int) -> bool:
    """An idempotent call is sent again while an earlier request may be on its way: that one can land behind the answer."""
    forward = draft.layout.forward_of(cell)
    idempotent = draft.contract(forward).effect is Effect.IDEMPOTENT
    return draft.cell(forward) is Cell.DONE and _undo(draft, cell) is Undo.SETTLED and idempotent


def verdict(draft: Draft) -> Status:
    """COMPENSATED only if every effect was taken back, but for those that the plan wants to stand (`leave: true`)."""
    lanes = [(draft.layout.undo_of(start), draft.layout.undo_of(start) + end - start) for start, end in draft.layout.forward()]
    bad = any(draft.count(start, end, Cell.FAILED) or _left_unasked(draft, start, end) for start, end in lanes)
    return Status.COMPENSATION_FAILED if bad else Status.COMPENSATED


def _left_unasked(draft: Draft, start: int, end: int) -> bool:
    """Whether something stands although the plan did not say that it may."""
    if not draft.count(start, end, Cell.LEFT):
        return False
    left = (cell for cell in range(start, end) if draft.cell(cell) is Cell.LEFT)
    return any((own := draft.step(cell).undo) is None or not own.leave for cell in left)
