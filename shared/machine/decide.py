"""decide(execution, event) -> Decision: the whole policy of the engine, without a clock, a socket or a random number."""

from itertools import islice
from typing import Any, assert_never

from shared.machine import asking, children, maps, outcomes, refs, replanning, undoing, values, waits
from shared.machine.decision import (
    Adopt,
    AskModel,
    Changes,
    Decision,
    End,
    Leave,
    Line,
    Load,
    Next,
    StartSteps,
    Suspend,
    Take,
    Wait,
    merge,
)
from shared.machine.draft import Draft, moved
from shared.machine.events import Attempted, Event, Room, Signalled, Ticked, Woke
from shared.machine.plan import Undo
from shared.machine.signals import absorb
from shared.machine.starting import choose, next_timer, startable, timer_within
from shared.machine.state import Adopted, Asked, Execution, Header
from shared.machine.status import Cause, Cell, Phase, Reason, Status

AUDIT_MS = 24 * 3_600_000
"""A wait without an end of its own is looked at again after a day: nothing non-terminal is without a due time."""
UNDOS_AT_ONCE = 100
"""Undos that fail before any call (of a map's items, thousands may) are looked at so many in one decision."""
IDLE_SEGMENT_MS = 1_000
"""How long a segment that could start nothing (it came too late) waits for the next one; doubled each time."""
QUOTA_MS = 60_000
"""How often somebody who waits for the quota asks again; whoever is granted more is woken at once."""
SIT_OUT_MS = 2_000
"""A back-off this short is waited out inside the invocation: cheaper than a message."""


def decide(execution: Execution, event: Event) -> Decision:
    """What to store now, and what to do next. `execution` is not changed."""
    draft = Draft(execution, event.now_ms)
    _take(draft, event)
    waits.look_at_clock(draft)
    draft.go_on()
    if isinstance(event, Woke) and _fruitless(draft, event.room):
        return _decision(draft, _suspend(draft, Reason.UNDELIVERABLE, draft.now_ms + AUDIT_MS, timed=False))
    return _decision(draft, _next(draft, event.room))


def _take(draft: Draft, event: Event) -> None:
    match event:
        case Woke():
            _woke(draft, event)
        case Attempted():
            for report in event.reports:
                outcomes.take(draft, report)
            draft.progress()
        case Signalled():
            absorb(draft, event.signals)
        case Ticked():
            pass
        case _:
            assert_never(event)
    if not draft.header.plan or replanning.wanted(draft):
        asking.hear(draft)
    if draft.header.status is Status.PAUSED and not draft.notes.paused:  # resumed, before this segment or in it
        draft.move(Status.AWAITING_CONFIRMATION if draft.notes.unconfirmed and draft.header.plan else _running(draft.header))
    if draft.header.status is Status.AWAITING_CONFIRMATION and not draft.notes.unconfirmed:
        draft.move(Status.EXECUTING)


def _decision(draft: Draft, following: Next) -> Decision:
    """What was decided on the way there is stored with it; while calls run, by a commit that starts nothing."""
    if not draft.changed() or isinstance(following, Load | Take):
        return Decision(kept=draft.kept, next=following)
    if isinstance(following, AskModel | Adopt):  # they were made of all that was decided
        return Decision(kept=draft.kept, next=following)
    if isinstance(following, Wait):
        return Decision(kept=draft.kept, next=StartSteps(starts=(), until_ms=following.until_ms, changes=draft.then))
    if not isinstance(following, StartSteps):
        changes = merge(draft.then, following.changes)
        following = following.__class__(**{**_fields(following), "changes": changes})
    return Decision(kept=draft.kept, next=following)


def _fields(following: Leave | Suspend | End) -> dict[str, Any]:
    return {name: getattr(following, name) for name in following.__struct_fields__}


def _fruitless(draft: Draft, room: Room) -> bool:
    """Nothing came of the last segments, and nobody acted since. Asked once, when a segment begins."""
    return bool(room.stalled_limit) and draft.header.stalled > room.stalled_limit and not draft.kept.progress


