"""Which cells start now: ready, and fitting into what is left of the invocation."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from shared.machine import limits, refs, values
from shared.machine.decision import Changes, Line, Load, Start, StartSteps, Take, merge
from shared.machine.draft import Draft
from shared.machine.events import Room
from shared.machine.plan import hash_of
from shared.machine.state import Intent
from shared.machine.status import Cell, Reason

_encode = msgspec.json.Encoder(order="deterministic").encode
COMMIT_RESERVE_MS = 200
"""Kept free behind every call for storing its result."""


def startable(draft: Draft, room: Room) -> Iterator[int]:
    """Cells that could start now: what has waited long enough, the longest due first; then the ready, in the plan's order."""
    due = sorted([(at_ms, cell) for at_ms, cell in _waiting(draft) if at_ms <= draft.now_ms])
    cells = _within_maps(draft, chain((cell for _, cell in due), draft.ready()) if due else draft.ready())
    return (cell for cell in cells if _closed_until(draft, room, cell) <= draft.now_ms) if room.closed else cells


def _within_maps(draft: Draft, cells: Iterable[int]) -> Iterator[int]:
    """Without items beyond what their map calls at once: an unknown one leaves its place, and may come back."""
    if not draft.layout.regions:
        return iter(cells)
    return _few_of_each(draft, cells)


def _few_of_each(draft: Draft, cells: Iterable[int]) -> Iterator[int]:
    first, layout, called = 2 * draft.blueprint.size, draft.layout, dict[int, int]()
    for cell in cells:
        region = layout.region(cell) if cell >= first else None
        each = draft.step(cell).map
        if region is None or each is None or draft.cell(cell) is Cell.SETTLING:
            yield cell
            continue
        start, end = region.start, region.start + region.count
        if start not in called:
            called[start] = draft.count(start, end, Cell.INTENDED, Cell.SETTLING, Cell.WAITING)
        if called[start] < each.concurrency:
            called[start] += 1
            yield cell


def _closed_until(draft: Draft, room: Room, cell: int) -> int:
    """Until when nobody calls that tool, unix ms."""
    return room.closed.get(draft.step(cell).tool, 0)


def next_timer(draft: Draft, room: Room) -> tuple[int, Reason] | None:
    """When the earliest cell that waits for its time may go on, and why it waits; None without any that must still wait.

    What is due already is no timer: it waits for room and not for time, and a wait until the past would never rest.
    """
    timers = [(at, _reason(draft, cell)) for at, cell in _waiting(draft)]
    timers += [*_held(draft), *_closed(draft, room)]
    return min((timer for timer in timers if timer[0] > draft.now_ms), default=None) if timers else None


def _reason(draft: Draft, cell: int) -> Reason:
    return Reason.SETTLING if draft.cell(cell) is Cell.SETTLING else Reason.BACKOFF


def _held(draft: Draft) -> list[tuple[int, Reason]]:
    """When a wait ends by itself, or a person is to be reminded."""
    alarm = draft.next_alarm()
    hold = draft.hold(alarm[1]) if alarm is not None else None
    return [(alarm[0], hold.kind)] if alarm is not None and hold is not None else []


def _closed(draft: Draft, room: Room) -> list[tuple[int, Reason]]:
    """When tools that something is ready for may be called again."""
    if not room.closed:
        return []
    due = (cell for at_ms, cell in _waiting(draft) if at_ms <= draft.now_ms)
    return [(_closed_until(draft, room, cell), Reason.CIRCUIT) for cell in chain(due, islice(draft.ready(), 100))]


def timer_within(draft: Draft, room: Room) -> int | None:
    """When something else may start in this invocation, while calls are running; None if nothing may."""
    timer = next_timer(draft, room)
    return timer[0] if timer and timer[0] < room.checkpoint_ms and room.starts_left != 0 else None


def _waiting(draft: Draft) -> list[tuple[int, int]]:
    """(unix ms, cell) of those that time alone makes startable."""
    layout = draft.layout
    cells = draft.at(Cell.BACKOFF, draft.x.backoff) + draft.at(Cell.SETTLING, draft.x.settling)
    return [(_wakes_at(draft, cell), cell) for cell in cells if not layout.is_undo(cell)]


def _wakes_at(draft: Draft, cell: int) -> int:
    fault = draft.fault(cell)
    if fault is not None and fault.retry_at_ms:
        return fault.retry_at_ms
    return draft.x.intents[cell].settle_at_ms


def choose(draft: Draft, room: Room, only: int | None = None) -> StartSteps | Load | Take | None:
    """What starts, or what must be loaded or taken first to say so; None if nothing does.

    `only`: the one undo cell to consider.
    """
    fitting = _fitting(draft, room, only)
    if isinstance(fitting, Load | Take):
        return fitting
    starts = [start for cell in fitting if (start := _start(draft, room, cell)) is not None]
    if not starts or (draft.header.cause and only is None):
        return None
    lines = [
        Line(event=_event(draft, start), step=start.step, attempt=start.intent.attempt, detail={"key": start.intent.key})
        for start in starts
    ]
    changes = Changes(
        cells={start.cell: Cell.INTENDED for start in starts},
        intents={start.cell: start.intent for start in starts},
        history=lines,
    )
    until_ms = timer_within(draft, room) if only is None else None
    return StartSteps(starts=tuple(starts), changes=merge(draft.then, changes), until_ms=until_ms)


