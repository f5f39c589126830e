"""`POST /api/chat`: a message in a conversation. `shared/chat` knows what it means; here it is carried out and answered."""

import hashlib
import secrets
import time
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import chat_stream, edge
from services.ingress.chat_begin import asked_by_model, begun
from services.ingress.chat_replies import carry_out
from services.ingress.chat_standing import pending_of
from services.ingress.chat_turn import Reply, Turn
from services.ingress.edge import Deps
from services.ingress.streams import EventStream
from services.ingress.taking import take
from shared.actions import ACTOR_MOST
from shared.api.bodies import Chat
from shared.api.chat import Replied
from shared.chat.model import QUESTIONS, Open, Talk
from shared.chat.understand import understand
from shared.errors import Conflict, TooMany
from shared.http import Json, decode
from shared.machine.status import TERMINAL
from shared.openapi.operations import STREAM, on
from shared.planner import Question
from shared.redisdb.talks import Kept, Said

_chat = msgspec.json.Decoder(Chat)


async def chat(request: Request) -> Response:
    """Answer a message: as JSON, or as a stream of events where the caller asks for `text/event-stream`."""
    deps, tenant = edge.known(request)
    said = decode(_chat, await edge.body(request, deps.settings.max_request_bytes))
    turn = await _turn(request, deps, tenant, said)
    await _paced(deps, tenant, said.user_id)
    before = _before(turn)
    reply = await _repeated(turn, before) if before else await _answered(turn)
    headers = {"Location": reply.place} if reply.place else {}
    if turn.streams:
        return EventStream(chat_stream.events(turn, reply), headers=headers)
    return Json(reply.body, status_code=reply.status, headers=headers)


async def _turn(request: Request, deps: Deps, tenant: str, said: Chat) -> Turn:
    key = edge.idempotency_key(request)
    fresh = hashlib.sha256(f"{tenant}\0{said.user_id}\0{key}".encode()).hexdigest()[:32] if key else secrets.token_hex(16)
    conversation = said.conversation_id or said.id or fresh
    return Turn(
        deps=deps,
        tenant=tenant,
        user=said.user_id,
        words=said.words(),
        context=said.context,
        confirm=said.confirm,
        key=key,
        hash=hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest(),
        conversation=conversation,
        kept=await deps.talks.load(tenant, said.user_id, conversation),
        by=edge.actor(request, tenant, "" if "X-Actor" in request.headers else _person(said.user_id)),
        streams="text/event-stream" in request.headers.get("Accept", ""),
    )


def _person(user: str) -> str:
    """Who acts, for the history: ids that are no names are left out."""
    return user if user.isprintable() and len(user) <= ACTOR_MOST else ""


async def _paced(deps: Deps, tenant: str, user: str) -> None:
    limits = {"per_user": deps.settings.chat_per_minute, "per_tenant": deps.settings.chat_tenant_per_minute}
    wait = await deps.talks.wait_s(tenant, user, **limits)
    if wait:
        raise TooMany(f"too many messages in this minute: try again in {wait} s", code="chat_limit", retryAfter=wait)


# --- the same message again


def _before(turn: Turn) -> Said | None:
    """The message that came with this Idempotency-Key; Conflict if it was another one."""
    found = next((one for one in turn.kept.said if turn.key and one.key == turn.key), None)
    if found is not None and found.hash != turn.hash:
        raise Conflict(f"the Idempotency-Key {turn.key[:80]!r} was used for another message", code="idempotency_conflict")
    return found


async def _repeated(turn: Turn, before: Said) -> Reply:
    """What was answered, or the execution that was begun, as it stands now."""
    if before.asked is None:
        told = msgspec.json.decode(before.told)
        return Reply(body=told["body"], status=told["status"], talk=turn.kept.talk)
    body, status, place = await take(turn.deps, turn.tenant, before.asked, turn.key)
    return begun(turn, body, status, place, before.asked)


# --- a new one


async def _answered(turn: Turn) -> Reply:
    talk = await _with_what_a_model_asked(turn, turn.kept.talk)
    # An offer counts in the message right behind it, and for whoever answers this one there is none.
    turn = msgspec.structs.replace(turn, kept=msgspec.structs.replace(turn.kept, talk=without_offer(talk)))
    read = await turn.deps.acceptor.reader(turn.tenant, turn.user, turn.zoned().context)
    now_ms = int(turn.context.now.timestamp() * 1000) if turn.context.now else time.time_ns() // 1_000_000
    meaning = understand(
        turn.words,
        talk,
        await pending_of(turn.deps, turn.tenant, talk.executions),
        lambda words, at_ms: read(words, datetime.fromtimestamp(at_ms / 1000, UTC)),
        now_ms=now_ms,
        timezone=turn.context.timezone,
    )
    reply = await carry_out(turn, meaning)
    await _keep(turn, reply)
    return reply


def without_offer(talk: Talk) -> Talk:
    """What is remembered once an offer was taken up or passed over."""
    return msgspec.structs.replace(talk, offer=None)


async def _with_what_a_model_asked(turn: Turn, talk: Talk) -> Talk:
    """Its questions are open, as if they had been asked in an answer: it plans in a segment of its own."""
    latest = talk.latest
    if latest is None or not latest.model or talk.open is not None:
        return talk
    header = await turn.deps.reader.header(latest.execution, turn.tenant)
    if header["status"] not in TERMINAL:
        return talk
    view = await turn.deps.reader.view(latest.execution, turn.tenant, count=0)
    questions = tuple(_question(one) for one in asked_by_model(view))[:QUESTIONS]
    found = Open(text=latest.words, questions=questions, said_ms=latest.said_ms, timezone=latest.timezone, model=True)
    return msgspec.structs.replace(talk, latest=None, open=found if questions else None)


def _question(said: dict[str, Any]) -> Question:
    """As a model put it: the machine keeps what it checked as plain data."""
    candidates = tuple(str(one) for one in said.get("candidates") or ())
    return Question(field=str(said.get("field", "")), question=str(said.get("question", "")), candidates=candidates)


async def _keep(turn: Turn, reply: Reply) -> None:
    said = turn.kept.said
    if turn.key:
        told = b"null" if reply.asked else msgspec.json.encode({"status": reply.status, "body": reply.body})
        said = (*said, Said(key=turn.key, hash=turn.hash, asked=reply.asked, told=msgspec.Raw(told)))
    if reply.talk != Talk() or said or turn.kept != Kept():  # what leaves nothing to remember is not stored
        await turn.deps.talks.save(turn.tenant, turn.user, turn.conversation, Kept(talk=reply.talk, said=said))


ROUTES: Final = [
    on(
        "POST",
        "/api/chat",
        chat,
        {200: (Replied, STREAM), 201: Replied, 202: Replied},
        takes=Chat,
        options=["Idempotency-Key", "X-Actor", "Accept"],
        errors=[404, 409, 422, 429],
        example={"message": "Book a table for 2 at 7pm", "userId": "test-user"},
        place=True,
    ),
]