def _woke(draft: Draft, event: Woke) -> None:
    header = draft.header
    if header.status in {Status.RECEIVED, Status.PLANNED, Status.SUSPENDED}:
        draft.move(_running(header))
    for cell in list(draft.x.running):
        outcomes.adopt(draft, cell)
    absorb(draft, event.signals)


def _running(header: Header) -> Status:
    if not header.plan:
        return Status.PLANNING
    return Status.COMPENSATING if header.phase is Phase.UNDO else Status.EXECUTING


def _next(draft: Draft, room: Room) -> Next:
    header = draft.header
    if draft.notes.paused:
        return _pause(draft)
    if header.deadline_ms and draft.now_ms >= header.deadline_ms and header.phase is Phase.FORWARD:
        draft.blame(Cause.TIMED_OUT)
    if not header.plan:
        return _planning(draft, room)
    if draft.notes.unconfirmed and (rest := _unconfirmed(draft)) is not None:
        return rest
    if draft.header.phase is Phase.FORWARD and not draft.header.cause:
        found = _forward(draft, room)
        if found is not None:
            return found
    # Something stopped the forward lane, perhaps just now (a reference that leads nowhere).
    return _stopping(draft, room)


def _pause(draft: Draft) -> Next:
    """Nothing new starts; once what is INTENDED has ended, the execution rests until somebody resumes it."""
    if draft.running():
        return Wait()
    line = Line(event="execution.paused", detail={"by": draft.notes.paused})
    said = [] if draft.header.status is Status.PAUSED else [line]
    changes = Changes(header=moved(draft.header, Status.PAUSED), history=said, progress=True)
    return Suspend(reason=Reason.NONE, wake_at_ms=draft.now_ms + AUDIT_MS, timed=False, changes=changes)


def _planning(draft: Draft, room: Room) -> Next:
    """There are words and no plan: the model is asked, as often as it may be; then what the rules say counts."""
    if draft.header.cause:
        return _end(draft, Status.CANCELLED)
    found = asking.look(draft, room)
    match found:
        case asking.Later():
            return _suspend(draft, Reason.BACKOFF, found.at_ms, timed=True)
        case asking.NoRoom():
            return _leave(draft, room)
        case Asked():
            asking.give_up(draft, found)
            return _end(draft, Status.REJECTED)
        case Adopted():
            return asking.adopt(draft, found, look_ms=draft.now_ms + AUDIT_MS)
        case _:
            return found


def _unconfirmed(draft: Draft) -> Next | None:
    """It rests until somebody confirms or rejects its plan; None when it is stopped for another reason."""
    if draft.notes.rejected:
        return _end(draft, Status.REJECTED)
    if draft.header.cause:
        if replanning.called_off(draft):
            draft.move(Status.EXECUTING)
        return None
    look_ms = draft.now_ms + AUDIT_MS
    look_ms = min(look_ms, draft.header.deadline_ms) if draft.header.deadline_ms else look_ms
    return Suspend(reason=Reason.NONE, wake_at_ms=look_ms, timed=False, changes=Changes(header=draft.header, progress=True))


def _forward(draft: Draft, room: Room) -> Next | None:
    """The forward lane's next move; None when something was found that stops it."""
    while True:
        moves = draft.moves
        found = _advance(draft, room)
        if found is not None or draft.header.cause:
            return None if draft.header.cause else found
        if draft.moves == moves:
            return _no_start(draft, room)
        # Something came to rest without a call (its arguments could not be made, and it may fail): others may go on.


def _advance(draft: Draft, room: Room) -> Next | None:
    while True:
        if load := waits.take_overtaken(draft) or waits.open_all(draft) or maps.advance(draft):
            return load
        if not draft.opening():  # a map that ended may have opened others
            break
    if draft.header.cause:
        return None
    if draft.settled_steps() == draft.blueprint.size and not draft.running():
        return _complete(draft)
    return choose(draft, room)


