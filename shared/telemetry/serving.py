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
        answer = _Answer(send)
        with tracer.span(f"POST {route}", kind="server", parent=parent, facts=facts) as answer.span:
            await self._app(scope, receive, answer)
        await tracer.settle()
        await answer.end()


class _Answer:
    """Notes the status, and holds the end back until the span is handed over: a host may freeze the process right behind it."""

    span: Span

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last: Message | None = None

    async def __call__(self, message: Message) -> None:
        """See ASGI's `send`."""
        if message["type"] == "http.response.start":
            self.span.note({"http.response.status_code": message["status"]})
            if message["status"] >= _WORST:
                self.span.failed(str(message["status"]))
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._last = message
        else:
            await self._send(message)

    async def end(self) -> None:
        """Now."""
        if self._last is not None:
            await self._send(self._last)


def middleware(*, on: bool) -> list[Middleware]:
    """For `build_app`."""
    return [Middleware(Traced)] if on else []
