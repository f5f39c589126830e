"""Steps that are looked at before they start, and what they wait for: time, events, callbacks, people, children."""

from typing import Any

import msgspec

from shared.machine import children, limits, maps, outcomes, refs, values
from shared.machine.decision import Load
from shared.machine.draft import Draft
from shared.machine.events import Done, Refused, Unanswered
from shared.machine.moments import unix_ms
from shared.machine.plan import EVENT_KEY_MOST, Approval, Sleep, WaitFor
from shared.machine.starting import arguments, hash_of_args
from shared.machine.state import Early, Hold, Result
from shared.machine.status import Cell, Reason

LONGEST_MS = 366 * 86_400_000
"""A year at most, as for every time in a plan."""
VALUE_MOST = 500
"""Characters of one value in what a person is asked."""
CALLBACK = "(callback)"
"""The name under which an early callback is kept; no event is called so. Its key is the step."""


def open_all(draft: Draft) -> Load | None:
    """Look at every step whose needs are met; what is skipped may open others. Load: outputs or letters that this takes."""
    while cells := draft.opening():
        if missing := values.missing(draft, cells):
            return Load(results=missing)
        for cell in cells:
            if load := _open(draft, cell):
                return load
    return None


def _open(draft: Draft, cell: int) -> Load | None:
    step = draft.step(cell)
    if step.join and draft.needs_done(cell) < step.join:
        draft.refuse(cell, "join_unmet", f"{draft.needs_done(cell)} of its needs are done, but it joins {step.join}")
    elif name := values.unmet(draft, cell):
        _skip(draft, cell, f"it refers to {name}, which has no output")
    elif not values.condition_holds(draft, cell):
        _skip(draft, cell, "its condition does not hold")
    else:
        return _enter(draft, cell)
    return None


def _skip(draft: Draft, cell: int, why: str) -> None:
    draft.say("step.skipped", cell, message=why)
    draft.settle(cell, Cell.SKIPPED)


def _enter(draft: Draft, cell: int) -> Load | None:
    """Begin what the step is about; a call is READY then."""
    step = draft.step(cell)
    try:
        if step.approve:
            _ask(draft, cell, step.approve)
        elif step.sleep:
            _sleep(draft, cell, step.sleep)
        elif step.wait:
            return _wait(draft, cell, step.wait)
        elif step.child:
            children.begin(draft, cell, arguments(draft, cell))
        elif step.map:
            maps.spread(draft, cell)
        else:
            draft.put(cell, Cell.READY)
    except refs.BadReference as error:
        draft.refuse(cell, "bad_reference", str(error))
    return None


# --- time


def _sleep(draft: Draft, cell: int, sleep: Sleep) -> None:
    until = draft.now_ms + sleep.ms if sleep.ms else unix_ms(values.made(draft, cell, sleep.until, "$.sleep.until"))
    if until is None or until - draft.now_ms > LONGEST_MS:
        draft.refuse(
            cell, "bad_time", "sleep.until is no time within a year: unix ms, or with its offset, as 2026-05-01T19:00:00+02:00"
        )
        return
    hold = Hold(kind=Reason.SLEEP, since_ms=draft.now_ms, until_ms=until)
    if until <= draft.now_ms:
        _end(draft, cell, hold, {"slept_ms": 0})
        return
    draft.put(cell, Cell.WAITING, hold=hold)
    draft.say("step.sleeping", cell, until_ms=until)


# --- events and callbacks


def _wait(draft: Draft, cell: int, wait: WaitFor) -> Load | None:
    """Take what came early; wait for the rest."""
    events = tuple((one.name, _key(draft, cell, one.key, number)) for number, one in enumerate(wait.events))
    if wait.callback:
        events = ((CALLBACK, draft.name(cell)),)
    if wrong := next((key for _, key in events if len(key) > EVENT_KEY_MOST or not (key.isprintable() or wait.callback)), None):
        draft.refuse(cell, "bad_event_key", f"no event has a key such as {wrong[:40]!r}: up to {EVENT_KEY_MOST} characters")
        return None
    early = {(one.name, one.key): one for one in reversed(draft.notes.early)}
    taken = [early[event] for event in events if event in early]
    taken = taken[:1] if wait.mode == "any" else taken
    if missing := tuple(one.position for one in taken if one.position not in draft.x.letters):
        return Load(letters=missing)
    if taken:
        draft.note(early=tuple(one for one in draft.notes.early if one not in taken))
    came = {(one.name, one.key): _said(draft.x.letters[one.position]) for one in taken}
    _begin(draft, cell, wait, events, came)
    return None


