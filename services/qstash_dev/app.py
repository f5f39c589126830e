"""The route table and the error table."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from services.qstash_dev.deps import Deps, user
from services.qstash_dev.faults.edge import FaultyEdge
from services.qstash_dev.quota import Burst, Limited, on_limited
from services.qstash_dev.routes import dlq, events, faults, flows, groups, messages, publish, queues, schedules, server, ui
from services.qstash_dev.workflow import routes as workflows
from shared.errors import IntentionError
from shared.http import Json
from shared.logs import get_logger

log = get_logger()

Handler = Callable[[Request], Awaitable[Response]]
EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# What QStash has and this server does not have yet (reference 2): answered with 501.
LATER = ("/llm/{rest:path}",)


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=[method])


ROUTES = [
    _route("POST", "/v2/publish/{destination:path}", publish.publish_one),
    _route("POST", "/v2/enqueue/{queue}/{destination:path}", publish.enqueue),
    _route("POST", "/v2/batch", publish.publish_batch),
    _route("GET", "/v2/messages/{message_id}", messages.get_message),
    _route("DELETE", "/v2/messages/{message_id}", messages.cancel_message),
    _route("DELETE", "/v2/messages", messages.cancel_messages),
    _route("GET", "/v2/events", events.list_events),
    _route("GET", "/v2/logs", events.list_events),
    _route("GET", "/v2/dlq", dlq.list_dlq),
    _route("DELETE", "/v2/dlq", dlq.delete_many),
    _route("POST", "/v2/dlq/retry", dlq.retry_many),
    _route("POST", "/v2/dlq/retry/{dlq_id}", dlq.retry_dead),
    _route("GET", "/v2/dlq/{dlq_id}", dlq.get_dead),
    _route("DELETE", "/v2/dlq/{dlq_id}", dlq.delete_dead),
    *queues.ROUTES,
    *groups.ROUTES,
    *flows.ROUTES,
    *schedules.ROUTES,
    _route("GET", "/v2/keys", server.get_keys),
    _route("POST", "/v2/keys/rotate", server.rotate_keys),
    _route("GET", "/v2/dev/faults", faults.get_faults),
    _route("PUT", "/v2/dev/faults", faults.put_faults),
    _route("DELETE", "/v2/dev/faults", faults.delete_faults),
    *ui.ROUTES,
    _route("GET", "/healthz", server.healthz),
    _route("GET", "/readyz", server.readyz),
    *workflows.ROUTES,
    *(Route(path, server.not_built, methods=EVERY) for path in LATER),
]


def _guarded(route: Route) -> Route:
    """Asks who calls before anything of the request is read. Health, the page and webhooks from outside ask for themselves."""
    if not route.path.startswith("/v2/") or route.path.startswith("/v2/workflows/hooks/"):
        return route
    handler: Handler = route.endpoint

    async def known_callers_only(request: Request) -> Response:
        user(request)
        return await handler(request)

    return Route(route.path, known_callers_only, methods=route.methods)


def build_app(make: Callable[[], AbstractAsyncContextManager[Deps]]) -> Starlette:
    """The application; `make` gives its finished parts for as long as it runs, inside its event loop."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with make() as deps:
            app.state.deps = deps
            yield

    app = Starlette(
        routes=[_guarded(route) for route in ROUTES],
        middleware=[Middleware(FaultyEdge), Middleware(Burst)],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a destination may end in a slash, and a redirect would lose the body
    return app


async def _on_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, IntentionError):
        raise error
    return _answer(error.status, error.message)


async def _on_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _answer(status, f"{request.method} {request.url.path}: no such endpoint")


async def _on_redis_error(_: Request, error: Exception) -> Response:
    return _answer(503, f"Redis does not answer: {error}")


async def _on_crash(_: Request, error: Exception) -> Response:
    if not isinstance(error, ClientDisconnect):
        log.error("request.crashed", exc_info=error)
    return _answer(500, "something broke here; the log of qstash_dev has the details")


def _answer(status: int, message: str) -> Response:
    """The one error shape of QStash: the SDKs show the body's text as it is."""
    return Json({"error": message}, status_code=status, headers={"Retry-After": "1"} if status == 503 else None)


HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    Limited: on_limited,
    IntentionError: _on_error,
    HTTPException: _on_http_error,
    RedisError: _on_redis_error,
    Exception: _on_crash,
}
