"""Leaving a terminal status on a person's word: what is put back, and what follows from it. Pure; the store checks the version.

No call is under way in a finished execution, so whatever is put back is decided from rest. A retried call gets a new effect
key: its last one is known not to have happened, and a tool may remember its refusal under the old key.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from shared.machine import replanning, undoing
from shared.machine.decision import Changes, Line, apply, merge
from shared.machine.draft import Draft
from shared.machine.starting import hash_of_args
from shared.machine.state import Execution, Fault, Hold, Region, Result
from shared.machine.status import REOPENINGS, Cause, Cell, Phase, Reason, Status

MOST_ITEMS: Final = 1_000
"""Items of maps that are retried with one word: each is noted by name, and notes are loaded whole."""
_UNTRIED: Final = frozenset({Cell.READY, Cell.GRANTED, Cell.BACKOFF})


class NotReopened(Exception):
    """There is nothing that this could act upon."""


def retry(x: Execution, *, step: str, by: str, now_ms: int) -> Changes:
    """Try again what failed: the steps that stopped the plan, or the undos that were given up. `step` empty: all of them.

    Several steps may have failed side by side; a plan that runs again needs all of them, so that all are retried.
    """
    if x.header.status is Status.COMPENSATION_FAILED:
        return _undo_again(x, step, by, now_ms)
    draft = _running_again(x, "retry", step, by, now_ms)
    if step:
        _one_that_failed(draft, x, step)
    return draft.kept


def edit(x: Execution, *, step: str, args: dict[str, Any], by: str, now_ms: int) -> Changes:
    """Try a failed call again with other arguments; what else failed is tried again as it was."""
    draft = _running_again(x, "edit", step, by, now_ms)
    cell = _one_that_failed(draft, x, step)
    if not draft.step(cell).tool or draft.step(cell).map:
        raise NotReopened(f"{step} has no arguments of its own to be edited")
    hold = Hold(kind=Reason.NONE, since_ms=now_ms, args=args, args_hash=hash_of_args(args), by=by)
    draft.put(cell, Cell.GRANTED, _anew(draft, cell), hold)
    draft.say("step.edited", cell, by=by, args_hash=hold.args_hash)
    return draft.kept


def skip(x: Execution, *, step: str, output: Any, by: str, now_ms: int) -> Changes:
    """Go on as if a failed step had given `output`; of a failed undo: a person has dealt with that effect."""
    if x.header.status is Status.COMPENSATION_FAILED:
        return _dealt_with(x, step, by, now_ms)
    draft = _running_again(x, "skip", step, by, now_ms)
    cell = _one_that_failed(draft, x, step)
    first, after = draft.kept, _copy(x)
    apply(after, first)  # before the step is done: else it would be counted among the needs that were met already
    then = Draft(after, now_ms)
    _end_items(then, cell)
    then.say("step.skipped_by", cell, by=by)
    then.note(supplied=(*then.notes.supplied, cell))
    then.done(cell, Result(output=output, attempt=then.attempt(cell), started_ms=now_ms, ended_ms=now_ms))
    return merge(first, then.kept)


def settle(x: Execution, *, step: str, happened: bool, output: Any, by: str, now_ms: int) -> Changes:
    """A person says whether an effect happened that the undo lane could not reach."""
    cell = _cell(x, step)
    if x.cell(cell) is not Cell.UNKNOWN:
        raise NotReopened(f"{step} is not unknown")
    if x.cell(x.layout.undo_of(cell)) is Cell.DONE:
        raise NotReopened(f"{step} was undone by its key: whether it had happened changes nothing")
    intent = x.intents.get(cell)
    if not happened and intent is not None and now_ms < intent.settle_at_ms:
        raise NotReopened(f"a request of {step} may still land for {intent.settle_at_ms - now_ms} ms: ask again then")
    draft = _opened(x, Status.COMPENSATING, "settle", step, by, now_ms)
    draft.say("step.settled", cell, by=by, happened=happened)
    undo = draft.layout.undo_of(cell)
    if not happened:
        draft.put(cell, Cell.FAILED)
        draft.put(undo, Cell.IDLE)
        return draft.kept
    draft.kept.results[cell] = Result(output=output, attempt=1, started_ms=now_ms, ended_ms=now_ms)
    draft.put(cell, Cell.DONE)
    draft.put(undo, Cell.READY if undoing.undoable(draft, cell) else Cell.LEFT)
    return draft.kept


def compensate(x: Execution, *, by: str, now_ms: int) -> Changes:
    """Undo what stands of a finished execution."""
    if x.header.status is Status.COMPENSATION_FAILED:
        return _undo_again(x, "", by, now_ms)
    if x.header.status is Status.COMPLETED and x.notes.parent is not None:
        raise NotReopened(f"its parent {x.notes.parent.execution} relies on it: compensate the parent, which undoes this too")
    if not undoing.standing(Draft(x, now_ms)):
        raise NotReopened("nothing of it stands: there is nothing to undo")
    draft = _opened(x, Status.COMPENSATING, "compensate", "", by, now_ms)
    draft.note(no_undo=False, paused="")
    return draft.kept


# --- what all of them do


def _copy(x: Execution) -> Execution:
    return Execution(
        header=x.header,
        blueprint=x.blueprint,
        cells=bytes(x.cells),
        intents=x.intents,
        faults=x.faults,
        results=x.results,
        seen=x.seen,
        holds=x.holds,
        notes=x.notes,
    )


def _cell(x: Execution, step: str) -> int:
    cell = x.cell_of(step)
    if cell is None:
        raise NotReopened(f"there is no step {step[:80]!r}")
    return cell


def _opened(x: Execution, target: Status, action: str, step: str, by: str, now_ms: int) -> Draft:
    """A draft whose header runs again. A deadline of the whole is not kept: a person has taken over."""
    origin = x.header.status
    if not x.header.plan:
        raise NotReopened(f"{action} needs a plan, and these words never had one")
    if target not in REOPENINGS.get(origin, frozenset()):
        raise NotReopened(f"{action} leads from {origin} nowhere")
    draft = Draft(x, now_ms)
    forward = target is Status.EXECUTING
    cause = Cause.NONE if forward else x.header.cause or Cause.CANCELLED
    phase = Phase.FORWARD if forward else x.header.phase
    draft.head(msgspec.structs.replace(x.header, status=target, reason=Reason.NONE, cause=cause, phase=phase))
    detail = {"by": by, "action": action, "from": origin, "to": target} | ({"step": step} if step else {})
    draft.kept.history.append(Line(event="execution.reopened", detail=detail))
    return draft


def _running_again(x: Execution, action: str, step: str, by: str, now_ms: int) -> Draft:
    if x.notes.parent is not None:
        raise NotReopened(f"its parent {x.notes.parent.execution} was told how it ended: retry the parent's step")
    draft = _opened(x, Status.EXECUTING, action, step, by, now_ms)
    draft.note(no_undo=False, paused="")
    replanning.forget(draft)
    _put_back(draft)
    return draft


def _one_that_failed(draft: Draft, x: Execution, step: str) -> int:
    """The step's cell, if it is one of those that stopped the plan."""
    cell = _cell(x, step)
    if not _stopped(draft, x, cell):
        raise NotReopened(f"{step} is {x.cell(cell).name}: it is none of the steps that stopped the plan")
    return cell


