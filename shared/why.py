"""What an execution waits for, in words and as data; and whether anything will ever move it. Pure.

It rests on one invariant: every execution that is not over has a live lease, or a future due time (the watchdog's look). A
person, an event or a partner may be what it needs; the due time is what makes sure that nobody forgets it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from shared.machine.state import Execution, Fault, Hold, question
from shared.machine.status import TERMINAL, Cause, Cell, Reason, Status
from shared.ports import MESSAGE, Entry, Refusal
from shared.redisdb.snapshots import Snapshot

NO_CALLS: Final = "direct calls are off (RESUME_DIRECT)"
OVERDUE_MS: Final = 60_000
"""A watchdog that works is never so late: it looks every second or so, and puts off whatever it has sent."""
MOST: Final = 100
"""Things that are named of one execution; beyond that it says that there are more."""
MOST_FAILED: Final = 3
"""Failures that are named of one that is over."""


_MOVING: Final = frozenset({Status.RECEIVED, Status.PLANNING, Status.PLANNED, Status.EXECUTING, Status.COMPENSATING})


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that must come first."""

    kind: str
    """As the reasons of a suspension, and `effect`, `call`, `pause`, `start`, `dead letter`."""
    owner: str
    """Who moves it: time | person | event | partner | child | limit | queue | invocation."""
    text: str
    step: str = ""
    until_ms: int = 0
    detail: dict[str, Any] = {}


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. Times are unix ms; 0 = none."""

    text: str
    status: str
    waits: tuple[Wait, ...]
    more: bool
    """Whether it waits for more than is named."""
    due_ms: int
    lease_until_ms: int
    message: str
    unseen: int
    broken: str
    """What is wrong with it; empty while the invariant holds."""


def why(found: Snapshot, closed: Mapping[str, str] | None = None, *, direct: bool = True) -> Why:
    """`closed`: tools that may not be called now, and what to say of each. `direct`: the watchdog calls the executor."""
    x = found.execution
    named = [] if found.terminal else [*_whole(found, direct=direct), *_cells(found, closed or {})]
    fault = broken_of(found, named)
    return Why(
        text=_text(found, named, fault),
        status=x.header.status,
        waits=tuple(named[:MOST]),
        more=len(named) > MOST,
        due_ms=found.due_ms or 0,
        lease_until_ms=found.lease_until_ms if found.held else 0,
        message=found.message,
        unseen=len(found.unseen),
        broken=fault,
    )


def broken(*, status: str, lease_until_ms: int, due_ms: int | None, now_ms: int) -> str:
    """What is wrong; empty while the invariant holds. `due_ms` None: the watchdog does not know it."""
    if status in TERMINAL or lease_until_ms > now_ms:
        return ""
    if due_ms is None:
        return "it has neither a due time nor a live lease: nothing will ever look at it"
    if due_ms < now_ms - OVERDUE_MS:
        return f"it was due {_span(now_ms - due_ms)} ago, and no watchdog has looked: does the resume service run?"
    return ""


def broken_of(found: Snapshot, named: list[Wait]) -> str:
    """The same of a whole execution, which must also say what ends its rest."""
    status = found.execution.header.status
    wrong = broken(status=status, lease_until_ms=found.lease_until_ms, due_ms=found.due_ms, now_ms=found.now_ms)
    resting = status is Status.SUSPENDED and not found.timed and not found.unseen and not found.held
    if not wrong and resting and not named:
        return "it is suspended, and nothing in its record says what would end that"
    return wrong


def _text(found: Snapshot, named: list[Wait], fault: str) -> str:
    header = found.execution.header
    if found.terminal:
        return f"it is over: {header.status}{_because(found.execution)}; it waits for nothing"
    said = "; ".join(one.text for one in named[:3]) or f"it is {header.status}"
    rest = f"; and {len(named) - 3} more" if len(named) > 3 else ""
    return f"{said}{rest}." + (f" Broken: {fault}." if fault else "")


def _because(x: Execution) -> str:
    """What stopped it, and which undos failed; "" for a good end."""
    steps = enumerate(x.blueprint.plan.steps)
    named = _failed(x, [cell for cell, step in steps if not (step.may_fail or step.replaced)])
    culprits = named if x.header.cause is Cause.FAILED else ""
    stopped = f", because {culprits or f'it was stopped ({x.header.cause})'}" if x.header.cause else ""
    return stopped + (f"; {_undos(x)}" if x.header.status is Status.COMPENSATION_FAILED else "")


def _undos(x: Execution) -> str:
    forward = [cell for start, end in x.layout.forward() for cell in range(start, end)]
    return _failed(x, [x.layout.undo_of(cell) for cell in forward]) or "not everything could be undone"


def _failed(x: Execution, cells: Iterable[int]) -> str:
    """Those of them that have failed, the first one first."""
    found = [(x.faults[cell].at_ms if cell in x.faults else 0, cell) for cell in cells if x.cell(cell) is Cell.FAILED]
    said = [_failure(x, cell) for _, cell in sorted(found)[:MOST_FAILED]]
    return ", ".join([*said, f"and {len(found) - MOST_FAILED} more"] if len(found) > MOST_FAILED else said)


def _failure(x: Execution, cell: int) -> str:
    undo, fault = x.layout.is_undo(cell), x.faults.get(cell)
    name = f"the undo of {x.name_of(x.layout.forward_of(cell))}" if undo else x.name_of(cell)
    return f"{name} failed" + (f" ({fault.code}: {fault.message[:200]})" if fault else "")


# --- what concerns the execution as a whole


def _whole(found: Snapshot, *, direct: bool) -> Iterator[Wait]:
    x = found.execution
    if found.held:
        left = found.lease_until_ms - found.now_ms
        yield Wait(
            kind="invocation",
            owner="invocation",
            text=f"an invocation has it for {_span(left)} at most",
            until_ms=found.lease_until_ms,
        )
    if x.notes.paused:
        yield Wait(kind="pause", owner="person", text=f"{x.notes.paused} has paused it, and somebody must resume it")
    if x.header.status is Status.AWAITING_CONFIRMATION:
        yield _confirmation(x)
    if not x.header.plan and x.header.reason is Reason.BACKOFF:
        text = f"its words have no plan yet: the model gave no answer {x.notes.asking.calls} time(s), and is asked again"
        yield Wait(kind="planning", owner="time", text=text, until_ms=found.wake_ms)
    if x.header.plan and x.header.cause is Cause.FAILED and x.notes.asking.calls and x.header.reason is Reason.BACKOFF:
        text = f"a step was refused, and the model gave no other plan {x.notes.asking.calls} time(s): it is asked again"
        yield Wait(kind="planning", owner="time", text=text, until_ms=found.wake_ms)
    if x.header.reason is Reason.UNDELIVERABLE:
        text = "segments came to nothing again and again: look at its dead letters, and resend it"
        yield Wait(kind=Reason.UNDELIVERABLE, owner="person", text=text)
    if x.header.reason is Reason.QUOTA:
        text = "no message can be paid for, with neither Ably nor direct calls: it goes on when the tenant's quota has more"
        yield Wait(kind=Reason.QUOTA, owner="limit", text=text, until_ms=found.wake_ms)
    yield from _letters(found)
    yield from _outbox(found, direct=direct)
    if x.header.status in _MOVING and not found.held and not any(one.kind == MESSAGE for one in found.outbox):
        text = f"its next message is with QStash{f' ({found.message})' if found.message else ''}"
        yield Wait(kind="start", owner="queue", text=text)
    if found.unseen and not found.held:
        kinds = sorted({signal.kind for signal in found.unseen})
        yield Wait(kind="inbox", owner="queue", text=f"what arrived is taken up next ({', '.join(kinds)})")


def _confirmation(x: Execution) -> Wait:
    detail: dict[str, Any] = {"planHash": x.header.plan}
    replan = x.notes.replan
    if replan is None or not replan.made:
        text = "its plan must be confirmed by its hash, or rejected"
    else:
        text = f"version {replan.made + 1} of its plan must be confirmed by its hash; a no undoes what is done"
        detail |= {"version": replan.made + 1, "differences": [msgspec.to_builtins(one) for one in replan.asks]}
    return Wait(kind="confirmation", owner="person", text=text, detail=detail)


def _letters(found: Snapshot) -> Iterator[Wait]:
    for one in found.letters[:3]:
        said = f": {one.excerpt[:200]}" if one.excerpt else ""
        yield Wait(
            kind="dead letter",
            owner="person",
            text=f"QStash gave up {one.times} message(s) of segment {one.segment} (status {one.status}){said}",
            detail={"id": one.id, "status": one.status, "response": one.excerpt},
        )


def _outbox(found: Snapshot, *, direct: bool) -> Iterator[Wait]:
    for one in found.outbox:
        if one.kind != MESSAGE:
            text = f"{one.kind} for {one.to or 'another partition'} is not carried out yet"
            yield Wait(kind="outbox", owner="queue", text=text, detail={"id": one.id, "kind": one.kind})
    due = [one for one in found.outbox if one.kind == MESSAGE and one.not_before_ms <= found.now_ms]
    if due:  # the same message again and again, if nobody takes it: they are named once
        yield _message(due[-1], found.refused, direct=direct, many=len(due))


def _message(one: Entry, refused: Refusal | None, *, direct: bool, many: int) -> Wait:
    detail = {"id": one.id, "kind": one.kind, "reason": one.reason, "messages": many, "directCalls": direct}
    rest = "the watchdog calls directly" if direct else NO_CALLS
    if refused is None:
        text = f"QStash has not taken its message yet ({one.reason}); the relay tries again, and {rest}"
    else:
        channel = refused.channel or "it has been told, and nobody has looked yet"
        text = f"its message is waiting: QStash: {refused.queue}; Ably: {channel}; {rest}"
        detail |= {"qstash": refused.queue, "ably": refused.channel or None, "refusedAt": moment(refused.at_ms)}
    return Wait(kind="outbox", owner="queue", text=text, detail=detail)


# --- what its steps wait for


def _cells(found: Snapshot, closed: Mapping[str, str]) -> Iterator[Wait]:
    x = found.execution
    for number, where in enumerate(x.cells):
        cell = Cell(chr(where))
        if cell in {Cell.WAITING, Cell.BACKOFF, Cell.SETTLING, Cell.UNKNOWN, Cell.INTENDED, Cell.READY, Cell.GRANTED}:
            yield from _cell(found, number, cell, closed)


def _cell(found: Snapshot, number: int, cell: Cell, closed: Mapping[str, str]) -> Iterator[Wait]:
    x = found.execution
    undo = x.layout.is_undo(number)
    name = x.name_of(x.layout.forward_of(number)) if undo else x.name_of(number)
    what = f"the undo of {name}" if undo else name
    fault, hold = x.faults.get(number), x.holds.get(number)
    match cell:
        case Cell.WAITING:
            yield from _held(found, number, what, name, hold)
        case Cell.BACKOFF:
            yield _tried_again(found, what, name, fault)
        case Cell.SETTLING:
            until = fault.retry_at_ms if fault else 0
            text = f"a request of {what} may still land until {moment(until)}; then it is asked about"
            yield Wait(kind=Reason.SETTLING, owner="time", step=name, until_ms=until, text=text)
        case Cell.UNKNOWN if x.header.status is not Status.COMPENSATING:
            text = f"nobody knows whether {what} happened: a person must settle it"
            detail = {"error": fault.message} if fault else {}
            yield Wait(kind=Reason.UNKNOWN_EFFECT, owner="person", step=name, text=text, detail=detail)
        case Cell.INTENDED:
            yield Wait(kind="call", owner="invocation", step=name, text=f"{what} is being called")
        case Cell.READY | Cell.GRANTED:
            tool = x.blueprint.plan.steps[x.layout.step(number)].tool
            if not undo and tool in closed:
                yield Wait(
                    kind=Reason.CIRCUIT, owner="limit", step=name, text=f"{what} must not call {tool}: {closed[tool]}",
                    detail={"tool": tool},
                )  # fmt: skip


def _tried_again(found: Snapshot, what: str, name: str, fault: Fault | None) -> Wait:
    if fault is None:
        return Wait(kind=Reason.BACKOFF, owner="time", step=name, text=f"{what} is tried again")
    at = "now" if fault.retry_at_ms <= found.now_ms else f"at {moment(fault.retry_at_ms)}"
    text = f"{what} failed ({fault.code}: {fault.message[:200]}) and is tried again {at}, for the {fault.attempt + 1}. time"
    detail = {"code": fault.code, "message": fault.message, "attempt": fault.attempt}
    return Wait(kind=Reason.BACKOFF, owner="time", step=name, until_ms=fault.retry_at_ms, text=text, detail=detail)


def _held(found: Snapshot, number: int, what: str, name: str, hold: Hold | None) -> Iterator[Wait]:
    if hold is None or hold.kind is Reason.MAP:  # a map waits for its items, and those speak for themselves
        return
    until = f", until {moment(hold.until_ms)}" if hold.until_ms else ""
    step = found.execution.blueprint.plan.steps[found.execution.layout.step(number)]
    owner, text, detail = _about(what, hold)
    if asked := question(step, hold):
        text += f" ({asked})"
    if hold.kind is Reason.SLOT:
        keys = [limit.key or f"tool/{step.tool}" for limit in step.limits] or [f"tool/{step.tool}"]
        text, detail = f"{text} of {', '.join(keys)}", {"limits": keys}
    yield Wait(kind=hold.kind, owner=owner, step=name, until_ms=hold.until_ms, text=text + until, detail=detail)


def _about(what: str, hold: Hold) -> tuple[str, str, dict[str, Any]]:
    match hold.kind:
        case Reason.SLEEP:
            return "time", f"{what} lets time pass", {}
        case Reason.APPROVAL:
            return "person", f"{what} needs somebody's approval", {"args": hold.args, "argsHash": hold.args_hash}
        case Reason.EVENT:
            names = [f"{name}/{key}" if key else name for name, key in hold.events]
            return "event", f"{what} waits for the event {' or '.join(names)}", {"events": names, "got": sorted(hold.got)}
        case Reason.CALLBACK:
            return "partner", f"{what} waits to be called back", {}
        case Reason.CHILD:
            doing = "is stopping" if hold.stopping else "must end first"
            return "child", f"{what} is the execution {hold.child}, which {doing}", {"child": hold.child}
        case Reason.SLOT:
            return "limit", f"{what} stands in line for a slot", {}
        case _:
            return "time", f"{what} waits ({hold.kind})", {}


def moment(ms: int) -> str:
    """Unix ms as a time of day that sorts, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds") if ms else "never"


def _span(ms: int) -> str:
    return f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms // 60_000} min"
