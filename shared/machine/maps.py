"""A step that is called once for each item of a list: its items have cells of their own behind the plan's."""

from shared.machine import refs, values
from shared.machine.decision import Load
from shared.machine.draft import Draft
from shared.machine.state import Fault, Hold, Region, Result
from shared.machine.status import Cell, Reason

MOST_ITEMS = 10_000
_BUSY = (Cell.READY, Cell.GRANTED, Cell.INTENDED, Cell.BACKOFF, Cell.SETTLING, Cell.WAITING, Cell.UNKNOWN)
_CALLED = (Cell.INTENDED, Cell.SETTLING, Cell.WAITING)


def spread(draft: Draft, cell: int) -> None:
    """Give each item its two cells; the first of them are ready."""
    try:
        count = len(values.items(draft, cell))
    except refs.BadReference as error:
        draft.refuse(cell, "bad_reference", str(error))
        return
    each = draft.step(cell).map
    if count > MOST_ITEMS or each is None:
        draft.refuse(cell, "too_many_items", f"{count} items, but a map goes over {MOST_ITEMS} at most")
        return
    hold = Hold(kind=Reason.MAP, since_ms=draft.now_ms)
    draft.put(cell, Cell.WAITING, hold=hold)
    draft.say("step.spread", cell, items=count)
    if not count:
        return
    region = Region(cell, draft.layout.end, count)
    draft.note(maps=(*draft.notes.maps, region))
    for number in range(2 * count):  # each is written, so that no byte of the cells is ever undefined
        draft.put(region.start + number, Cell.READY if number < min(each.concurrency, count) else Cell.IDLE)


def advance(draft: Draft) -> Load | None:
    """Let the next items of every map begin, and end the maps whose items have ended."""
    if not draft.waiting():
        return None
    for cell in draft.waiting():
        hold = draft.hold(cell)
        if hold is not None and hold.kind is Reason.MAP and (load := _advance(draft, cell, hold)):
            return load
    return None


def _advance(draft: Draft, cell: int, hold: Hold) -> Load | None:
    region = draft.layout.of_step(cell) or Region(cell, draft.layout.end, 0)
    start, end = region.start, region.start + region.count
    each = draft.step(cell).map
    needed = region.count if each is None or each.min_successful is None else min(each.min_successful, region.count)
    failed, busy = draft.count(start, end, Cell.FAILED), draft.count(start, end, *_BUSY)
    if failed > region.count - needed:
        _give_up(draft, cell, region, failed)
        return None
    if busy == 0 and draft.count(start, end, Cell.IDLE) == 0:
        return _finish(draft, cell, region, hold)
    for item in _idle(draft, region, max(0, (each.concurrency if each else 1) - busy)):
        draft.put(item, Cell.READY)
    return None


def _idle(draft: Draft, region: Region, most: int) -> list[int]:
    """The next items, in order."""
    found: list[int] = []
    cell = region.start
    while len(found) < most and cell < region.start + region.count:
        if draft.cell(cell) is Cell.IDLE:
            found.append(cell)
        cell += 1
    return found


def _give_up(draft: Draft, cell: int, region: Region, failed: int) -> None:
    """Too many items failed: no other begins, and what was called is waited for."""
    start, end = region.start, region.start + region.count
    for item in range(start, end):
        if draft.cell(item) in {Cell.READY, Cell.GRANTED}:
            draft.put(item, Cell.SKIPPED)
    if draft.step(cell).may_fail and draft.count(start, end, *_CALLED):
        return
    message = f"{failed} of {region.count} items failed"
    draft.say("step.failed", cell, 1, code="items_failed", message=message)
    draft.fail(cell, Fault(attempt=1, code="items_failed", message=message, at_ms=draft.now_ms))


def _finish(draft: Draft, cell: int, region: Region, hold: Hold) -> Load | None:
    """Every item has ended: their outputs in order, null for one that failed."""
    items = range(region.start, region.start + region.count)
    done = [item for item in items if draft.cell(item) is Cell.DONE]
    if missing := tuple(item for item in done if not draft.has_output(item)):
        return Load(results=missing)
    given = set(done)
    output = [draft.output(item) if item in given else None for item in items]
    draft.say("step.done", cell, 1, items=region.count)
    draft.done(cell, Result(output=output, attempt=1, started_ms=hold.since_ms, ended_ms=draft.now_ms))
    return None
