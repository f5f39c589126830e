"""What arrives from outside, one small function a kind. Who may send it was checked before; whether it fits is decided here.

What does not fit any more (a person was too late, a step is elsewhere) changes nothing and is told in the history.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from shared.machine import children, limits, replanning, waits
from shared.machine.draft import Draft
from shared.machine.moments import written
from shared.machine.starting import hash_of_args
from shared.machine.state import Early, Hold, Result, Signal
from shared.machine.status import TERMINAL, Cause, Cell, Phase, Reason, Status


class Misfit(Exception):
    """The signal has nothing to act upon."""


_ENDS: Final = frozenset(status.value for status in TERMINAL)

Take: TypeAlias = Callable[[Draft, dict[str, Any], Signal], None]


def absorb(draft: Draft, signals: tuple[Signal, ...]) -> None:
    """Take up signals in the order of their arrival."""
    for signal in signals:
        draft.seen(signal.position)
        payload = signal.payload if isinstance(signal.payload, dict) else {}
        take = TAKEN.get(signal.kind)
        if take is None:
            draft.say("signal.moot", kind=signal.kind, message="no such kind is known")
            continue
        try:
            take(draft, payload, signal)
        except Misfit as error:
            draft.say("signal.moot", kind=signal.kind, message=str(error), by=_actor(payload))
    if signals:
        draft.x.lane = None  # an operator's word may have changed what is left to undo


def _cell(draft: Draft, payload: dict[str, Any]) -> int:
    name = str(payload.get("step", ""))
    cell = draft.x.cell_of(name)
    if cell is None:
        raise Misfit(f"there is no step {name[:80]!r}")
    return cell


def _held(draft: Draft, payload: dict[str, Any], kind: Reason) -> tuple[int, Hold]:
    cell = _cell(draft, payload)
    hold = draft.hold(cell)
    if draft.cell(cell) is not Cell.WAITING or hold is None or hold.kind is not kind:
        raise Misfit(f"{draft.name(cell)} does not wait for that")
    return cell, hold


def _actor(payload: dict[str, Any]) -> str:
    return str(payload.get("actor", ""))[:200]


def _forward(draft: Draft) -> None:
    if draft.header.phase is not Phase.FORWARD:
        raise Misfit("the plan is being undone")


# --- the execution as a whole


def _cancel(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    _forward(draft)
    draft.say("execution.cancelled_by", by=_actor(payload), message=str(payload.get("reason", ""))[:500])
    draft.blame(Cause.CANCELLED)
    draft.note(paused="", no_undo=payload.get("undo") is False)
    replanning.forget(draft)


def _pause(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    if draft.notes.paused:
        raise Misfit("it is paused already")
    draft.note(paused=_actor(payload) or "somebody")
    draft.say("execution.pausing", by=_actor(payload))


def _resume(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    if not draft.notes.paused:
        raise Misfit("it is not paused")
    draft.note(paused="")
    draft.say("execution.resumed", by=_actor(payload))


def _resend(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    """A person's word that it shall be tried again: every signal wakes, and the count of fruitless segments starts again."""


# --- events, callbacks, children, limits


def _event(draft: Draft, payload: dict[str, Any], signal: Signal) -> None:
    name = str(payload.get("name", ""))
    if name in {"", waits.CALLBACK}:  # a callback comes with its own permission, and never as an event
        raise Misfit(f"no event is called {name!r}")
    waits.event(draft, signal.position, name, str(payload.get("key", "")), payload.get("data"))


