"""What a conversation answers, for each thing that a message can mean."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.ingress.edge import Deps
from services.ingress.taking import take
from services.ingress.why import explained
from shared.actions import Approve, Cancel, Confirm, Reject
from shared.chat import Act, Ask, Begin, Choose, Drop, Help, Meaning, Nothing, Pending, Stop, Talk, Tell
from shared.machine.plan import Effect, Plan
from shared.machine.status import TERMINAL, Status
from shared.planner.domains import DOMAINS
from shared.planner.forms import book_of
from shared.redisdb.reader import View
from shared.redisdb.talks import Kept
from shared.requests import Context, Execute, links

READ_S: Final = 2.0
"""How long an answer waits for a plan that only reads; then it says where to look."""
LOOK_S: Final = 0.05
MOST_OUTPUTS: Final = 100
MOST_TEXT: Final = 2_000
HELP: Final = (
    'I can do something about: {domains}. For example: "Book a table for 2 at 7pm". Ask "status" how things stand, say "yes" '
    'or "no" to what waits for your approval, "never mind" to drop what I asked about, '
    '"cancel it" to cancel what was begun last.'
)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message, with all that it comes with."""

    deps: Deps
    tenant: str
    user: str
    words: str
    context: Context
    confirm: bool
    key: str
    hash: str
    conversation: str
    kept: Kept
    by: str
    streams: bool

    def zoned(self, timezone: str = "") -> "Turn":
        """With the time zone in which the words that it answers were said, unless it brings its own."""
        found = self.kept.talk.open
        zone = self.context.timezone or timezone or (found.timezone if found else "")
        return msgspec.structs.replace(self, context=msgspec.structs.replace(self.context, timezone=zone))


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what is remembered after it."""

    body: dict[str, Any]
    talk: Talk
    status: int = 200
    place: str = ""
    asked: Execute | None = None
    """What was begun."""
    execution: str = ""
    """Which a stream goes on to tell of,"""
    after: str = "-"
    """from behind this line of its history."""


async def carry_out(turn: Turn, meaning: Meaning) -> Reply:
    """Do what the message means, and say so."""
    match meaning:
        case Help() | Nothing() | Drop():
            return _simple(turn, meaning)
        case Tell():
            return await _tell(turn)
        case Ask():
            asks_model = turn.deps.settings.planners != "rules" and turn.kept.talk.open is None
            return await _to_model(turn) if asks_model else _ask(turn, meaning)
        case Choose(among=among):
            return _choose(turn, among)
        case Act():
            return await _act(turn, meaning)
        case Stop(execution=execution):
            return await _stop(turn, execution)
        case Begin():
            return await _begin(turn, meaning)


def _simple(turn: Turn, meaning: Help | Nothing | Drop) -> Reply:
    if isinstance(meaning, Drop):
        dropped = msgspec.structs.replace(turn.kept.talk, open=None)
        return _said(turn, "answer", "All right, that is dropped. Nothing was done.", talk=dropped)
    text = meaning.text if isinstance(meaning, Nothing) else HELP.format(domains=", ".join(_domains(turn)))
    return _said(turn, "answer", text)


def _domains(turn: Turn) -> list[str]:
    """What requests can be about: of what there are tools for."""
    book = book_of(DOMAINS, frozenset(turn.deps.registry.contracts()))
    return [row.name for row in book.domains if row.name not in book.missing]


def _said(
    turn: Turn, kind: str, text: str, more: dict[str, Any] | None = None, *, talk: Talk | None = None, status: int = 200
) -> Reply:
    body = {"conversationId": turn.conversation, "kind": kind, "text": text} | (more or {})
    return Reply(body=body, talk=turn.kept.talk if talk is None else talk, status=status)


# --- asking


def _ask(turn: Turn, ask: Ask) -> Reply:
    found = ask.open
    questions = [msgspec.to_builtins(one) for one in found.questions]
    text = " ".join(filter(None, [ask.note, "" if found.instead else found.questions[0].question]))
    talk = msgspec.structs.replace(turn.kept.talk, open=found if found.lasts else None)
    return _said(turn, "clarification", text, {"questions": questions, "words": found.text}, talk=talk)


def _choose(turn: Turn, among: Sequence[Pending]) -> Reply:
    which = "Which one" if len(among) > 1 else "Is it this"
    how = '"yes <step>" or "no <step>"' if len(among) > 1 else '"yes" or "no"'
    text = f"{which}? {'; '.join(_worded(one) for one in among)}. Say {how}."
    talk = turn.kept.talk.having_shown(tuple(among))
    return _said(turn, "clarification", text, {"waits": [shown(one) for one in among]}, talk=talk)


def _worded(one: Pending) -> str:
    what = f"{one.step} with {msgspec.json.encode(one.args).decode()[:500]}" if one.step else "the whole plan"
    return f"{what} ({one.message})" if one.message else what


def shown(one: Pending) -> dict[str, Any]:
    """What waits for a person, for a reader."""
    if not one.step:
        return {"executionId": one.execution, "planHash": one.hash, "message": one.message}
    return {
        "executionId": one.execution,
        "step": one.step,
        "argsHash": one.hash,
        "args": one.args,
        "message": one.message or None,
    }


async def pending_of(deps: Deps, executions: Sequence[str]) -> tuple[Pending, ...]:
    """What these ask of a person now."""
    headers = await deps.reader.headers(executions)
    unsigned = [one for one in headers if one["status"] == Status.AWAITING_CONFIRMATION]
    plans = [Pending(execution=one["id"], step="", hash=one["plan"], message=one.get("summary", "")) for one in unsigned]
    asked = await deps.reader.asked([one["id"] for one in headers if one["status"] not in TERMINAL])
    steps = [
        Pending(execution=execution, step=step, hash=hold.args_hash, message=message, args=hold.args)
        for execution, step, message, hold in asked
    ]
    return (*plans, *steps)


# --- telling


async def _tell(turn: Turn) -> Reply:
    latest = turn.kept.talk.executions[-1:]
    if not latest:
        return _said(turn, "answer", "Nothing was begun in this conversation.")
    told, talk = await standing(turn, latest[0])
    return _said(turn, "answer", "", told, talk=talk)


async def standing(turn: Turn, execution: str) -> tuple[dict[str, Any], Talk]:
    """How an execution stands, with what waits for a person; and what is remembered now that it was shown."""
    deps = turn.deps
    view = await deps.reader.view(execution, turn.tenant, count=MOST_OUTPUTS)
    if view.fields["status"] in TERMINAL:
        return outcome(view), turn.kept.talk
    _, why = await explained(deps, turn.tenant, execution)
    waits = await pending_of(deps, [execution])
    asks = f" Say yes or no to: {'; '.join(_worded(one) for one in waits)}." if waits else ""
    text = f"{view.fields.get('summary') or execution} {why.status}: {why.text}{asks}"
    told = _about(view) | {"text": text, "waits": [shown(one) for one in waits]}
    return told, turn.kept.talk.having_shown(waits)


def _about(view: View) -> dict[str, Any]:
    return {
        "executionId": view.id,
        "status": view.fields["status"],
        "reason": view.fields.get("reason") or None,
        "links": links(view.id),
    }


def outcome(view: View) -> dict[str, Any]:
    """What came of an execution that is over."""
    done = [step for step in view.steps if step.status == "DONE"]
    outputs = {step.name: step.output if step.large_output is None else {"large": True} for step in done}
    errors = {step.name: step.error["message"] for step in view.steps if step.error}
    last = msgspec.json.encode(view.output if view.output is not None else outputs).decode()
    text = f"{view.fields.get('summary') or view.id} {view.fields['status']}"
    text += f": {last}" if view.fields["status"] == Status.COMPLETED else ""
    return _about(view) | {"text": text[:MOST_TEXT], "output": view.output, "outputs": outputs, "errors": errors}


# --- acting


async def _act(turn: Turn, act: Act) -> Reply:
    one = act.pending
    after = await _end_of_history(turn, one.execution) if turn.streams else "-"
    action: Approve | Confirm | Reject
    if not act.yes:
        action = Reject(step=one.step)
    else:
        action = Approve(step=one.step, args_hash=one.hash) if one.step else Confirm(plan_hash=one.hash)
    told = await turn.deps.actions.act(one.execution, turn.tenant, action, turn.by)
    text = f"{'Yes' if act.yes else 'No'}: {told['will']}."
    reply = _said(turn, "acted", text, _deed(told, one.execution) | {"waits": [shown(one)]}, status=202)
    return msgspec.structs.replace(reply, execution=one.execution, after=after)


def _deed(told: dict[str, Any], execution: str) -> dict[str, Any]:
    return {name: told[name] for name in ("action", "will", "by")} | {"executionId": execution, "links": links(execution)}


async def _end_of_history(turn: Turn, execution: str) -> str:
    after = "-"
    while lines := await turn.deps.reader.history(execution, turn.tenant, after=after):
        after = lines[-1]["id"]
    return after


async def _stop(turn: Turn, execution: str) -> Reply:
    header = await turn.deps.reader.header(execution, turn.tenant)
    if header["status"] in TERMINAL:
        text = f"It is over already ({header['status']}); nothing was cancelled."
        return _said(turn, "answer", text, {"executionId": execution})
    after = await _end_of_history(turn, execution) if turn.streams else "-"
    told = await turn.deps.actions.act(execution, turn.tenant, Cancel(reason="said in the chat"), turn.by)
    reply = _said(turn, "acted", f"It is cancelled: {told['will']}.", _deed(told, execution), status=202)
    return msgspec.structs.replace(reply, execution=execution, after=after)


# --- beginning


async def _begin(turn: Turn, begin: Begin) -> Reply:
    context = turn.zoned(begin.timezone).context
    asked = Execute(intent=begin.words, user_id=turn.user, context=context, confirm=turn.confirm)
    reads = begin.planned.schedule is None and only_reads((await turn.deps.acceptor.draft(turn.tenant, asked)).plan)
    body, status, place = await take(turn.deps, turn.tenant, asked, turn.key)
    reply = msgspec.structs.replace(begun(turn, body, status, place), asked=asked)
    if reads and not turn.streams and not turn.confirm:
        ended = await _soon(turn, reply.execution)
        if ended is not None:
            told = outcome(ended)
            return msgspec.structs.replace(reply, body=reply.body | {"kind": "answer"} | told, status=200)
    return reply


async def _to_model(turn: Turn) -> Reply:
    """What the rules would ask about, a model is to plan, in a segment of its own."""
    asked = Execute(intent=turn.words, user_id=turn.user, context=turn.context, confirm=turn.confirm)
    return msgspec.structs.replace(begun(turn, *await take(turn.deps, turn.tenant, asked, turn.key)), asked=asked)


def begun(turn: Turn, body: dict[str, Any], status: int, place: str) -> Reply:
    """Of an execution or a schedule."""
    said = {"conversationId": turn.conversation, "kind": "started" if status == 202 else "scheduled"}
    talk = msgspec.structs.replace(turn.kept.talk, open=None)
    if status != 202:
        return Reply(body=said | body, status=status, place=place, talk=talk)
    execution = body["executionId"]
    talk = talk.begun(execution)
    if body["status"] == Status.AWAITING_CONFIRMATION and body.get("plan"):
        plan = Pending(execution=execution, step="", hash=body["plan"]["hash"], message=body["plan"]["summary"])
        talk = talk.having_shown((plan,))
    return Reply(body=said | body, status=status, place=place, talk=talk, execution=execution)


def only_reads(plan: Plan) -> bool:
    """Whether it changes nothing and waits for nothing: plain calls of pure tools."""
    return all(
        step.tool and not step.approve and not step.map and plan.contracts[step.tool].effect is Effect.PURE
        for step in plan.steps
    )


async def _soon(turn: Turn, execution: str) -> View | None:
    """The execution, if it ends in a moment."""
    deadline = time.monotonic() + READ_S
    while time.monotonic() < deadline:
        header = await turn.deps.reader.header(execution, turn.tenant)
        if header["status"] in TERMINAL:
            return await turn.deps.reader.view(execution, turn.tenant, count=MOST_OUTPUTS)
        await asyncio.sleep(LOOK_S)
    return None