def _begin(
    draft: Draft, cell: int, wait: WaitFor, events: tuple[tuple[str, str], ...], came: dict[tuple[str, str], Any]
) -> None:
    """Wait, unless what `came` early is enough: then nobody is asked for anything."""
    until = draft.now_ms + wait.timeout_ms if wait.timeout_ms else 0
    hold = Hold(kind=Reason.CALLBACK if wait.callback else Reason.EVENT, since_ms=draft.now_ms, until_ms=until)
    draft.say("step.waiting", cell, events=[name if not key else f"{name}/{key}" for name, key in events], until_ms=until)
    for (name, key), data in came.items():
        hold = _took(draft, cell, hold, Early(0, name, key), data)
    left = tuple(event for event in events if event not in came)
    if came and (wait.mode == "any" or not left):
        _end(draft, cell, hold, _given(wait, Early(0, *next(iter(came))), hold))
    else:
        hold = msgspec.structs.replace(hold, events=left)
        draft.put(cell, Cell.WAITING, hold=hold)
        _by_key(draft, cell, hold, "subscribe")


def _said(letter: Any) -> Any:
    return letter.get("data") if isinstance(letter, dict) else None


def _took(draft: Draft, cell: int, hold: Hold, came: Early, data: Any) -> Hold:
    draft.say("step.event", cell, name=came.name, key=came.key)
    left = tuple(event for event in hold.events if event != (came.name, came.key))
    return msgspec.structs.replace(hold, got=hold.got | {came.name: data}, events=left)


def _given(wait: WaitFor, last: Early, hold: Hold) -> Any:
    """What a wait gives when it is over."""
    if wait.callback:
        return hold.got[last.name]
    if wait.mode == "any":
        return {"name": last.name, "key": last.key, "data": hold.got[last.name]}
    return {"events": hold.got}


def _key(draft: Draft, cell: int, key: str, number: int) -> str:
    return values.key(draft, cell, key, f"$.wait.events[{number}].key") if key else ""


def unsubscribe(draft: Draft, cell: int, hold: Hold) -> None:
    """Nobody waits any more: the keys' lists of waiters need not keep it."""
    _by_key(draft, cell, hold, "unsubscribe")


def _by_key(draft: Draft, cell: int, hold: Hold, kind: str) -> None:
    """Begin or end to wait for what is published by key. `since_ms` tells this wait of the step from one before it."""
    for name, key in hold.events:
        if key and name != CALLBACK:
            wait = {"wait": draft.name(cell), "since_ms": hold.since_ms, "until_ms": hold.until_ms}
            payload = {"tenant": draft.header.tenant, "name": name, "key": key, **wait}
            draft.command(f"{kind}:{draft.name(cell)}:{hold.since_ms}:{name}:{key}", kind, key, payload)


def event(draft: Draft, position: int, name: str, key: str, data: Any) -> None:
    """An event goes to the first step that waits for it; without one it is kept for a step to come."""
    found = Early(position, name, key)
    for cell in sorted(draft.waiting()):
        hold = draft.hold(cell)
        if hold is not None and (name, key) in hold.events:
            arrive(draft, cell, found, data)
            return
    draft.x.letters[position] = {"data": data}
    draft.note(early=(*draft.notes.early, found))


def arrive(draft: Draft, cell: int, came: Early, data: Any) -> None:
    """Something that a step waits for has come; it may have been all."""
    hold, wait = draft.hold(cell), draft.step(cell).wait
    if hold is None or wait is None:
        return
    after = _took(draft, cell, hold, came, data)
    if wait.callback or wait.mode == "any":
        _end(draft, cell, hold, _given(wait, came, after))
        return
    unsubscribe(draft, cell, msgspec.structs.replace(hold, events=((came.name, came.key),)))
    if after.events:
        draft.put(cell, Cell.WAITING, hold=after)
    else:
        _end(draft, cell, after, _given(wait, came, after))


def called_back(draft: Draft, cell: int, payload: dict[str, Any]) -> None:
    """A tool that had taken the call over says how it ended."""
    if payload.get("attempt") not in {None, 0, draft.x.intents[cell].attempt}:
        draft.say("signal.moot", cell, kind="callback", message=f"it is about attempt {payload['attempt']}")
        return
    outcomes.called_back(draft, cell, _ended_as(payload))


def _ended_as(payload: dict[str, Any]) -> Done | Refused | Unanswered:
    if "unanswered" in payload:
        return Unanswered(message=str(payload["unanswered"])[:1000])
    if error := payload.get("error"):
        return Refused(code="called_back", message=str(error)[:1000])
    return Done(output=payload.get("data"))


def _took_over(draft: Draft, cell: int) -> bool:
    """A tool has the call, and has not said how it ended."""
    hold = draft.hold(cell)
    waits = draft.cell(cell) is Cell.WAITING and hold is not None and hold.kind is Reason.CALLBACK
    return waits and draft.step(cell).wait is None


def take_overtaken(draft: Draft) -> Load | None:
    """Callbacks that were quicker than the answer of the tool that made them."""
    for one in draft.notes.early:
        cell = draft.x.cell_of(one.key) if one.name == CALLBACK else None
        if cell is None or not _took_over(draft, cell):
            continue
        if one.position not in draft.x.letters:
            return Load(letters=(one.position,))
        draft.note(early=tuple(other for other in draft.notes.early if other is not one))
        called_back(draft, cell, draft.x.letters[one.position])
    return None


