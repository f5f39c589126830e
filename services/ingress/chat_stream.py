"""An answer as server-sent events: what was said first, then what the execution's history tells, until it ends or waits.

A stream is bounded by CHECKPOINT_MS, because the platform that kills invocations (HARD_LIMIT_MS) may run ingress too. It ends
with one last event in any case: `result`, `waiting`, `open` (it still runs: look at the links) or `error`.
"""

import time
from asyncio import sleep
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from services.ingress.chat_replies import MOST_OUTPUTS, Reply, Turn, outcome, standing
from shared.errors import IntentionError
from shared.machine.status import TERMINAL, Reason, Status
from shared.redisdb.reader import PAGE
from shared.requests import links

LOOK_S: Final = 0.1
HEARTBEAT_S: Final = 2.0
"""A comment after so long without an event, so that nobody between us closes what looks dead."""
DECLARED: Final = frozenset(
    {Reason.APPROVAL, Reason.EVENT, Reason.CALLBACK, Reason.SLEEP, Reason.CHILD, Reason.UNKNOWN_EFFECT, Reason.UNDELIVERABLE}
)
"""Waits that a person is told of; a back-off or a slot ends by itself in a moment."""
_NAMES: Final = {"started": "plan", "scheduled": "schedule"}


def event(name: str, data: Any, *, line: str = "") -> bytes:
    """One event on the wire; `line` is its id."""
    head = f"id: {line}\n" if line else ""
    return f"{head}event: {name}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


async def events(turn: Turn, reply: Reply) -> AsyncIterator[bytes]:
    """The answer itself, and what comes of it."""
    yield event(_NAMES.get(reply.body["kind"], reply.body["kind"]), reply.body)
    if not reply.execution:
        return
    try:
        async for part in _followed(turn, reply):
            yield part
    except IntentionError as error:
        told = {"code": error.error_code, "message": error.message, "links": links(reply.execution)}
        yield event("error", told)


async def _followed(turn: Turn, reply: Reply) -> AsyncIterator[bytes]:
    execution, after = reply.execution, reply.after
    spoke = began = time.monotonic()
    while True:
        # The header first: whatever led to its status is in the lines that are read after it.
        header = await turn.deps.reader.header(execution, turn.tenant)
        lines = await turn.deps.reader.history(execution, turn.tenant, after=after)
        for line in lines:
            yield event("progress", line, line=line["id"])
        if lines:
            after, spoke = lines[-1]["id"], time.monotonic()
        all_told = len(lines) < PAGE
        if all_told and header["status"] in TERMINAL:
            yield event("result", outcome(await turn.deps.reader.view(execution, turn.tenant, count=MOST_OUTPUTS)))
            return
        if all_told and await _rests(turn, header):
            yield event("waiting", await _waiting(turn, execution))
            return
        now = time.monotonic()
        if now - began > turn.deps.settings.checkpoint_ms / 1000:
            told = {"executionId": execution, "status": header["status"], "after": after, "links": links(execution)}
            yield event("open", told)
            return
        if now - spoke > HEARTBEAT_S:
            yield b": still here\n\n"
            spoke = now
        await sleep(LOOK_S if all_told else 0)


async def _rests(turn: Turn, header: dict[str, str]) -> bool:
    """Whether it waits for something that it declares, and nothing that was just said to it is still to be taken up."""
    status = header["status"]
    if status not in {Status.PAUSED, Status.AWAITING_CONFIRMATION, Status.SUSPENDED}:
        return False
    if status == Status.SUSPENDED and header.get("reason", "") not in DECLARED:
        return False
    found = await turn.deps.snapshots.load(header["id"], turn.tenant)
    return not found.unseen and found.execution.header.status == status


async def _waiting(turn: Turn, execution: str) -> dict[str, Any]:
    """What is waited for. The conversation remembers that it was shown before it is."""
    talks = turn.deps.talks
    kept = await talks.load(turn.tenant, turn.user, turn.conversation)
    told, talk = await standing(msgspec.structs.replace(turn, kept=kept), execution)
    await talks.save(turn.tenant, turn.user, turn.conversation, msgspec.structs.replace(kept, talk=talk))
    return told