def _complete(draft: Draft) -> Next:
    """The plan's output is made now, while everything it refers to is at hand."""
    template = draft.blueprint.plan.output
    if template is None:
        return _end(draft, Status.COMPLETED)
    names = {ref.step for ref in refs.find(template)} - values.RESERVED
    cells = [draft.blueprint.index[name] for name in names]
    if missing := tuple(sorted(c for c in cells if draft.cell(c) is Cell.DONE and not draft.has_output(c))):
        return Load(results=missing)
    draft.give(_output(draft, template))
    return _end(draft, Status.COMPLETED)


def _output(draft: Draft, template: Any) -> Any:
    """Total: what leads nowhere is told instead of stopping an execution whose steps are all done."""

    def find(name: str) -> Any:
        if name == "input":
            return draft.notes.input
        cell = draft.blueprint.index[name]
        return draft.output(cell) if draft.cell(cell) is Cell.DONE else refs.ABSENT

    try:
        return refs.resolve(template, find, "$.output")
    except refs.BadReference as error:
        return {"error": {"code": "bad_reference", "message": str(error)}}


def _stopping(draft: Draft, room: Room) -> Next:
    if draft.running():
        return Wait()  # drain: what is INTENDED may finish, nothing new starts
    if replanning.wanted(draft) and (found := _replanning(draft, room)) is not None:
        return found
    if draft.header.phase is Phase.FORWARD:
        if load := waits.take_overtaken(draft):
            return load
        if waits.abandon(draft):
            return _await_last(draft, room)
        if draft.notes.no_undo:
            undoing.leave_standing(draft)
        else:
            undoing.open_lane(draft)
    if draft.header.phase is Phase.FORWARD:
        return _end(draft, _empty_end(draft))
    if undoing.order_missing(draft):
        return undoing.load_order(draft)
    return _undo_next(draft, room)


def _replanning(draft: Draft, room: Room) -> Next | None:
    """Another plan is looked for, in a segment of its own; None when there is none, and what is done is to be undone."""
    if why := replanning.hindrance(draft):
        replanning.give_up(draft, why)
        return None
    if room.started and not draft.notes.asking.calls:
        return _leave(draft, room, "another plan")
    found = asking.look(draft, room)
    match found:
        case asking.Later():
            return _suspend(draft, Reason.BACKOFF, found.at_ms, timed=True)
        case asking.NoRoom():
            return _leave(draft, room, "another plan")
        case Asked():
            replanning.give_up(draft, replanning.why_none(draft, found))
            return None
        case Adopted():
            adopt = replanning.adopt(draft, found, look_ms=draft.now_ms + AUDIT_MS)
            if adopt is None:
                replanning.give_up(draft, "somebody has acted upon it since it was asked for")
            return adopt
        case _:
            return found


def _await_last(draft: Draft, room: Room) -> Next:
    """A child is stopping, or a tool that took a call over has not called back: that comes before the undo."""
    timer = next_timer(draft, room)
    if timer is not None:
        return _sit_or_suspend(draft, room, *timer)
    return _suspend(draft, Reason.CHILD, draft.now_ms + AUDIT_MS, timed=False)


def _undo_next(draft: Draft, room: Room) -> Next:
    for _ in range(UNDOS_AT_ONCE):
        cell = undoing.next_cell(draft)
        found = _end(draft, undoing.verdict(draft)) if cell is None else _undo_one(draft, room, cell)
        if found is not None:
            return found
    return _leave(draft, room)


def _undo_one(draft: Draft, room: Room, cell: int) -> Next | None:
    """What is to be done about one undo; None when it has failed, and the next one is to be looked at."""
    if draft.cell(cell) is Cell.WAITING:
        return _suspend(draft, Reason.CHILD, draft.now_ms + AUDIT_MS, timed=False)
    if draft.blueprint.undo_of(draft.layout.step(cell)) is Undo.CHILD:
        children.undo(draft, cell)
        return _suspend(draft, Reason.CHILD, draft.now_ms + AUDIT_MS, timed=False)
    at_ms, reason = undoing.not_before(draft, cell)
    if at_ms > draft.now_ms:
        return _sit_or_suspend(draft, room, at_ms, reason)
    chosen = choose(draft, room, only=cell)
    if chosen is None and draft.cell(cell) is Cell.FAILED:  # its arguments cannot be made
        return None
    return chosen if chosen is not None else _leave(draft, room)