def _end(draft: Draft, cell: int, hold: Hold, output: Any) -> None:
    unsubscribe(draft, cell, hold)
    draft.say("step.done", cell, 1)
    draft.done(cell, Result(output=output, attempt=1, started_ms=hold.since_ms, ended_ms=draft.now_ms))


# --- people


def _ask(draft: Draft, cell: int, approve: Approval) -> None:
    args, message = arguments(draft, cell), _message(draft, cell, approve)
    hold = Hold(
        kind=Reason.APPROVAL,
        since_ms=draft.now_ms,
        until_ms=draft.now_ms + approve.timeout_ms if approve.timeout_ms else 0,
        remind_ms=draft.now_ms + approve.remind_ms if approve.remind_ms else 0,
        args=args,
        args_hash=hash_of_args(args),
        message=message if draft.step(cell).message_refs else "",
    )
    draft.put(cell, Cell.WAITING, hold=hold)
    draft.say("step.approval_asked", cell, message=message, args_hash=hold.args_hash)


def _message(draft: Draft, cell: int, approve: Approval) -> str:
    """As the person is shown it; BadReference. What an output puts into it is cut: the words behind it must be seen, too."""
    if not draft.step(cell).message_refs:
        return approve.message
    plain = values.outputs(draft, cell)
    text: str = refs.replace(approve.message, lambda ref: _cut(refs.look_up(ref, plain)), "$.approve.message")
    return text


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_MOST else f"{text[: VALUE_MOST - 1]}…"


def approved(draft: Draft, cell: int, hold: Hold, *, args: dict[str, Any] | None, by: str, note: str) -> None:
    """Somebody said yes to these arguments: the step runs with exactly them."""
    final = hold.args if args is None else args
    edited = args is not None and args != hold.args
    granted = msgspec.structs.replace(hold, args=final, args_hash=hash_of_args(final or {}), by=by, until_ms=0, remind_ms=0)
    draft.say("step.approved", cell, by=by, message=note, edited=edited, args_hash=granted.args_hash)
    if draft.step(cell).tool:
        draft.put(cell, Cell.GRANTED, hold=granted)
        return
    output = {"approved": True, "by": by, "note": note, "args": final}
    draft.done(cell, Result(output=output, attempt=1, started_ms=hold.since_ms, ended_ms=draft.now_ms))


def rejected(draft: Draft, cell: int, *, by: str, note: str) -> None:
    """Somebody said no."""
    draft.say("step.rejected", cell, by=by, message=note)
    draft.refuse(cell, "rejected", f"{by or 'somebody'} rejected it{': ' if note else ''}{note}")


# --- the end of a wait


def look_at_clock(draft: Draft) -> None:
    """End the waits whose time is up, and remind whoever is to be reminded."""
    for cell in draft.due():
        hold = draft.hold(cell)
        if hold is None or draft.layout.is_undo(cell):
            continue
        if hold.until_ms and hold.until_ms <= draft.now_ms:
            _time_is_up(draft, cell, hold)
        elif hold.remind_ms and hold.remind_ms <= draft.now_ms:
            _remind(draft, cell, hold)


def _time_is_up(draft: Draft, cell: int, hold: Hold) -> None:
    step = draft.step(cell)
    if hold.kind is Reason.SLEEP:
        _end(draft, cell, hold, {"slept_ms": draft.now_ms - hold.since_ms})
    elif hold.kind is Reason.APPROVAL:
        draft.refuse(cell, "approval_timeout", "nobody answered in time")
    elif step.wait and step.wait.on_timeout == "continue":
        _end(draft, cell, hold, {"timed_out": True, "events": hold.got})
    elif step.wait:
        unsubscribe(draft, cell, hold)
        draft.refuse(cell, "wait_timeout", "nothing came in time")
    else:
        outcomes.never_called_back(draft, cell)


def _remind(draft: Draft, cell: int, hold: Hold) -> None:
    approve = draft.step(cell).approve
    every = approve.remind_ms if approve and approve.remind_ms else 0
    draft.say("step.reminded", cell, waited_ms=draft.now_ms - hold.since_ms)
    draft.put(cell, Cell.WAITING, hold=msgspec.structs.replace(hold, remind_ms=draft.now_ms + every if every else 0))


def abandon(draft: Draft) -> bool:
    """The plan stops: what only waited waits no longer. Whether a child, or a tool that will call, is still under way."""
    left = False
    for cell in draft.waiting():
        hold = draft.hold(cell)
        if hold is None or draft.layout.is_undo(cell):
            continue
        step = draft.step(cell)
        if hold.kind is Reason.CHILD:
            children.stop(draft, cell, hold)
            left = True
        elif hold.kind is Reason.CALLBACK and step.tool:
            left = True
        else:
            unsubscribe(draft, cell, hold)
            limits.leave_line(draft, cell, hold)
            fault = draft.fault(cell)
            # An earlier attempt may have had an effect: then the cell is still one that undoing looks at.
            draft.put(cell, Cell.BACKOFF if fault is not None and fault.doubt else Cell.SKIPPED)
    return left