def _stopped(draft: Draft, x: Execution, cell: int) -> bool:
    if cell >= x.blueprint.size:
        return False
    step = draft.step(cell)
    return x.cell(cell) is Cell.FAILED and not (step.may_fail or step.replaced)


def _put_back(draft: Draft) -> None:
    """What stopped the plan is tried again; what waited when it stopped waits again."""
    x = draft.x
    for cell in range(x.blueprint.size):
        hold = x.holds.get(cell)
        if _stopped(draft, x, cell):
            _try_again(draft, cell, hold)
        elif (
            x.cell(cell) is Cell.SKIPPED and hold is not None and not draft.step(cell).replaced
        ):  # a step that is skipped by its condition has never waited
            _wait_again(draft, cell, hold)


def _try_again(draft: Draft, cell: int, hold: Hold | None) -> None:
    step, region = draft.step(cell), draft.layout.of_step(cell)
    draft.say("step.put_back", cell)
    if region is not None:
        _items_again(draft, cell, region)
        return
    if step.tool or step.child:
        _next_generation(draft, [draft.name(cell)])
    if hold and hold.by and step.tool:
        draft.put(cell, Cell.GRANTED, _anew(draft, cell), hold)
    else:
        draft.put(cell, Cell.OPENING)


def _anew(draft: Draft, cell: int) -> Fault | None:
    """Attempts are counted from the first again: a granted cell's fault is loaded with it."""
    fault = draft.fault(cell)
    return msgspec.structs.replace(fault, attempt=0, since_ms=0, retry_at_ms=0) if fault else None