def _fitting(draft: Draft, room: Room, only: int | None) -> list[int] | Load | Take:
    """The cells that may start, with every slot they need; what stands in line for one leaves its place to others."""
    free = room.parallel - len(draft.running())
    if room.starts_left is not None:
        free = min(free, room.starts_left)
    while True:
        cells = startable(draft, room) if only is None else iter((only,))
        some = [cell for n, cell in enumerate(islice(cells, max(free, 0))) if _fits(draft, room, cell, room.started + n)]
        if missing := values.missing(draft, some):
            return Load(results=missing)
        having, take = _with_slots(draft, room, some)
        if take:
            return take
        if having or not some or draft.header.cause:
            return having


def _with_slots(draft: Draft, room: Room, cells: list[int]) -> tuple[list[int], Take | None]:
    """Those that have every slot they need; first of all the slots that nobody has asked for yet."""
    having, open_asks = [], []
    for cell in cells:
        try:
            asks = limits.asks(draft, room, cell)
        except refs.BadReference as error:
            draft.refuse(cell, "bad_reference", str(error))
            continue
        answers = [draft.x.slots.get((ask.limit, ask.member)) for ask in asks]
        if False in answers:
            limits.stand_in_line(draft, cell)
        elif None in answers:
            open_asks.append(asks[answers.index(None)])
        else:
            having.append(cell)
    return having, Take(asks=tuple(open_asks)) if open_asks else None


def _event(draft: Draft, start: Start) -> str:
    if draft.layout.is_undo(start.cell):
        return "undo.intended"
    return "step.probed" if start.intent.probe else "step.intended"


def _timeout_ms(draft: Draft, cell: int) -> int:
    """Of one attempt: a step's own, or for an undo by another tool that tool's."""
    step = draft.step(cell)
    undone_by = draft.layout.is_undo(cell) and step.undo and step.undo.tool
    return draft.contract(cell).timeout_ms if undone_by else step.timeout_ms


def _tool(draft: Draft, cell: int) -> str:
    step = draft.step(cell)
    return step.undo.tool if draft.layout.is_undo(cell) and step.undo and step.undo.tool else step.tool


def _fits(draft: Draft, room: Room, cell: int, started: int) -> bool:
    """A call starts only if it will usually end before the cut-off.

    The first of a segment always (so nothing livelocks), unless the segment itself began late: half of what the call may take
    must be left, or an answer would be lost for nothing.
    """
    if draft.now_ms >= room.checkpoint_ms:
        return False
    timeout = _timeout_ms(draft, cell)
    usual = min(room.estimates.get(_tool(draft, cell), timeout), timeout)
    needed = usual + COMMIT_RESERVE_MS if started else min(usual, timeout // 2)
    return draft.now_ms + needed <= room.cutoff_ms


def _start(draft: Draft, room: Room, cell: int) -> Start | None:
    """The call with its intent; None when its arguments cannot be made, which fails the step before any call."""
    undo, step = draft.layout.is_undo(cell), draft.step(cell)
    try:
        args = arguments(draft, cell)
    except refs.BadReference as error:
        draft.refuse(cell, "bad_reference", str(error))
        return None
    timeout = min(_timeout_ms(draft, cell), room.cutoff_ms - draft.now_ms)
    intent = _intent(draft, room, cell, args)
    own = undo and not (step.undo and step.undo.tool)
    return Start(
        cell=cell,
        step=draft.name(cell),
        tool=_tool(draft, cell),
        intent=intent,
        timeout_ms=timeout,
        version=draft.contract(cell).version,
        undo=own,
        execution=draft.header.id,
        tenant=draft.header.tenant,
    )


def arguments(draft: Draft, cell: int) -> dict[str, Any]:
    """What the cell's tool is called with: as a person approved or wrote it, or with every reference replaced. BadReference."""
    step = draft.step(cell)
    if draft.layout.is_undo(cell):
        found = values.made(draft, cell, step.undo.args) if step.undo else {}
    else:
        hold = draft.hold(cell)
        granted = hold.args if hold is not None else None
        found = granted if granted is not None else values.made(draft, cell, step.args)
    return dict(found)


def hash_of_args(args: dict[str, Any]) -> str:
    """What an approval is bound to."""
    return hash_of(_encode(args))


def _intent(draft: Draft, room: Room, cell: int, args: dict[str, Any]) -> Intent:
    before = draft.fault(cell)
    asks = not draft.layout.is_undo(cell) and draft.cell(cell) is Cell.SETTLING
    intent = Intent(
        attempt=draft.attempt(cell),
        key=draft.key(cell),
        args=args,
        args_hash=hash_of_args(args),
        at_ms=draft.now_ms,
        sent_by_ms=room.lease_ms,
        settle_at_ms=room.lease_ms + draft.contract(cell).settle_ms,
        since_ms=before.since_ms if before and before.since_ms else draft.now_ms,
        doubt=before.doubt if before else False,
        slots=() if asks else limits.slots(draft, cell),
    )
    return _probe(draft, cell, intent) if asks else intent


def _probe(draft: Draft, cell: int, intent: Intent) -> Intent:
    """Asks about the latest attempt and is none itself. It sends nothing that could land: what settles is that attempt."""
    settle_at_ms, asked = draft.x.intents[cell].settle_at_ms, draft.asked(cell) + 1
    return msgspec.structs.replace(intent, probe=True, attempt=intent.attempt - 1, asked=asked, settle_at_ms=settle_at_ms)
