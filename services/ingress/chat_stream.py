"""An answer as server-sent events: what was said first, then what the execution's history tells, until it ends or waits.

A stream is bounded by CHECKPOINT_MS, because the platform that kills invocations (HARD_LIMIT_MS) may run ingress too. It ends
with one last event in any case: `result`, `waiting`, `open` (it still runs: look at the links) or `error`.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import msgspec

from services.ingress.chat_begin import asked_by_model
from services.ingress.chat_standing import MOST_OUTPUTS, outcome, standing
from services.ingress.chat_turn import Reply, Turn
from services.ingress.streams import HEARTBEAT, event
from shared.errors import IntentionError
from shared.live.topic import Dropped
from shared.machine.status import Reason, Status
from shared.redisdb.news import State
from shared.redisdb.reader import View
from shared.requests import links

HEARTBEAT_S: Final = 2.0
"""A comment after so long without an event, so that nobody between us closes what looks dead."""
DECLARED: Final = frozenset(
    {Reason.APPROVAL, Reason.EVENT, Reason.CALLBACK, Reason.SLEEP, Reason.CHILD, Reason.UNKNOWN_EFFECT, Reason.UNDELIVERABLE}
)
"""Waits that a person is told of; a back-off or a slot ends by itself in a moment."""
_NAMES: Final = {"started": "plan", "scheduled": "schedule"}


async def events(turn: Turn, reply: Reply) -> AsyncGenerator[bytes, None]:
    """The answer itself, and what comes of it."""
    yield event(_NAMES.get(reply.body["kind"], reply.body["kind"]), reply.body)
    if not reply.execution:
        return
    try:
        async with aclosing(_followed(turn, reply)) as parts:
            async for part in parts:
                yield part
    except IntentionError as error:
        told = {"code": error.error_code, "message": error.message, "links": links(reply.execution)}
        yield event("error", told)
    except Dropped as dropped:
        yield event("error", {"code": "dropped", "message": str(dropped), "links": links(reply.execution)})


async def _followed(turn: Turn, reply: Reply) -> AsyncGenerator[bytes, None]:
    execution, live = reply.execution, turn.deps.live
    ends = time.monotonic() + turn.deps.settings.checkpoint_ms / 1000
    async with live.following(execution, turn.tenant) as topic:
        follower = live.follower(topic, "" if reply.after == "-" else reply.after)
        while not follower.over:
            if follower.told and await _rests(turn, execution, follower.state):
                yield event("waiting", await _waiting(turn, execution))
                return
            if (left := ends - time.monotonic()) < 0:
                told = {
                    "executionId": execution,
                    "status": follower.state.status,
                    "after": follower.after,
                    "links": links(execution),
                }
                yield event("open", told)
                return
            lines = await follower.next(min(left + 0.01, HEARTBEAT_S))
            if lines:
                yield b"".join(event("progress", line.data, line=line.data["id"]) for line in lines)
            elif time.monotonic() < ends:
                yield HEARTBEAT
                await topic.refresh()  # a status may have moved without a line
    yield _last(await turn.deps.reader.view(execution, turn.tenant, count=MOST_OUTPUTS))


def _last(view: View) -> bytes:
    """The result; or what a model asks, which the next message answers."""
    questions = asked_by_model(view)
    return event("clarification", outcome(view) | {"questions": questions}) if questions else event("result", outcome(view))


async def _rests(turn: Turn, execution: str, state: State) -> bool:
    """Whether it waits for something that it declares, and nothing that was just said to it is still to be taken up."""
    if state.status not in {Status.PAUSED, Status.AWAITING_CONFIRMATION, Status.SUSPENDED}:
        return False
    if state.status == Status.SUSPENDED and state.reason not in DECLARED:
        return False
    found = await turn.deps.snapshots.load(execution, turn.tenant)
    return not found.unseen and found.execution.header.status == state.status


async def _waiting(turn: Turn, execution: str) -> dict[str, Any]:
    """What is waited for. The conversation remembers that it was shown before it is."""
    talks = turn.deps.talks
    kept = await talks.load(turn.tenant, turn.user, turn.conversation)
    told, talk = await standing(msgspec.structs.replace(turn, kept=kept), execution)
    await talks.save(turn.tenant, turn.user, turn.conversation, msgspec.structs.replace(kept, talk=talk))
    return told
