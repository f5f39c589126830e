"""The route table and the error table."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.ably_dev import wire
from services.ably_dev.deps import Deps, deps
from services.ably_dev.errors import Refused, from_ours
from services.ably_dev.realtime.endpoint import connect
from services.ably_dev.routes import channels, faults, server
from shared.errors import IntentionError
from shared.logs import get_logger
from shared.probes import probe_routes

log = get_logger()


async def _ready(request: Request) -> None:
    await deps(request).log.ping()


ROUTES: list[BaseRoute] = [
    *probe_routes(_ready),
    Route("/time", server.time),
    Route("/keys/{key_name}/requestToken", server.request_token, methods=["POST"]),
    Route("/channels/{channel:path}/messages", channels.publish, methods=["POST"]),
    Route("/channels/{channel:path}/messages", channels.read_history),
    Route("/channels/{channel:path}/history", channels.read_history),
    Route("/channels/{channel:path}/presence", channels.read_presence),
    Route("/channels/{channel:path}", channels.details),
    Route("/dev/faults", faults.get_faults),
    Route("/dev/faults", faults.put_faults, methods=["PUT"]),
    Route("/dev/faults", faults.delete_faults, methods=["DELETE"]),
    Route("/dev/faults/now", faults.do_now, methods=["POST"]),
    # At any path: clients differ in what they append to their endpoint.
    WebSocketRoute("/{rest:path}", connect),
    Route("/{rest:path}", server.not_built, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
]


class Loud:
    """Faults that are on are named in a header of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        plan = scope["app"].state.deps.faults if scope["type"] == "http" else None
        if plan is None or not plan.plan.faults:
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["ably-dev-faults"] = "; ".join(plan.words())[:1_000]
            await send(message)

        await self._app(scope, receive, marked)


def build_app(make: Callable[[], AbstractAsyncContextManager[Deps]]) -> Starlette:
    """The application; `make` gives its finished parts for as long as it runs, inside its event loop."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with make() as parts:
            app.state.deps = parts
            yield

    app = Starlette(routes=ROUTES, middleware=[Middleware(Loud)], exception_handlers=HANDLERS, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


def _told(request: Request, refused: Refused) -> Response:
    headers = {"X-Ably-Errorcode": str(refused.code)}
    return wire.answer(request, {"error": refused.info()}, refused.status, headers)


async def _on_refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return _told(request, error)


async def _on_ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, IntentionError):
        raise error
    return _told(request, from_ours(error))


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _told(request, Refused(40400 if error.status_code == 404 else 40500, error.status_code, error.detail))


async def _on_crash(request: Request, error: Exception) -> Response:
    if not isinstance(error, ClientDisconnect):
        log.error("request.crashed", exc_info=error)
    return _told(request, Refused(50000, 500, "something broke here; the log of ably_dev has the details"))


HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    Refused: _on_refused,
    IntentionError: _on_ours,
    HTTPException: _on_http,
    Exception: _on_crash,
}
