"""Words without a plan: when the model is asked, and what becomes of its answers. The words and the answers are data here.

A call changes nothing but money, so that it is counted before it is made; whoever dies in it costs one call.
"""

from typing import Any, TypeAlias

import msgspec

from shared.machine.decision import Adopt, AskModel
from shared.machine.draft import Draft
from shared.machine.events import Patience, Room
from shared.machine.plan import Retry
from shared.machine.retry import delay_ms
from shared.machine.state import Adopted, Advice, Asked, Asking, Flawed, Unreachable
from shared.machine.status import Status

LEAST_MS = 2_000
"""With less time left, another call is for the next segment."""
BACKOFF = Retry(attempts=100, base_ms=2_000, factor=3.0, cap_ms=60_000)
SAID = {Adopted: "plan", Asked: "questions", Flawed: "flawed", Unreachable: "nothing"}


class Later(msgspec.Struct, frozen=True):
    """Ask again at `at_ms`, unix ms."""

    at_ms: int


class NoRoom(msgspec.Struct, frozen=True):
    """This invocation has no time for another call."""


Found: TypeAlias = AskModel | Later | NoRoom | Adopted | Asked


def hear(draft: Draft) -> None:
    """Note what the model said, once: it is told and counted whatever else has arrived."""
    advice, asking = draft.x.advice, draft.notes.asking
    if advice is None or asking.heard >= advice.call:
        return
    said = advice.said
    problems = said.problems if isinstance(said, Flawed) else ()
    tokens, cost = asking.tokens + advice.tokens, asking.cost_micro + advice.cost_micro
    draft.note(asking=msgspec.structs.replace(asking, heard=advice.call, tokens=tokens, cost_micro=cost, problems=problems))
    spent: dict[str, Any] = {"tokens": advice.tokens} | ({"cost": advice.cost_micro / 1_000_000} if advice.cost_micro else {})
    draft.say("planning.answered", call=advice.call, said=SAID[type(said)], **spent, **advice.detail, **_why(said))
    draft.progress()


def _why(said: Adopted | Asked | Flawed | Unreachable) -> dict[str, Any]:
    match said:
        case Flawed():
            return {"problems": said.problems}
        case Unreachable():
            return {"message": said.message}
        case _:
            return {}


def look(draft: Draft, room: Room) -> Found:
    """What is to be done about an execution that has no plan."""
    asking, advice = draft.notes.asking, draft.x.advice
    if advice is not None and advice.call == asking.calls:
        found = _of(draft, advice, spent=_spent(asking, room.patience))
        if found is not None:
            return found
    if draft.now_ms >= room.checkpoint_ms or (room.started and draft.now_ms + LEAST_MS > room.checkpoint_ms):
        return NoRoom()
    return _ask(draft, room)


def _of(draft: Draft, advice: Advice, *, spent: bool) -> Later | Adopted | Asked | None:
    """What follows from an answer; None: ask at once, with what was wrong."""
    match advice.said:
        case Adopted() | Asked():
            return advice.said
        case Unreachable(retryable=False):
            return advice.instead
        case _ if spent:
            return advice.instead
        case Unreachable():
            wait_ms = delay_ms(
                BACKOFF,
                execution=draft.header.id,
                cell=-1,
                attempt=advice.call,
                retry_after_ms=advice.said.retry_after_ms,
            )
            return Later(draft.now_ms + wait_ms)
        case _:
            return None


def _spent(asking: Asking, patience: Patience) -> bool:
    dear = bool(patience.cost_micro) and asking.cost_micro >= patience.cost_micro
    return dear or asking.calls >= patience.calls or asking.tokens >= patience.tokens


def _ask(draft: Draft, room: Room) -> AskModel:
    """Once the last call is spent (its process died, perhaps) only the rules are asked, which cost nothing."""
    asking = draft.notes.asking
    if not _spent(asking, room.patience):
        asking = msgspec.structs.replace(asking, calls=asking.calls + 1)
        draft.note(asking=asking)
        draft.say("planning.asked", call=asking.calls)
        model = True
    else:
        model = False
    until_ms = min(draft.now_ms + room.patience.call_ms, room.cutoff_ms)
    return AskModel(call=asking.calls, model=model, until_ms=until_ms, changes=draft.then)


def adopt(draft: Draft, found: Adopted, *, look_ms: int) -> Adopt:
    """The plan is found. With `confirm` it waits for a yes, and is looked at by `look_ms`."""
    confirm = draft.notes.unconfirmed or found.confirm
    deadline_ms = draft.now_ms + found.timeout_ms if found.timeout_ms else 0
    draft.move(Status.AWAITING_CONFIRMATION if confirm else Status.PLANNED)
    draft.note(asking=Asking(), unconfirmed=confirm)
    draft.say("planning.planned", hash=found.hash, steps=len(found.cells) // 2)
    draft.progress()
    wake_at_ms = min(look_ms, deadline_ms) if deadline_ms else look_ms
    return Adopt(adopted=found, confirm=confirm, deadline_ms=deadline_ms, wake_at_ms=wake_at_ms, changes=draft.then)


def give_up(draft: Draft, asked: Asked) -> None:
    """There is no plan: the questions are what the execution gives."""
    advice = draft.x.advice
    failed = advice.said if advice and isinstance(advice.said, Unreachable | Flawed) else None
    text = " ".join(str(question.get("question", "")) for question in asked.questions)
    error: dict[str, Any] = {"code": "clarification_needed", "message": text}
    if failed is not None:
        error["planner"] = failed.message if isinstance(failed, Unreachable) else "; ".join(failed.problems)
    draft.give({"error": error, "questions": list(asked.questions)})
    draft.say("planning.rejected", questions=[question.get("field", "") for question in asked.questions])
