"""What a message begins: an execution, a schedule, or words that a model is to plan."""

import asyncio
import time
from collections.abc import Collection
from typing import Any, Final

import msgspec

from services.ingress.chat_standing import MOST_OUTPUTS, outcome
from services.ingress.chat_turn import Reply, Turn
from services.ingress.taking import take
from shared.chat.model import Begin, Latest, Pending
from shared.machine.plan import Effect, Plan
from shared.machine.status import TERMINAL, Status
from shared.redisdb.reader import View
from shared.requests import Execute

READ_S: Final = 2.0
"""How long an answer waits for a plan that only reads; then it says where to look."""
LOOK_S: Final = 0.05
UNPLANNED: Final = frozenset({Status.RECEIVED, Status.PLANNING})
"""What words are in while a model has not planned them. A call that is tried again suspends them, and is not waited for."""


async def begin(turn: Turn, found: Begin) -> Reply:
    """An execution or a schedule of words that the rules can plan. What only reads is answered with what came of it."""
    context = turn.zoned(found.timezone).context
    asked = Execute(intent=found.words, user_id=turn.user, context=context, confirm=turn.confirm)
    reads = found.planned.schedule is None and only_reads((await turn.deps.acceptor.draft(turn.tenant, asked)).plan)
    reply = await _taken(turn, asked)
    if reads and not turn.confirm and (ended := await _soon(turn, reply, TERMINAL)) and not asked_by_model(ended):
        return msgspec.structs.replace(reply, body=reply.body | {"kind": "answer"} | outcome(ended), status=200)
    return reply


async def to_model(turn: Turn, words: str) -> Reply:
    """What the rules would ask about, a model is to plan, in a segment of its own. What it asks at once is the answer."""
    return await _taken(turn, Execute(intent=words, user_id=turn.user, context=turn.context, confirm=turn.confirm))


async def _taken(turn: Turn, asked: Execute) -> Reply:
    body, status, place = await take(turn.deps, turn.tenant, asked, turn.key)
    reply = msgspec.structs.replace(begun(turn, body, status, place, asked), asked=asked)
    if status != 202 or body.get("plan") is not None:
        return reply
    planned = await _soon(turn, reply, frozenset(Status) - UNPLANNED)
    if planned is None or not (questions := asked_by_model(planned)):
        return reply
    told = outcome(planned) | {"kind": "clarification", "questions": questions, "words": asked.words()}
    return msgspec.structs.replace(reply, body=reply.body | told, status=200)


def asked_by_model(view: View) -> list[dict[str, Any]]:
    """What a model asked instead of planning; empty if it did not."""
    output = view.output if view.fields["status"] == Status.REJECTED else None
    return list(output.get("questions") or []) if isinstance(output, dict) else []


def begun(turn: Turn, body: dict[str, Any], status: int, place: str, asked: Execute) -> Reply:
    """Of an execution or a schedule."""
    kind = "started" if status == 202 else "scheduled"
    said = {"conversationId": turn.conversation, "kind": kind, "text": _beginning(body, kind)}
    talk = msgspec.structs.replace(turn.kept.talk, open=None)
    if status != 202:
        talk = msgspec.structs.replace(talk, schedule=body["id"], latest=None)
        return Reply(body=said | body, status=status, place=place, talk=talk)
    execution = body["executionId"]
    talk = talk.begun(execution, _latest(body, asked, execution))
    if body["status"] == Status.AWAITING_CONFIRMATION and body.get("plan"):
        plan = Pending(execution=execution, step="", hash=body["plan"]["hash"], message=body["plan"]["summary"])
        talk = talk.having_shown((plan,))
    return Reply(body=said | body, status=status, place=place, talk=talk, execution=execution)


def _beginning(body: dict[str, Any], kind: str) -> str:
    """What begins, in words."""
    if kind == "scheduled":
        return f"{body['intent']}: at {body['cron']} ({body['timezone']}), next at {body['nextAt']}."
    summary = (body.get("plan") or {}).get("summary")
    return summary or "I am working out how to do this."


def _latest(body: dict[str, Any], asked: Execute, execution: str) -> Latest | None:
    """The words, for answers and corrections to come."""
    words, said = asked.words(), asked.context.now
    if not words:
        return None
    said_ms = int(said.timestamp() * 1000) if said else time.time_ns() // 1_000_000
    by_model = body.get("plan") is None
    return Latest(execution=execution, words=words, said_ms=said_ms, timezone=asked.context.timezone, model=by_model)


def only_reads(plan: Plan) -> bool:
    """Whether it changes nothing and waits for nothing: plain calls of pure tools."""
    return all(
        step.tool and not step.approve and not step.map and plan.contracts[step.tool].effect is Effect.PURE
        for step in plan.steps
    )


async def _soon(turn: Turn, reply: Reply, statuses: Collection[str]) -> View | None:
    """The execution, if it has one of these statuses in a moment. A stream tells of it by itself."""
    execution = "" if turn.streams else reply.execution
    deadline = time.monotonic() + READ_S
    while execution and time.monotonic() < deadline:
        header = await turn.deps.reader.header(execution, turn.tenant)
        if header["status"] in statuses:
            return await turn.deps.reader.view(execution, turn.tenant, count=MOST_OUTPUTS)
        await asyncio.sleep(LOOK_S)
    return None