def _empty_end(draft: Draft) -> Status:
    """Nothing is to be undone; a completed execution that was told to undo has done so."""
    if draft.header.status is Status.COMPENSATING:
        return Status.COMPENSATED
    match draft.header.cause:
        case Cause.CANCELLED:
            return Status.CANCELLED
        case Cause.TIMED_OUT:
            return Status.TIMED_OUT
        case _:
            return Status.FAILED


def _no_start(draft: Draft, room: Room) -> Next:
    """Nothing starts now: because calls are running, the room is used up, time must pass, or somebody must act."""
    if draft.running():
        return Wait(until_ms=timer_within(draft, room))
    if next(startable(draft, room), None) is not None:
        return _leave(draft, room)
    timer = next_timer(draft, room)
    if timer is not None:
        return _sit_or_suspend(draft, room, *timer)
    return _suspend(draft, _awaited(draft), draft.now_ms + AUDIT_MS, timed=False)


def _awaited(draft: Draft) -> Reason:
    """What somebody else must do: the first step's that waits. Without one, only a person can say whether an effect exists."""
    kinds = (hold.kind for cell in sorted(draft.waiting()) if (hold := draft.hold(cell)) is not None)
    return next((kind for kind in kinds if kind is not Reason.MAP), Reason.UNKNOWN_EFFECT)


def _sit_or_suspend(draft: Draft, room: Room, at_ms: int, reason: Reason) -> Next:
    fits = at_ms - draft.now_ms <= SIT_OUT_MS and at_ms + SIT_OUT_MS <= room.checkpoint_ms and room.starts_left != 0
    return Wait(until_ms=at_ms) if fits else _suspend(draft, reason, at_ms, timed=True)


def _suspend(draft: Draft, reason: Reason, wake_at_ms: int, *, timed: bool, fruitless: bool = False) -> Suspend:
    """`fruitless`: nothing came of this segment either, so its wait does not end the count."""
    header = draft.header
    if draft.now_ms < header.deadline_ms < wake_at_ms and header.phase is Phase.FORWARD and not header.cause:
        wake_at_ms, timed = header.deadline_ms, True
    line = Line(event="execution.suspended", detail={"reason": reason, "wake_at_ms": wake_at_ms})
    changes = Changes(header=moved(header, Status.SUSPENDED, reason=reason), history=[line], progress=not fruitless)
    return Suspend(reason=reason, wake_at_ms=wake_at_ms, timed=timed, changes=changes)


def _leave(draft: Draft, room: Room, then: str = "") -> Leave | Suspend:
    """Checkpoint. A segment that did nothing never asks for the next one at once: that would go on for ever.

    `then`: what comes next, where that is none of the plan's steps.
    """
    if not room.started and not draft.kept.progress and not draft.changed():
        wait_ms = IDLE_SEGMENT_MS << min(max(draft.header.stalled - 1, 0), 6)
        return _suspend(draft, Reason.BACKOFF, draft.now_ms + wait_ms, timed=True, fruitless=True)
    if room.unpaid:
        return _suspend(draft, Reason.QUOTA, draft.now_ms + QUOTA_MS, timed=False)
    if then:
        return Leave(next_step=then, need=(), changes=Changes())
    undo = draft.header.phase is Phase.UNDO
    cells = [undoing.next_cell(draft)] if undo else list(islice(startable(draft, room), 8))
    names = [draft.name(cell) for cell in cells if cell is not None]
    layout = draft.layout
    need = {ref for cell in cells if cell is not None and not undo for ref in draft.blueprint.refs[layout.step(cell)]}
    done = sorted(ref for ref in need if draft.cell(ref) is Cell.DONE)
    return Leave(next_step=names[0] if names else "", need=tuple(done), changes=Changes())


def _end(draft: Draft, status: Status) -> End:
    cause = draft.header.cause
    children.tell_parent(draft, status, draft.then.output)
    line = Line(event="execution.ended", detail={"status": status, "cause": cause})
    return End(status=status, cause=cause, changes=Changes(header=moved(draft.header, status), history=[line]))
