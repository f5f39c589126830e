"""decide(execution, event) -> Decision: the whole policy of the engine, without a clock, a socket or a random number."""

from itertools import islice
from typing import assert_never

from shared.machine import outcomes, undoing
from shared.machine.decision import Changes, Decision, End, Leave, Line, Next, Suspend, Wait
from shared.machine.draft import Draft, moved
from shared.machine.events import Attempted, Event, Room, Signalled, Ticked, Woke
from shared.machine.starting import choose, next_timer, startable, timer_within
from shared.machine.state import Execution, Signal
from shared.machine.status import Cause, Phase, Reason, Status

AUDIT_MS = 24 * 3_600_000
"""A wait without an end of its own is looked at again after a day: nothing non-terminal is without a due time."""
IDLE_SEGMENT_MS = 1_000
"""How long a segment that could start nothing (it came too late) waits for the next one; doubled each time."""
SIT_OUT_MS = 2_000
"""A back-off this short is waited out inside the invocation: cheaper than a message."""


def decide(execution: Execution, event: Event) -> Decision:
    """What to store now, and what to do next. `execution` is not changed."""
    draft = Draft(execution, event.now_ms)
    match event:
        case Woke():
            _woke(draft, event)
        case Attempted():
            for report in event.reports:
                outcomes.take(draft, report)
            draft.kept.progress = True
        case Signalled():
            _absorb(draft, event.signals)
        case Ticked():
            pass
        case _:
            assert_never(event)
    if isinstance(event, Woke) and _fruitless(draft, event.room):
        return Decision(kept=draft.kept, next=_suspend(draft, Reason.UNDELIVERABLE, draft.now_ms + AUDIT_MS, timed=False))
    return Decision(kept=draft.kept, next=_next(draft, event.room))


def _fruitless(draft: Draft, room: Room) -> bool:
    """Nothing came of the last segments, and nobody acted since. Asked once, when a segment begins."""
    return bool(room.stalled_limit) and draft.header.stalled > room.stalled_limit and not draft.kept.progress


def _woke(draft: Draft, event: Woke) -> None:
    header = draft.header
    if header.status in {Status.PLANNED, Status.SUSPENDED}:
        draft.move(Status.COMPENSATING if header.phase is Phase.UNDO else Status.EXECUTING)
    for cell in list(draft.x.running):
        outcomes.adopt(draft, cell)
    _absorb(draft, event.signals)


def _absorb(draft: Draft, signals: tuple[Signal, ...]) -> None:
    """Signals the machine acts upon: `cancel`; `resend`, a person's word that it shall be tried again, which needs no more than
    what every signal does: it wakes, and the count of fruitless segments starts again."""
    for signal in signals:
        draft.kept.seen = max(draft.kept.seen, signal.position)
        draft.kept.progress = True  # somebody acted: the count of fruitless segments starts again
        if signal.kind == "cancel" and draft.header.phase is Phase.FORWARD:
            draft.blame(Cause.CANCELLED)


def _next(draft: Draft, room: Room) -> Next:
    header = draft.header
    if header.deadline_ms and draft.now_ms >= header.deadline_ms and header.phase is Phase.FORWARD:
        draft.blame(Cause.TIMED_OUT)
    if draft.header.phase is Phase.FORWARD and not draft.header.cause:
        found = _forward(draft, room)
        if found is not None:
            return found
    # Something stopped the forward lane, perhaps just now (a reference that leads nowhere).
    return _stopping(draft, room)


def _forward(draft: Draft, room: Room) -> Next | None:
    """The forward lane's next move; None when choosing what to start found a reason to stop."""
    if draft.done_steps() == draft.blueprint.size:
        return _end(draft, Status.COMPLETED)
    chosen = choose(draft, room)
    if draft.header.cause:
        return None
    if chosen is not None:
        return chosen
    return _no_start(draft, room)


def _stopping(draft: Draft, room: Room) -> Next:
    if draft.running():
        return Wait()  # drain: what is INTENDED may finish, nothing new starts
    if draft.header.phase is Phase.FORWARD:
        undoing.open_lane(draft)
    if draft.header.phase is Phase.FORWARD:
        return _end(draft, _empty_end(draft))
    if undoing.order_missing(draft):
        return undoing.load_order(draft)
    cell = undoing.next_cell(draft)
    if cell is None:
        return _end(draft, undoing.verdict(draft))
    at_ms, reason = undoing.not_before(draft, cell)
    if at_ms > draft.now_ms:
        return _sit_or_suspend(draft, room, at_ms, reason)
    chosen = choose(draft, room, only=cell)
    return chosen if chosen is not None else _leave(draft, room)


def _empty_end(draft: Draft) -> Status:
    match draft.header.cause:
        case Cause.CANCELLED:
            return Status.CANCELLED
        case Cause.TIMED_OUT:
            return Status.TIMED_OUT
        case _:
            return Status.FAILED


def _no_start(draft: Draft, room: Room) -> Next:
    """Nothing starts now: because calls are running, the room is used up, time must pass, or a person must act."""
    if draft.running():
        return Wait(until_ms=timer_within(draft, room))
    timer = next_timer(draft)
    if next(startable(draft), None) is not None:
        return _leave(draft, room)
    if timer is not None:
        return _sit_or_suspend(draft, room, *timer)
    return _suspend(draft, Reason.UNKNOWN_EFFECT, draft.now_ms + AUDIT_MS, timed=False)


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


def _leave(draft: Draft, room: Room) -> Leave | Suspend:
    """Checkpoint. A segment that did nothing never asks for the next one at once: that would go on for ever."""
    if not room.started and not draft.kept.progress:
        wait_ms = IDLE_SEGMENT_MS << min(max(draft.header.stalled - 1, 0), 6)
        return _suspend(draft, Reason.BACKOFF, draft.now_ms + wait_ms, timed=True, fruitless=True)
    undo = draft.header.phase is Phase.UNDO
    cells = [undoing.next_cell(draft)] if undo else list(islice(startable(draft), 8))
    names = [draft.blueprint.step(cell).name for cell in cells if cell is not None]
    need = {ref for cell in cells if cell is not None and not undo for ref in draft.blueprint.refs[cell]}
    return Leave(next_step=names[0] if names else "", need=tuple(sorted(need)), changes=Changes())


def _end(draft: Draft, status: Status) -> End:
    cause = draft.header.cause
    line = Line(event="execution.ended", detail={"status": status, "cause": cause})
    return End(status=status, cause=cause, changes=Changes(header=moved(draft.header, status), history=[line]))
