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

from services.qstash_dev import filters
from services.qstash_dev.deps import Deps, user
from services.qstash_dev.faults.edge import FaultyEdge
from services.qstash_dev.faults.plan import Plan
from services.qstash_dev.openapi import document, shapes
from services.qstash_dev.openapi.operations import BYTES, Handler, Operation, on
from services.qstash_dev.openapi.words import OPTIONS
from services.qstash_dev.quota import Burst, Limited, on_limited
from services.qstash_dev.routes import dlq, events, faults, flows, groups, messages, publish, queues, schedules, server, ui
from services.qstash_dev.workflow import routes as workflows
from shared.errors import IntentionError
from shared.http import Json
from shared.logs import get_logger

log = get_logger()

# What QStash has and this server does not have yet (reference 2): answered with 501.
LATER = ("/llm/{rest:path}",)
EVERY = "GET POST PUT PATCH DELETE"

STORED = dict.fromkeys((200, 202), shapes.Published | list[shapes.Published])
BATCH = list[shapes.Settled | list[shapes.Published]]
PUBLISH: dict[str, Any] = {"may_take": BYTES, "options": OPTIONS, "errors": [404, 501]}
RETRY: dict[str, Any] = {"options": OPTIONS, "errors": [404, 501]}
MESSAGES = filters.MESSAGE_FILTERS | filters.PAGING
EVENTS = events.ALLOWED | filters.PAGING
LETTERS = dlq.ALLOWED | filters.PAGING

ROUTES = [
    on("POST", "/v2/publish/{destination:path}", publish.publish_one, STORED, **PUBLISH),
    on("POST", "/v2/enqueue/{queue}/{destination:path}", publish.enqueue, STORED, **PUBLISH),
    on("POST", "/v2/batch", publish.publish_batch, BATCH, takes=list[publish.BatchItem]),
    on("GET", "/v2/messages/{message_id}", messages.get_message, shapes.Message, errors=[404]),
    on("DELETE", "/v2/messages/{message_id}", messages.cancel_message, shapes.Cancelled, errors=[404]),
    on("DELETE", "/v2/messages", messages.cancel_messages, shapes.Cancelled, query=MESSAGES, may_take=shapes.Filters),
    on("GET", "/v2/events", events.list_events, shapes.Events, query=EVENTS, errors=[501]),
    on("GET", "/v2/logs", events.list_events, shapes.Logs, query=EVENTS, errors=[501]),
    on("GET", "/v2/dlq", dlq.list_dlq, shapes.DeadLetters, query=LETTERS),
    on("DELETE", "/v2/dlq", dlq.delete_many, shapes.Deleted, query=LETTERS, may_take=shapes.Filters),
    on("POST", "/v2/dlq/retry", dlq.retry_many, {201: shapes.AgainMany}, query=LETTERS, may_take=shapes.Filters, **RETRY),
    on("POST", "/v2/dlq/retry/{dlq_id}", dlq.retry_dead, {201: shapes.Again}, **RETRY),
    on("GET", "/v2/dlq/{dlq_id}", dlq.get_dead, shapes.DeadLetter, errors=[404]),
    on("DELETE", "/v2/dlq/{dlq_id}", dlq.delete_dead, shapes.Deleted, errors=[404]),
    *queues.ROUTES,
    *groups.ROUTES,
    *flows.ROUTES,
    *schedules.ROUTES,
    on("GET", "/v2/keys", server.get_keys, shapes.SigningKeys),
    on("POST", "/v2/keys/rotate", server.rotate_keys, shapes.SigningKeys),
    on("GET", "/v2/dev/faults", faults.get_faults, shapes.Faults),
    on("PUT", "/v2/dev/faults", faults.put_faults, shapes.Faults, takes=Plan),
    on("DELETE", "/v2/dev/faults", faults.delete_faults, shapes.Faults),
    *ui.ROUTES,
    on("GET", "/healthz", server.healthz, shapes.Status),
    on("GET", "/readyz", server.readyz, shapes.Status, errors=[503]),
    on("GET", "/openapi.json", server.describe, dict[str, Any]),
    *workflows.ROUTES,
    *(on(EVERY, path, server.not_built, {501: shapes.Error}, errors=[401]) for path in LATER),
]


API = document.API


def _guarded(route: Operation) -> Operation:
    """Asks who calls before anything of the request is read."""
    if not route.said.guards:
        return route
    handler: Handler = route.endpoint

    async def known_callers_only(request: Request) -> Response:
        user(request)
        return await handler(request)

    return Operation(route.path, known_callers_only, route.said)


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
    if not isinstance(error, HTTPException):
        raise error
    answer = _answer(error.status_code, f"{request.method} {request.url.path}: no such endpoint")
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """What may be done at this path: Starlette tells those of one route, and a path may have several."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    return {method for route in routes if route.path_regex.match(request.scope["path"]) for method in route.methods or ()}


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
