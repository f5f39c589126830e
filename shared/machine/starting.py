"""Which cells start now: ready, and fitting into what is left of the invocation."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from shared.machine import refs
from shared.machine.decision import Changes, Line, Load, Start, StartSteps
from shared.machine.draft import Draft
from shared.machine.events import Room
from shared.machine.plan import hash_of
from shared.machine.state import Fault, Intent
from shared.machine.status import Cause, Cell

COMMIT_RESERVE_MS = 200
"""Kept free behind every call for storing its result."""


def startable(draft: Draft) -> Iterator[int]:
    """Forward cells that could start now: back-offs that are over, settled ones to ask about, then the ready, in order."""
    size = draft.blueprint.size
    for cell in draft.at(Cell.BACKOFF, draft.x.backoff):
        if cell < size and _wakes_at(draft, cell) <= draft.now_ms:
            yield cell
    for cell in draft.at(Cell.SETTLING, draft.x.settling):
        if cell < size and _wakes_at(draft, cell) <= draft.now_ms:
            yield cell
    yield from draft.at(Cell.READY, (cell for cell in draft.x.ready if cell < size))


def next_timer(draft: Draft) -> int | None:
    """When the earliest forward cell in back-off or settling may go on; None without any."""
    size = draft.blueprint.size
    waiting = [*draft.at(Cell.BACKOFF, draft.x.backoff), *draft.at(Cell.SETTLING, draft.x.settling)]
    return min((_wakes_at(draft, cell) for cell in waiting if cell < size), default=None)


def _wakes_at(draft: Draft, cell: int) -> int:
    fault = draft.fault(cell)
    if fault is not None and fault.retry_at_ms:
        return fault.retry_at_ms
    return draft.x.intents[cell].settle_at_ms


def choose(draft: Draft, room: Room, only: int | None = None) -> StartSteps | Load | None:
    """What starts, or what must be loaded first to say so; None if nothing does. `only`: the one undo cell to consider."""
    cells = startable(draft) if only is None else iter((only,))
    free = room.parallel - len(draft.running())
    if room.starts_left is not None:
        free = min(free, room.starts_left)
    fitting = [cell for n, cell in enumerate(islice(cells, max(free, 0))) if _fits(draft, room, cell, room.started + n)]
    if missing := _missing_outputs(draft, fitting):
        return Load(results=missing)
    starts = [start for cell in fitting if (start := _start(draft, room, cell)) is not None]
    if not starts or (draft.header.cause and only is None):
        return None
    lines = [
        Line(event=_event(start), step=start.step, attempt=start.intent.attempt, detail={"key": start.intent.key})
        for start in starts
    ]
    changes = Changes(
        cells={start.cell: Cell.INTENDED for start in starts},
        intents={start.cell: start.intent for start in starts},
        history=lines,
    )
    return StartSteps(starts=tuple(starts), changes=changes)


def _event(start: Start) -> str:
    if start.undo:
        return "undo.intended"
    return "step.probed" if start.intent.probe else "step.intended"


def _fits(draft: Draft, room: Room, cell: int, started: int) -> bool:
    """A call starts only if it will usually end before the cut-off; the first of a segment always (so nothing livelocks)."""
    if draft.now_ms >= room.checkpoint_ms:
        return False
    step = draft.blueprint.step(cell)
    usual = min(room.estimates.get(step.tool, step.timeout_ms), step.timeout_ms)
    return started == 0 or draft.now_ms + usual + COMMIT_RESERVE_MS <= room.cutoff_ms


def _missing_outputs(draft: Draft, cells: list[int]) -> tuple[int, ...]:
    size = draft.blueprint.size
    wanted = {ref for cell in cells if cell < size for ref in draft.blueprint.refs[cell]}
    return tuple(sorted(cell for cell in wanted if not draft.has_output(cell)))


def _start(draft: Draft, room: Room, cell: int) -> Start | None:
    """The call with its intent; None when its arguments cannot be made, which fails the step before any call."""
    step, undo = draft.blueprint.step(cell), draft.blueprint.is_undo(cell)
    try:
        args = {} if undo else refs.resolve(step.args, draft.output)
    except refs.BadReference as error:
        fault = Fault(attempt=draft.attempt(cell), code="bad_reference", message=str(error), at_ms=draft.now_ms)
        draft.put(cell, Cell.FAILED, fault)
        draft.say("step.failed", cell, fault.attempt, code=fault.code, message=fault.message)
        draft.blame(Cause.FAILED)
        return None
    timeout = min(step.timeout_ms, room.cutoff_ms - draft.now_ms)
    fault_before = draft.fault(cell)
    intent = Intent(
        attempt=draft.attempt(cell),
        key=draft.x.key_of(cell),
        args=args,
        args_hash=hash_of(msgspec.json.encode(args, order="deterministic")),
        at_ms=draft.now_ms,
        sent_by_ms=room.lease_ms,
        settle_at_ms=room.lease_ms + draft.blueprint.contract(cell).settle_ms,
        probe=not undo and draft.cell(cell) is Cell.SETTLING,
        doubt=fault_before.doubt if fault_before else False,
    )
    return Start(cell=cell, step=step.name, tool=step.tool, intent=intent, timeout_ms=timeout, undo=undo)
