"""Calls under limits: a slot is taken before the intent is recorded, and given back when the call has ended."""

from collections.abc import Sequence

from shared.machine import values
from shared.machine.decision import Ask
from shared.machine.draft import Draft
from shared.machine.events import Room
from shared.machine.plan import Limited
from shared.machine.state import Hold, Slot
from shared.machine.status import Cell, Reason

CALLBACK_MS = 3_600_000
"""How long a tool that took a call over may take, where the step has no deadline of its own."""


def asks(draft: Draft, room: Room, cell: int) -> list[Ask]:
    """The slots that the cell needs for its next attempt; BadReference where a key leads nowhere.

    In the order in which everybody takes them, so that no two wait for each other.
    """
    if not _limited(draft, cell) or draft.layout.is_undo(cell) or draft.cell(cell) is Cell.SETTLING:
        return []
    until_ms = room.lease_ms + draft.contract(cell).settle_ms
    found = []
    for name, limit in _limits(draft, cell):
        held_ms = (draft.step(cell).deadline_ms or CALLBACK_MS) if limit.hold else 0
        member = f"{draft.key(cell)}.{draft.attempt(cell)}"
        at = until_ms + held_ms
        found.append(Ask(limit=name, most=limit.most, per_ms=limit.per_ms, member=member, step=draft.name(cell), until_ms=at))
    return found


def _limited(draft: Draft, cell: int) -> bool:
    return bool(draft.step(cell).limits) or draft.contract(cell).limit is not None


def _limits(draft: Draft, cell: int) -> list[tuple[str, Limited]]:
    step, own = draft.step(cell), draft.contract(cell).limit
    keys = ((values.key(draft, cell, limit.key, f"$.limits[{number}].key"), limit) for number, limit in enumerate(step.limits))
    found = [(f"tenant/{draft.header.tenant}/{key}"[:512], limit) for key, limit in keys]
    if own is not None:
        found.append((f"tool/{step.tool}", own))
    return sorted(found, key=lambda one: one[0])


def slots(draft: Draft, cell: int) -> tuple[Slot, ...]:
    """What a call of the cell has under limits; BadReference."""
    if not _limited(draft, cell) or draft.layout.is_undo(cell):
        return ()
    return tuple(Slot(name, limit.per_ms, limit.hold) for name, limit in _limits(draft, cell))


def stand_in_line(draft: Draft, cell: int) -> None:
    """No slot is free: the grant comes as a signal. What a person approved, and why it is tried again, is kept."""
    before = draft.hold(cell) if draft.cell(cell) is not Cell.READY else None
    args, by = (before.args, before.by) if before is not None else (None, "")
    hold = Hold(kind=Reason.SLOT, since_ms=draft.now_ms, args=args, by=by, slots=slots(draft, cell))
    draft.put(cell, Cell.WAITING, hold=hold)
    draft.say("step.queued", cell)


def give_back(draft: Draft, cell: int, attempt: int, slots: Sequence[Slot]) -> None:
    """The call has ended, or nobody waits any more."""
    if not slots:
        return
    member = f"{draft.key(cell)}.{attempt}"
    for slot in slots:
        payload = {"name": slot.limit, "member": member, "period_ms": slot.per_ms}
        draft.command(f"slot_give:{member}:{slot.limit}", "slot_give", slot.limit, payload)


def leave_line(draft: Draft, cell: int, hold: Hold) -> None:
    """The step does not wait for its slot any more, or does not use the one it was granted."""
    give_back(draft, cell, draft.attempt(cell), hold.slots)
