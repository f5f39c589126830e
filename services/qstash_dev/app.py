"""The route table and the error table."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from services.qstash_dev.deps import Deps
from services.qstash_dev.routes import dlq, events, messages, publish, server
from shared.errors import IntentionError
from shared.http import Json
from shared.logs import get_logger

log = get_logger()

Handler = Callable[[Request], Awaitable[Response]]
EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# What QStash has and this server does not have yet (reference 2): answered with 501.
LATER = (
    "/v2/enqueue/{rest:path}",
    "/v2/queues",
    "/v2/queues/{rest:path}",
    "/v2/schedules",
    "/v2/schedules/{rest:path}",
    "/v2/topics",
    "/v2/topics/{rest:path}",
    "/v2/flowControl",
    "/v2/flowControl/{rest:path}",
    "/v2/globalParallelism",
    "/v2/keys/rotate",
    "/v2/trigger/{rest:path}",
    "/v2/batch/trigger",
    "/v2/workflows/{rest:path}",
    "/v2/wait/{rest:path}",
    "/v2/notify/{rest:path}",
    "/v2/waiters/{rest:path}",
    "/llm/{rest:path}",
)


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=[method])


ROUTES = [
    _route("POST", "/v2/publish/{destination:path}", publish.publish_one),
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
    _route("GET", "/v2/keys", server.get_keys),
    _route("GET", "/healthz", server.healthz),
    _route("GET", "/readyz", server.readyz),
    *(Route(path, server.not_built, methods=EVERY) for path in LATER),
]


def build_app(make: Callable[[], AbstractAsyncContextManager[Deps]]) -> Starlette:
    """The application; `make` gives its finished parts for as long as it runs, inside its event loop."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with make() as deps:
            app.state.deps = deps
            yield

    app = Starlette(routes=ROUTES, exception_handlers=HANDLERS, lifespan=lifespan)
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
    IntentionError: _on_error,
    HTTPException: _on_http_error,
    RedisError: _on_redis_error,
    Exception: _on_crash,
}
