"""Which cells start now: ready, and fitting into what is left of the invocation."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from shared.machine import refs
from shared.machine.decision import Changes, Line, Load, Start, StartSteps
from shared.machine.draft import Draft
from shared.machine.events import Room
from shared.machine.plan import hash_of
from shared.machine.state import Fault, Intent
from shared.machine.status import Cause, Cell, Reason

COMMIT_RESERVE_MS = 200
"""Kept free behind every call for storing its result."""


def startable(draft: Draft) -> Iterator[int]:
    """Steps that could start now: what has waited long enough, the longest due first; then the ready, in the plan's order."""
    due = sorted((at_ms, cell) for at_ms, cell in _waiting(draft) if at_ms <= draft.now_ms)
    return chain((cell for _, cell in due), draft.ready())


def next_timer(draft: Draft) -> tuple[int, Reason] | None:
    """When the earliest step in back-off or settling may go on, and which it is; None without any that must still wait.

    What is due already is no timer: it waits for room and not for time, and a wait until the past would never rest.
    """
    at_ms, cell = min(((at, cell) for at, cell in _waiting(draft) if at > draft.now_ms), default=(0, None))
    if cell is None:
        return None
    return at_ms, Reason.SETTLING if draft.cell(cell) is Cell.SETTLING else Reason.BACKOFF


def timer_within(draft: Draft, room: Room) -> int | None:
    """When something else may start in this invocation, while calls are running; None if nothing may."""
    timer = next_timer(draft)
    return timer[0] if timer and timer[0] < room.checkpoint_ms and room.starts_left != 0 else None


def _waiting(draft: Draft) -> Iterator[tuple[int, int]]:
    size = draft.blueprint.size
    cells = chain(draft.at(Cell.BACKOFF, draft.x.backoff), draft.at(Cell.SETTLING, draft.x.settling))
    return ((_wakes_at(draft, cell), cell) for cell in cells if cell < size)


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
    return StartSteps(starts=tuple(starts), changes=changes, until_ms=timer_within(draft, room) if only is None else None)


def _event(start: Start) -> str:
    if start.undo:
        return "undo.intended"
    return "step.probed" if start.intent.probe else "step.intended"


def _fits(draft: Draft, room: Room, cell: int, started: int) -> bool:
    """A call starts only if it will usually end before the cut-off.

    The first of a segment always (so nothing livelocks), unless the segment itself began late: half of what the call may take
    must be left, or an answer would be lost for nothing.
    """
    if draft.now_ms >= room.checkpoint_ms:
        return False
    step = draft.blueprint.step(cell)
    usual = min(room.estimates.get(step.tool, step.timeout_ms), step.timeout_ms)
    needed = usual + COMMIT_RESERVE_MS if started else min(usual, step.timeout_ms // 2)
    return draft.now_ms + needed <= room.cutoff_ms


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
    intent = _intent(draft, room, cell, args)
    return Start(cell=cell, step=step.name, tool=step.tool, intent=intent, timeout_ms=timeout, undo=undo)


def _intent(draft: Draft, room: Room, cell: int, args: dict[str, Any]) -> Intent:
    before = draft.fault(cell)
    asks = not draft.blueprint.is_undo(cell) and draft.cell(cell) is Cell.SETTLING
    intent = Intent(
        attempt=draft.attempt(cell),
        key=draft.x.key_of(cell),
        args=args,
        args_hash=hash_of(msgspec.json.encode(args, order="deterministic")),
        at_ms=draft.now_ms,
        sent_by_ms=room.lease_ms,
        settle_at_ms=room.lease_ms + draft.blueprint.contract(cell).settle_ms,
        doubt=before.doubt if before else False,
    )
    return _probe(draft, cell, intent) if asks else intent


def _probe(draft: Draft, cell: int, intent: Intent) -> Intent:
    """Asks about the latest attempt and is none itself. It sends nothing that could land: what settles is that attempt."""
    settle_at_ms, asked = draft.x.intents[cell].settle_at_ms, draft.asked(cell) + 1
    return msgspec.structs.replace(intent, probe=True, attempt=intent.attempt - 1, asked=asked, settle_at_ms=settle_at_ms)
