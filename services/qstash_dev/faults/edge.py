"""Faults that strike a call of the API: a 5xx, a used-up quota, a slow answer; and the header that says that faults are on."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.qstash_dev.durations import DAY_MS
from services.qstash_dev.faults.board import Board
from services.qstash_dev.faults.plan import FAILING, SLOWING, Event, Fault

HEADER = b"qstash-dev-faults"
INSIDE = "qstash_dev.inside"
"""In the scope of a call that this server makes to itself: faults are for others."""
MAX_HEADER = 1_000
PUBLISHING = ("/v2/publish/", "/v2/enqueue/", "/v2/batch", "/v2/schedules/", "/v2/trigger/", "/v2/dlq/retry", "/v2/notify/")
QUOTA = 1_000
"""Messages a day of the free plan: what the headers of a used-up quota say."""


class Item(msgspec.Struct):
    """All that is read of a batch's element here."""

    destination: str = ""


_items = msgspec.json.Decoder(list[Item])


class FaultyEdge:
    """ASGI middleware around the routes. Without faults it costs one comparison."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spoil the call, or pass it on."""
        path = scope.get("path", "")
        spoilable = path.startswith("/v2/") and INSIDE not in scope
        board: Board | None = scope["app"].state.deps.faults if spoilable else None
        if board is None or not board.plan.faults:
            await self._app(scope, receive, send)
            return
        send = _marked(send, "; ".join(board.words())[:MAX_HEADER].encode())
        if path.startswith("/v2/dev/"):
            await self._app(scope, receive, send)
            return
        event, receive = await _event(scope, receive, board)
        if slow := board.fires(SLOWING, event):
            await asyncio.sleep(slow.ms / 1_000)
        fault = board.fires(FAILING, event)
        if fault is None or fault.after:
            await self._app(scope, receive, _silent if fault else send)
        if fault:
            await _fail(send, fault, scope["app"].state.deps.now_ms())


async def _event(scope: Scope, receive: Receive, board: Board) -> tuple[Event, Receive]:
    """What kind of call this is, and a `receive` that still gives all of its body."""
    path = scope["path"]
    if scope["method"] != "POST" or not path.startswith(PUBLISHING):
        return Event(publishes=False), receive
    if path != "/v2/batch" or not any(fault.to for fault in board.plan.faults):
        return Event((_destination(path),)), receive
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    body = b"".join(message.get("body", b"") for message in messages)
    return Event(_destinations(body)), _replay(messages, receive)


def _destination(path: str) -> str:
    return path[found:] if (found := path.find("http://")) > 0 or (found := path.find("https://")) > 0 else ""


def _destinations(body: bytes) -> tuple[str, ...]:
    try:
        return tuple(item.destination for item in _items.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the route says what is wrong with it
        return ()


def _replay(messages: list[Message], receive: Receive) -> Receive:
    left = iter(messages)

    async def again() -> Message:
        for message in left:
            return message
        return await receive()

    return again


def _marked(send: Send, words: bytes) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (HEADER, words)]}
        await send(message)

    return marked


async def _silent(_: Message) -> None:
    """Where an answer goes that nobody is to hear."""


async def _fail(send: Send, fault: Fault, now_ms: int) -> None:
    if fault.kind == "quota":
        error, status, headers = "fault on demand: the daily quota is exceeded", 429, quota_headers(now_ms)
    else:
        done = "what was asked has been done" if fault.after else "nothing was done"
        error, status, headers = f"fault on demand: status {fault.status}, and {done}", fault.status, {}
    body = msgspec.json.encode({"error": error})
    fields: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    fields += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def quota_headers(now_ms: int) -> Mapping[str, str]:
    """The documented headers of a used-up day (reference 3.12): the SDKs tell it from a burst limit by them."""
    midnight_s = (now_ms // DAY_MS + 1) * DAY_MS // 1_000
    return {"RateLimit-Limit": str(QUOTA), "RateLimit-Remaining": "0", "RateLimit-Reset": str(midnight_s)}
