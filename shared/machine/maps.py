"""A step that is called once for each item of a list: its items have cells of their own behind the plan's."""

from itertools import islice

from shared.machine import limits, refs, values
from shared.machine.decision import Load
from shared.machine.draft import Draft
from shared.machine.state import Fault, Hold, Region, Result
from shared.machine.status import Cell, Reason

MOST_ITEMS = 10_000
_BUSY = (Cell.READY, Cell.GRANTED, Cell.INTENDED, Cell.BACKOFF, Cell.SETTLING, Cell.WAITING)
"""What counts towards the concurrency. An UNKNOWN item waits for a person, and holds up no other."""
_NOT_CALLED = (Cell.READY, Cell.GRANTED, Cell.BACKOFF, Cell.WAITING)


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
    draft.say("step.spread", cell, items=count)
    if not count:
        draft.done(cell, Result(output=[], attempt=1, started_ms=draft.now_ms, ended_ms=draft.now_ms))
        return
    draft.put(cell, Cell.WAITING, hold=Hold(kind=Reason.MAP, since_ms=draft.now_ms))
    region = Region(cell, draft.layout.end, count)
    draft.note(maps=(*draft.notes.maps, region))
    for number in range(2 * count):  # each is written, so that no byte of the cells is ever undefined
        draft.put(region.start + number, Cell.READY if number < min(each.concurrency, count) else Cell.IDLE)


def advance(draft: Draft) -> Load | None:
    """Let the next items of every map begin, and end the maps whose items have ended."""
    for cell in draft.spread():
        hold, region = draft.hold(cell), draft.layout.of_step(cell)
        if hold is not None and region is not None and (load := _advance(draft, cell, region, hold)):
            return load
    return None


def _advance(draft: Draft, cell: int, region: Region, hold: Hold) -> Load | None:
    start, end = region.start, region.start + region.count
    each = draft.step(cell).map
    needed = region.count if each is None or each.min_successful is None else min(each.min_successful, region.count)
    failed, busy, idle = (draft.count(start, end, *cells) for cells in ((Cell.FAILED,), _BUSY, (Cell.IDLE,)))
    if failed > region.count - needed:
        _give_up(draft, cell, region, failed)
    elif not busy and not idle and not draft.count(start, end, Cell.UNKNOWN):
        return _finish(draft, cell, region, hold)
    elif idle and (free := (each.concurrency if each else 1) - busy) > 0:
        for item in list(islice(draft.find(Cell.IDLE, start, end), free)):
            draft.put(item, Cell.READY)
    return None


def _give_up(draft: Draft, cell: int, region: Region, failed: int) -> None:
    """Too many items failed: no other begins, and what was called is waited for.

    Where the plan goes on without the map, everything that may have happened is known first.
    """
    start, end = region.start, region.start + region.count
    for item in [item for where in _NOT_CALLED for item in draft.find(where, start, end)]:
        _call_off(draft, item)
    if draft.step(cell).may_fail and draft.count(start, end, *_BUSY, Cell.UNKNOWN):
        return
    message = f"{failed} of {region.count} items failed"
    draft.say("step.failed", cell, 1, code="items_failed", message=message)
    draft.fail(cell, Fault(attempt=1, code="items_failed", message=message, at_ms=draft.now_ms))


def _call_off(draft: Draft, item: int) -> None:
    """An item does not begin, unless an earlier attempt may have had an effect: then it is called until that is known."""
    hold, fault = draft.hold(item), draft.fault(item)
    waits = draft.cell(item) is Cell.WAITING
    if (fault is not None and fault.doubt) or (waits and (hold is None or hold.kind is not Reason.SLOT)):
        return
    if hold is not None and draft.cell(item) is not Cell.READY:
        limits.leave_line(draft, item, hold)
    draft.put(item, Cell.SKIPPED)


def _finish(draft: Draft, cell: int, region: Region, hold: Hold) -> Load | None:
    """Every item has ended: their outputs in order, null for one that failed."""
    items = range(region.start, region.start + region.count)
    done = list(draft.find(Cell.DONE, region.start, region.start + region.count))
    if missing := tuple(item for item in done if not draft.has_output(item)):
        return Load(results=missing)
    given = set(done)
    output = [draft.output(item) if item in given else None for item in items]
    draft.say("step.done", cell, 1, items=region.count)
    draft.done(cell, Result(output=output, attempt=1, started_ms=hold.since_ms, ended_ms=draft.now_ms))
    return None
