"""A server's span around requests that make executions; what such a request brings as `traceparent` is its parent."""

import re
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import tracing
from shared.tracing import Fact, Span, Tracer

_ROUTES: Final = {
    "/api/execute": "/api/execute",
    "/api/chat": "/api/chat",
}
_AGAIN: Final = re.compile(r"/api/executions/[^/]+/(restart|fork)")
_WORST: Final = 500


def route_of(method: str, path: str) -> str:
    """The route of a request that may make an execution; empty for any other. Never the path, which may hold a secret."""
    if method != "POST":
        return ""
    again = _AGAIN.fullmatch(path)
    return f"/api/executions/{{id}}/{again[1]}" if again else _ROUTES.get(path, "")


class Traced:
    """Outermost, and only where traces are on. Finds the tracer with the application's `deps`."""

    def __init__(self, app: ASGIApp) -> None:
        """See `middleware`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        route = route_of(scope["method"], scope["path"]) if scope["type"] == "http" else ""
        if not route:
            await self._app(scope, receive, send)
            return
        tracer: Tracer = scope["app"].state.deps.tracer
        parent = tracing.read(Headers(scope=scope).getlist(tracing.HEADER))
        facts: dict[str, Fact] = {"http.request.method": "POST", "http.route": route, "url.scheme": scope.get("scheme", "http")}
        with tracer.span(f"POST {route}", kind="server", parent=parent, facts=facts) as span:
            await self._app(scope, receive, _watching(send, span))
        await tracer.settle()


def _watching(send: Send, span: Span) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.note({"http.response.status_code": message["status"]})
            if message["status"] >= _WORST:
                span.failed(str(message["status"]))
        await send(message)

    return told


def middleware(*, on: bool) -> list[Middleware]:
    """For `build_app`."""
    return [Middleware(Traced)] if on else []
