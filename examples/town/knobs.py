"""Faults on demand, outside the town proper: a slow answer, a refusal, an answer that is lost, a request that lands late.

The middleware sees a request before the routes do and may hold it back, drop its answer, or let it through long after its
caller is gone. The routes know nothing of it. All of it is off until somebody asks, and lives in memory only.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.town.kinds import KINDS
from shared.http import Json, error_body
from shared.logs import get_logger

log = get_logger()

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=120_000)]
Fault = Literal["refuse", "land_late", "lose_answer"]
MAX_BODY: Final = 1_000_000
EFFECT_PATHS: Final = frozenset(kind.path for kind in KINDS)
ALSO: Final = ("/effects/", "/tables")
"""Reached by a knob only when `only_path` names them; lists, the page and the knobs themselves never are."""


class Knobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the town misbehaves; the defaults are: not at all. A count goes down with every request it hits."""

    latency_ms: Milliseconds = 0
    """Every request waits this long first."""
    fail_next: Count = 0
    """Requests refused before anything is done (`"applied": false` in the answer)."""
    fail_status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503
    land_late_next: Count = 0
    """Requests that are never answered and take effect only after their caller has gone."""
    land_late_ms: Milliseconds = 0
    """How long after."""
    fail_after_next: Count = 0
    """Requests that take effect and whose answer is lost."""
    fail_after_how: Literal["drop", "error"] = "drop"
    """`drop` breaks the connection inside the answer; `error` answers 500 without a word on what was applied."""
    only_path: str | None = None
    """Only requests whose path begins so; without it, every POST that has an effect."""


class Counts(msgspec.Struct, kw_only=True):
    """What the knobs have done since they were last cleared."""

    delayed: int = 0
    refused: int = 0
    answers_lost: int = 0
    held: int = 0
    """Being held now: their caller is still there."""
    landing: int = 0
    """Their caller has gone; they land when land_late_ms have passed."""
    landed_late: int = 0
    working: int = 0
    """Effects being worked on now, also those whose caller has gone."""
    working_most: int = 0
    """The most there were at once."""


class Board:
    """The knobs as they stand."""

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.counts = Counts()

    @property
    def on(self) -> bool:
        """Whether a request may be hit."""
        knobs = self.knobs
        return bool(knobs.latency_ms or knobs.fail_next or knobs.land_late_next or knobs.fail_after_next)

    def turn(self, knobs: Knobs) -> None:
        """Set all of them at once, and say so loudly."""
        self.knobs = knobs
        log.warning(
            "knobs.turned", message="FAULT KNOBS ARE ON" if self.on else "fault knobs are off", **msgspec.structs.asdict(knobs)
        )

    def clear(self) -> None:
        """All off, all counts to zero; what is held, landing or being worked on stays counted."""
        now = self.counts
        self.counts = Counts(held=now.held, landing=now.landing, working=now.working, working_most=now.working)
        self.turn(Knobs())

    def reaches(self, method: str, path: str) -> bool:
        """Whether a request is one that the knobs are meant for."""
        only = self.knobs.only_path
        effect = method == "POST" and path in EFFECT_PATHS
        return effect if only is None else path.startswith(only) and (effect or path.startswith(ALSO))

    def take(self) -> Fault | None:
        """The fault of the next request; its count goes down by one."""
        knobs = self.knobs
        if knobs.fail_next:
            self.knobs = msgspec.structs.replace(knobs, fail_next=knobs.fail_next - 1)
            return "refuse"
        if knobs.land_late_next:
            self.knobs = msgspec.structs.replace(knobs, land_late_next=knobs.land_late_next - 1)
            return "land_late"
        if knobs.fail_after_next:
            self.knobs = msgspec.structs.replace(knobs, fail_after_next=knobs.fail_after_next - 1)
            return "lose_answer"
        return None

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count an effect as being worked on. (`counts` is made anew by `clear`, so it is looked up each time.)"""
        self.counts.working += 1
        self.counts.working_most = max(self.counts.working_most, self.counts.working)
        try:
            yield
        finally:
            self.counts.working -= 1

    def shown(self) -> dict[str, Any]:
        """The knobs, whether any is on, and the counts."""
        return msgspec.structs.asdict(self.knobs) | {"on": self.on, "counts": self.counts}


class Faults:
    """The middleware. `land_late` needs a server that tells when a caller disconnects, as uvicorn does."""

    def __init__(self, app: ASGIApp, board: Board) -> None:
        self._app = app
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what has an effect, and let through what no knob reaches."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in EFFECT_PATHS:
            with self._board.working():
                await self._meet(scope, receive, send)
        else:
            await self._meet(scope, receive, send)

    async def _meet(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._board.on or not self._board.reaches(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
        else:
            await self._misbehave(scope, receive, send)

    async def _misbehave(self, scope: Scope, receive: Receive, send: Send) -> None:
        knobs, fault = self._board.knobs, self._board.take()
        if knobs.latency_ms:
            self._board.counts.delayed += 1
            await asyncio.sleep(knobs.latency_ms / 1000)
        if fault is not None:
            log.warning("knob.hit", fault=fault, path=scope["path"])
        match fault:
            case "refuse":
                self._board.counts.refused += 1
                await _refusal(knobs.fail_status)(scope, receive, send)
            case "land_late":
                await self._land_late(scope, receive, knobs.land_late_ms)
            case "lose_answer":
                await self._lose_answer(scope, receive, send, knobs.fail_after_how)
            case None:
                await self._app(scope, receive, send)

    async def _land_late(self, scope: Scope, receive: Receive, after_ms: int) -> None:
        """Keep the request until its caller has gone, wait, and only then let it through; nobody hears the answer."""
        body = await _whole_body(receive)
        self._board.counts.held += 1
        await _until_gone(receive)
        self._board.counts.held -= 1
        self._board.counts.landing += 1
        await asyncio.sleep(after_ms / 1000)
        heard = _Heard()
        await self._app(scope, _replayed(body), heard)
        self._board.counts.landing -= 1
        self._board.counts.landed_late += 1
        log.warning("knob.landed_late", path=scope["path"], after_ms=after_ms, status=heard.status)

    async def _lose_answer(self, scope: Scope, receive: Receive, send: Send, how: str) -> None:
        """Let the request through and keep its answer back."""
        await self._app(scope, receive, _Heard())
        self._board.counts.answers_lost += 1
        lost = Json(error_body("answer_lost", "a knob has taken the answer away"), status_code=500)
        await lost(scope, receive, send if how == "error" else _broken_off(send))


class _Heard:
    """Takes an answer and keeps only its status."""

    status = 0

    async def __call__(self, message: Message) -> None:
        """One ASGI message of the answer."""
        self.status = message.get("status", self.status)


def _refusal(status: int) -> Json:
    body = error_body("refused_by_knob", "a knob has refused the request; nothing was done")
    return Json(body | {"applied": False}, status_code=status)


def _broken_off(send: Send) -> Send:
    """Announces the answer and never sends it, so that the server breaks the connection."""

    async def only_start(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)

    return only_start


def _replayed(body: bytes) -> Receive:
    """Hands out a body read earlier; after that the caller is gone."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _whole_body(receive: Receive) -> bytes:
    parts = bytearray()
    more = True
    while more and len(parts) <= MAX_BODY:
        message = await receive()
        parts += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