def _callback(draft: Draft, payload: dict[str, Any], signal: Signal) -> None:
    cell = _cell(draft, payload)
    step, hold = draft.step(cell), draft.hold(cell)
    if draft.cell(cell) in {Cell.DONE, Cell.FAILED, Cell.SKIPPED}:
        raise Misfit(f"{draft.name(cell)} has ended already")
    if draft.cell(cell) is Cell.UNKNOWN and draft.header.phase is Phase.FORWARD and cell in draft.x.intents:
        waits.called_back(draft, cell, payload)  # late, but nobody else could have said it
        return
    came = Early(signal.position, waits.CALLBACK, draft.name(cell))
    if draft.cell(cell) is not Cell.WAITING or hold is None or hold.kind is not Reason.CALLBACK:
        # The step does not wait yet, or the tool was quicker than its answer that it took the call over.
        draft.x.letters[signal.position] = payload
        draft.note(early=(*draft.notes.early, came))
    elif step.wait:
        waits.arrive(draft, cell, came, payload.get("data"))
    else:
        waits.called_back(draft, cell, payload)


def _slot(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    """A slot is kept for the step: it asks again when it starts, and has it."""
    cell, hold = _held(draft, payload, Reason.SLOT)
    draft.put(cell, Cell.GRANTED, hold=hold)
    draft.x.slots.clear()  # what was said of the queue is no longer so


def _child(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    cell = _cell(draft, payload)
    name, status = draft.name(cell), payload.get("status")
    if not draft.step(cell).child or status not in _ENDS:
        raise Misfit(f"no child of {name} has ended as {str(status)[:40]!r}")
    if payload.get("generation", 1) != draft.notes.generations.get(name, 1):
        raise Misfit("it is an earlier child of this step")
    children.ended(draft, cell, Status(str(status)), payload.get("output"))


# --- people


def _approve(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    cell, hold = _held(draft, payload, Reason.APPROVAL)
    if payload.get("args_hash") != hold.args_hash:
        raise Misfit("other arguments were approved than are asked about")
    edited = payload.get("args")
    args = dict(edited) if isinstance(edited, dict) else None
    waits.approved(draft, cell, hold, args=args, by=_actor(payload), note=str(payload.get("note", ""))[:1000])


def _confirm(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    """Yes to the plan of this hash: what runs is that plan, byte for byte."""
    _to_confirm(draft)
    if payload.get("plan_hash") != draft.header.plan:
        raise Misfit("another plan was confirmed than is waiting: its hash differs")
    draft.note(unconfirmed=False)
    replanning.signed(draft)
    draft.say("plan.confirmed", by=_actor(payload), plan_hash=draft.header.plan)


def _to_confirm(draft: Draft) -> None:
    if not draft.notes.unconfirmed or draft.notes.rejected:
        raise Misfit("its plan does not wait to be confirmed")
    if not draft.header.plan:
        raise Misfit("it has no plan yet: cancel it, or wait for the plan")


def _reject(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    if not payload.get("step"):
        _to_confirm(draft)
        if not replanning.rejected(draft):
            draft.note(rejected=True)
        draft.say("plan.rejected", by=_actor(payload), message=str(payload.get("note", ""))[:1000])
        return
    cell, _hold = _held(draft, payload, Reason.APPROVAL)
    waits.rejected(draft, cell, by=_actor(payload), note=str(payload.get("note", ""))[:1000])


def _settle(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    """A person says whether an effect happened; never 'try again' while a request may still land."""
    cell = _cell(draft, payload)
    if draft.cell(cell) is not Cell.UNKNOWN:
        raise Misfit(f"{draft.name(cell)} is not unknown")
    if payload.get("happened"):
        draft.say("step.settled", cell, by=_actor(payload), happened=True)
        _supply(draft, cell, payload.get("output"))
        return
    intent, fault = draft.x.intents.get(cell), draft.fault(cell)
    if intent is not None and intent.settle_at_ms > draft.now_ms:  # what is called again now could happen a second time
        raise Misfit(f"a request for {draft.name(cell)} may still land until {written(intent.settle_at_ms)}: say so after that")
    draft.say("step.settled", cell, by=_actor(payload), happened=False)
    last = fault is None or fault.attempt >= draft.policy(cell).attempts
    if fault is None or last or draft.header.cause or not draft.step(cell).tool:
        draft.refuse(cell, "did_not_happen", f"{_actor(payload)} says that it did not happen")
    else:
        again = msgspec.structs.replace(fault, retry_at_ms=draft.now_ms, doubt=False)
        draft.put(cell, Cell.BACKOFF, again)


def _retry(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    """At once, without waiting for the back-off; attempts are counted anew."""
    cell = _cell(draft, payload)
    for one in (draft.layout.undo_of(cell), cell):
        if draft.cell(one) is Cell.BACKOFF and (fault := draft.fault(one)) is not None:
            draft.put(one, Cell.BACKOFF, msgspec.structs.replace(fault, retry_at_ms=draft.now_ms, attempt=0, since_ms=0))
            draft.say("step.retried_by", cell, by=_actor(payload))
            return
    raise Misfit(f"{draft.name(cell)} waits for no next attempt")


def _skip(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    """Go on as if the step had given this output. A call that may be on its way must end first."""
    _forward(draft)
    cell = _cell(draft, payload)
    hold = draft.hold(cell)
    doubt = (fault := draft.fault(cell)) is not None and fault.doubt
    under_way = hold is not None and hold.kind in {Reason.CHILD, Reason.MAP, Reason.CALLBACK} and not draft.step(cell).wait
    free = draft.cell(cell) in {Cell.IDLE, Cell.OPENING, Cell.READY, Cell.GRANTED, Cell.BACKOFF, Cell.WAITING}
    if not free or doubt or (draft.cell(cell) is Cell.WAITING and under_way):
        raise Misfit(f"{draft.name(cell)} is {draft.cell(cell).name}: it cannot be skipped")
    if draft.cell(cell) is Cell.WAITING and hold is not None:
        waits.unsubscribe(draft, cell, hold)
    if hold is not None:
        limits.leave_line(draft, cell, hold)
    draft.say("step.skipped_by", cell, by=_actor(payload))
    draft.note(supplied=(*draft.notes.supplied, cell))
    _supply(draft, cell, payload.get("output"))


def _supply(draft: Draft, cell: int, output: Any) -> None:
    now = draft.now_ms
    draft.done(cell, Result(output=output, attempt=draft.attempt(cell), started_ms=now, ended_ms=now))


def _edit(draft: Draft, payload: dict[str, Any], _: Signal) -> None:
    """Other arguments for a step that was not called, or whose last call is known not to have happened: under a new key."""
    _forward(draft)
    cell, args = _cell(draft, payload), payload.get("args")
    fault, hold = draft.fault(cell), draft.hold(cell)
    if not draft.step(cell).tool or draft.step(cell).map or not isinstance(args, dict):
        raise Misfit(f"{draft.name(cell)} has no arguments of its own to be edited")
    if draft.cell(cell) is Cell.WAITING and hold is not None and hold.kind is Reason.APPROVAL:
        raise Misfit("it waits for approval: edit the arguments with the approval")
    if draft.cell(cell) not in {Cell.READY, Cell.GRANTED, Cell.BACKOFF} or (fault and fault.doubt):
        raise Misfit(f"{draft.name(cell)} is {draft.cell(cell).name}: its arguments cannot be edited")
    name = draft.name(cell)
    if fault:
        draft.note(generations=draft.notes.generations | {name: draft.notes.generations.get(name, 1) + 1})
    new = Hold(kind=Reason.NONE, since_ms=draft.now_ms, args=dict(args), args_hash=hash_of_args(dict(args)), by=_actor(payload))
    draft.put(cell, Cell.GRANTED, hold=new)
    draft.say("step.edited", cell, by=_actor(payload), args_hash=new.args_hash)


TAKEN: Final[dict[str, Take]] = {
    "cancel": _cancel,
    "compensate": _cancel,
    "pause": _pause,
    "resume": _resume,
    "resend": _resend,
    "event": _event,
    "callback": _callback,
    "child": _child,
    "slot": _slot,
    "confirm": _confirm,
    "approve": _approve,
    "reject": _reject,
    "settle": _settle,
    "retry": _retry,
    "skip": _skip,
    "edit": _edit,
}
