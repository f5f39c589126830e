"""Steps that are executions of their own: begun, stopped and undone by commands, heard of by signals."""

import hashlib
from typing import Any

import msgspec

from shared.machine.draft import Draft
from shared.machine.state import Fault, Hold, Result
from shared.machine.status import Cell, Reason, Status

MOST_OUTPUT_BYTES = 65_536
"""Of a child's output, as JSON: it comes to its parent as a signal, and an inbox is bounded."""
_GONE = frozenset({Status.COMPENSATED, Status.CANCELLED, Status.TIMED_OUT, Status.FAILED, Status.REJECTED})
"""Ends of a child that leave no effect."""


def begin(draft: Draft, cell: int, args: dict[str, Any]) -> None:
    """Ask for the child. Its id follows from its parent's and the step's, so that asking twice is asking once."""
    name = draft.name(cell)
    generation = draft.notes.generations.get(name, 1)
    child = child_id(draft.header.id, name, generation)
    payload = {
        "tenant": draft.header.tenant,
        "step": name,
        "generation": generation,
        "input": args,
        "depth": draft.notes.depth + 1,
    }
    draft.command(f"create_child:{name}:{generation}", "create_child", child, payload)
    draft.put(cell, Cell.WAITING, hold=Hold(kind=Reason.CHILD, since_ms=draft.now_ms, child=child))
    draft.say("step.child_asked", cell, child=child)


def child_id(parent: str, step: str, generation: int) -> str:
    """The id of a step's child: on its parent's partition, as old as its parent in every listing, and never another's."""
    head, _, unique = parent.rpartition("_")
    digest = hashlib.sha256(f"{parent}.{step}.{generation}".encode()).hexdigest()
    return f"{head}_{unique[:12]}7{digest[:3]}8{digest[3:18]}"


def stop(draft: Draft, cell: int, hold: Hold) -> None:
    """Tell the child to stop, once; it says when it has."""
    if hold.stopping:
        return
    about = _about(draft, cell)
    draft.command(f"cancel_child:{about['step']}:{about['generation']}", "cancel_child", hold.child, about)
    draft.put(cell, Cell.WAITING, hold=msgspec.structs.replace(hold, stopping=True))
    draft.say("step.child_stopped", cell, child=hold.child)


def undo(draft: Draft, cell: int) -> None:
    """Tell a child that had completed to undo itself; it says when it has."""
    forward = draft.layout.forward_of(cell)
    name = draft.name(forward)
    child = child_id(draft.header.id, name, draft.notes.generations.get(name, 1))
    draft.command(f"undo_child:{name}:{draft.header.segment}", "undo_child", child, _about(draft, forward))
    draft.put(cell, Cell.WAITING, hold=Hold(kind=Reason.CHILD, since_ms=draft.now_ms, child=child))
    draft.say("undo.child_asked", cell, child=child)


def _about(draft: Draft, cell: int) -> dict[str, Any]:
    name = draft.name(cell)
    return {"tenant": draft.header.tenant, "step": name, "generation": draft.notes.generations.get(name, 1)}


def ended(draft: Draft, cell: int, status: Status, output: Any) -> None:
    """A child has ended."""
    undo_cell = draft.layout.undo_of(cell)
    if draft.cell(undo_cell) is Cell.WAITING:
        _undone(draft, undo_cell, status)
    elif draft.cell(cell) is Cell.WAITING:
        _ended(draft, cell, status, output)


def _ended(draft: Draft, cell: int, status: Status, output: Any) -> None:
    hold = draft.hold(cell)
    if status is Status.COMPLETED:
        since = hold.since_ms if hold else draft.now_ms
        draft.say("step.done", cell, 1, child_status=status)
        draft.done(cell, Result(output=output, attempt=1, started_ms=since, ended_ms=draft.now_ms))
        return
    message = f"the child execution ended {status}"
    fault = Fault(attempt=1, code="child_ended", message=message, at_ms=draft.now_ms, doubt=status not in _GONE)
    draft.say("step.failed", cell, 1, code=fault.code, message=message)
    if status in _GONE:
        draft.fail(cell, fault)
    else:  # something of it stands: undoing asks the child once more
        draft.doubt(cell, fault)


def _undone(draft: Draft, cell: int, status: Status) -> None:
    if status in _GONE:
        draft.put(cell, Cell.DONE)
        draft.say("undo.done", cell, 1, child_status=status)
        return
    message = f"the child execution ended {status}"
    draft.put(cell, Cell.FAILED, Fault(attempt=1, code="child_ended", message=message, at_ms=draft.now_ms))
    draft.say("undo.failed", cell, 1, code="child_ended", message=message)


def _short(output: Any) -> Any:
    """What fits into a parent's inbox; of anything larger, that it does not."""
    size = len(msgspec.json.encode(output))
    if size <= MOST_OUTPUT_BYTES:
        return output
    message = (
        f"the child's output has {size} bytes, and {MOST_OUTPUT_BYTES} are told to a parent: let its plan's output give less"
    )
    return {"error": {"code": "output_too_large", "message": message}}


def tell_parent(draft: Draft, status: Status, output: Any) -> None:
    """The end of a child is news for its parent."""
    parent = draft.notes.parent
    if parent is None:
        return
    news = {"step": parent.step, "generation": parent.generation, "status": status.value, "output": _short(output)}
    payload = {"tenant": draft.header.tenant, "kind": "child", "payload": news}
    draft.command(f"ended:{draft.header.segment}", "signal", parent.execution, payload)