def _items_again(draft: Draft, cell: int, region: Region) -> None:
    """The items that failed, or did not begin; the map lets them begin as far as its concurrency goes."""
    items = [c for c in range(region.start, region.start + region.count) if draft.cell(c) in {Cell.FAILED, Cell.SKIPPED}]
    if len(items) > MOST_ITEMS:
        raise NotReopened(f"{len(items)} items failed, and {MOST_ITEMS} at most are retried: restart it instead")
    _next_generation(draft, [draft.name(item) for item in items if draft.cell(item) is Cell.FAILED])
    for item in items:
        draft.put(item, Cell.IDLE)
    draft.put(cell, Cell.WAITING, hold=Hold(kind=Reason.MAP, since_ms=draft.now_ms))


def _next_generation(draft: Draft, names: list[str]) -> None:
    known = draft.notes.generations
    draft.note(generations=known | {name: known.get(name, 1) + 1 for name in names})


def _wait_again(draft: Draft, cell: int, hold: Hold) -> None:
    """As before; a person and a caller get their whole time again. Keys of events are subscribed to by opening the step."""
    if hold.kind is Reason.SLOT and hold.by:  # it asks for its slot again, with what a person approved
        draft.put(cell, Cell.GRANTED, hold=hold)
        return
    if hold.kind is Reason.SLOT or (hold.kind is Reason.EVENT and any(key for _, key in hold.events)):
        draft.put(cell, Cell.OPENING)
        return
    if hold.kind is not Reason.SLEEP:
        until = draft.now_ms + hold.until_ms - hold.since_ms if hold.until_ms else 0
        approve = draft.step(cell).approve
        remind = draft.now_ms + (approve.remind_ms or 0) if approve and hold.remind_ms else 0
        hold = msgspec.structs.replace(hold, since_ms=draft.now_ms, until_ms=until, remind_ms=remind)
    draft.put(cell, Cell.WAITING, hold=hold)


def _end_items(draft: Draft, cell: int) -> None:
    """Of a map that is done with: what has not begun does not begin."""
    region = draft.layout.of_step(cell)
    for item in range(region.start, region.start + region.count) if region else ():
        fault = draft.fault(item)
        if draft.cell(item) in _UNTRIED and not (fault and fault.doubt):
            draft.put(item, Cell.SKIPPED)


# --- the undo lane


def _undos(x: Execution, step: str, *targets: Cell) -> Iterator[int]:
    """Undo cells at one of `targets`: a step's, its items', or all."""
    wanted = x.layout.step(_cell(x, step)) if step else -1
    item = x.layout.item(_cell(x, step)) if step else -1
    for start, end in x.layout.forward():
        for cell in range(start, end):
            mine = wanted < 0 or (x.layout.step(cell) == wanted and item in {-1, x.layout.item(cell)})
            if mine and x.cell(x.layout.undo_of(cell)) in targets:
                yield x.layout.undo_of(cell)


def _undo_again(x: Execution, step: str, by: str, now_ms: int) -> Changes:
    cells = list(_undos(x, step, Cell.FAILED))
    if not cells:
        about = step or "it"
        raise NotReopened(f"no undo of {about} failed: what is left is skipped once you have dealt with it, or settled")
    draft = _opened(x, Status.COMPENSATING, "retry", step, by, now_ms)
    for cell in cells:
        draft.put(cell, Cell.READY)
        draft.say("undo.put_back", cell)
    return draft.kept


def _dealt_with(x: Execution, step: str, by: str, now_ms: int) -> Changes:
    cells = list(_undos(x, step, Cell.FAILED, Cell.LEFT)) if step else []
    if not cells:
        raise NotReopened(f"no effect of {step[:80]!r} is left: nothing to skip")
    draft = _opened(x, Status.COMPENSATING, "skip", step, by, now_ms)
    for cell in cells:
        draft.put(cell, Cell.DONE, hold=Hold(kind=Reason.NONE, since_ms=now_ms, by=by))
        draft.say("undo.skipped_by", cell, by=by)
    return draft.kept
