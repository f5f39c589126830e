"""What was begun is stopped, taken back or begun otherwise. Of what is over nothing is undone before it was shown."""

from typing import Any

import msgspec

from services.ingress.chat_begin import begin, only_reads
from services.ingress.chat_standing import deed, end_of_history
from services.ingress.chat_turn import Reply, Turn, said
from shared.api.bodies import Cancel, Compensate
from shared.api.executions import Acted
from shared.chat.model import Begin, Offer, Propose, Redo
from shared.errors import NotFound
from shared.machine import undoing
from shared.machine.draft import Draft
from shared.machine.status import TERMINAL
from shared.requests import Execute


async def stop(turn: Turn, execution: str) -> Reply:
    """Cancel what runs; of what is over, ask whether it is to be taken back."""
    header = await turn.deps.reader.header(execution, turn.tenant)
    if header["status"] in TERMINAL:
        return await _take_back(turn, execution, header["status"])
    after = await end_of_history(turn, execution) if turn.streams else "-"
    told = await turn.deps.actions.act(execution, turn.tenant, Cancel(reason="said in the chat"), turn.by)
    reply = said(turn, "acted", f"It is cancelled: {told.will}.", deed(told, execution), status=202)
    return msgspec.structs.replace(reply, execution=execution, after=after)


async def unschedule(turn: Turn, schedule: str) -> Reply:
    """Nothing more is begun by it; what was begun goes on."""
    talk = msgspec.structs.replace(turn.kept.talk, schedule="")
    try:
        await turn.deps.schedules.drop(schedule, turn.tenant)
    except NotFound:
        return said(turn, "answer", "There is no such schedule any more.", talk=talk)
    told = {"action": "delete", "scheduleId": schedule}
    return said(turn, "acted", "The schedule is deleted: nothing more comes of it.", told, talk=talk, status=202)


async def _take_back(turn: Turn, execution: str, status: str) -> Reply:
    """What is over is not cancelled: what stands of it is undone, once somebody who was shown it says yes."""
    standing_steps = await _standing_steps(turn, execution)
    if not standing_steps:
        text = f"It is over already ({status}); nothing was cancelled."
        return said(turn, "answer", text, {"executionId": execution})
    asked = f"It is done already. Take back what was done ({', '.join(standing_steps)})?"
    talk = msgspec.structs.replace(turn.kept.talk, offer=Offer(execution=execution))
    return said(turn, "clarification", f'{asked} Say "yes" or "no".', _yes_or_no("take_back", asked), talk=talk)


async def _standing_steps(turn: Turn, execution: str) -> list[str]:
    """The steps of an execution that is over whose effects can be taken back."""
    found = await turn.deps.snapshots.load(execution, turn.tenant)
    x = found.execution
    return [x.name_of(cell) for cell in undoing.standing(Draft(x, found.now_ms))]


def _yes_or_no(field: str, asked: str) -> dict[str, Any]:
    return {"questions": [{"field": field, "question": asked, "candidates": ["yes", "no"]}]}


async def propose(turn: Turn, found: Propose) -> Reply:
    """The latest request, changed. What only reads is done at once."""
    offer = found.offer
    plan = (await turn.deps.acceptor.draft(turn.tenant, _asked_for(turn, offer))).plan
    if only_reads(plan):
        return await begin(turn, Begin(words=offer.words, planned=found.planned, timezone=offer.timezone))
    asked = f"{found.planned.summary} Do this instead? What was begun before is stopped first, and what it did is taken back."
    talk = msgspec.structs.replace(turn.kept.talk, offer=offer)
    told = _yes_or_no("instead", asked) | {"words": offer.words}
    return said(turn, "clarification", f'{asked} Say "yes" or "no".', told, talk=talk)


def _asked_for(turn: Turn, offer: Offer) -> Execute:
    return Execute(intent=offer.words, user_id=turn.user, context=turn.zoned(offer.timezone).context)


async def redo(turn: Turn, found: Redo) -> Reply:
    """Take back, then begin what takes its place."""
    offer = found.offer
    if found.planned is not None:  # what stands in its way is told before anything is taken back
        await turn.deps.acceptor.draft(turn.tenant, _asked_for(turn, offer))
    header = await turn.deps.reader.header(offer.execution, turn.tenant)
    over = header["status"] in TERMINAL
    after = await end_of_history(turn, offer.execution) if turn.streams else "-"
    told: Acted | None = None
    if not over or await _standing_steps(turn, offer.execution):
        action: Cancel | Compensate = Compensate() if over else Cancel(reason="said in the chat")
        told = await turn.deps.actions.act(offer.execution, turn.tenant, action, turn.by, seen=False)
    if found.planned is not None:
        begun_now = await begin(turn, Begin(words=offer.words, planned=found.planned, timezone=offer.timezone))
        return msgspec.structs.replace(begun_now, body=begun_now.body | {"instead": offer.execution})
    if told is None:
        return said(turn, "answer", "Nothing of it stands any more.", {"executionId": offer.execution})
    reply = said(turn, "acted", "What was done is being taken back.", deed(told, offer.execution), status=202)
    return msgspec.structs.replace(reply, execution=offer.execution, after=after)
