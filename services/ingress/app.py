"""Ingress as an ASGI application: decode, one call, encode."""

import secrets
from dataclasses import dataclass, field

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Lifespan

from services.ingress import views
from services.ingress.accepting import Acceptor
from services.ingress.profiles import Profiles
from services.ingress.requests import Cancel, Chat, Execute
from shared.background import Background
from shared.callers import Callers
from shared.errors import BadRequest, NotFound, TooMany
from shared.http import ERROR_HANDLERS, Json, check_json, decode, read_body
from shared.logs import get_logger
from shared.numbers import whole
from shared.planner import Profile
from shared.ports import Accepted, Store
from shared.probes import probe_routes
from shared.redisdb.reader import Reader
from shared.relay import Sender
from shared.settings import Settings
from shared.tools.registry import Registry
from shared.watchdog import Watchdog

log = get_logger()
_execute = msgspec.json.Decoder(Execute)
_chat = msgspec.json.Decoder(Chat)
_cancel = msgspec.json.Decoder(Cancel)
_profile = msgspec.json.Decoder(Profile)
KEY_LIMIT = 255
PAGE_LIMIT = 500


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What the routes need."""

    settings: Settings
    acceptor: Acceptor
    store: Store
    sender: Sender
    reader: Reader
    profiles: Profiles
    registry: Registry
    callers: Callers
    watchdog: Watchdog
    background: Background = field(default_factory=Background)


def _deps(request: Request) -> tuple[Deps, str]:
    """The dependencies and the caller's tenant; every request of a known caller also sweeps a little."""
    deps: Deps = request.app.state.deps
    tenant = deps.callers.tenant(request)
    deps.background.start(deps.watchdog.lazily())
    return deps, tenant


async def _body(request: Request, limit: int) -> bytes:
    """The raw JSON body; empty where there is none."""
    body = await read_body(request, limit)
    if body:
        check_json(request)
    return body


async def execute(request: Request) -> Response:
    """Take words or a plan; 202 means that the execution is durable."""
    deps, tenant = _deps(request)
    asked = decode(_execute, await _body(request, deps.settings.max_request_bytes))
    return await _take(deps, tenant, asked, request)


async def chat(request: Request) -> Response:
    """Take a message as a person writes it."""
    deps, tenant = _deps(request)
    said = decode(_chat, await _body(request, deps.settings.max_request_bytes))
    asked = Execute(intent=said.message, user_id=said.user_id, context=said.context)
    return await _take(deps, tenant, asked, request)


async def _take(deps: Deps, tenant: str, asked: Execute, request: Request) -> Response:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > KEY_LIMIT:
        raise BadRequest(f"the Idempotency-Key is longer than {KEY_LIMIT} characters", at="Idempotency-Key")
    taken = await deps.acceptor.take(tenant, asked, key)
    body = taken.body
    if not taken.created:
        view = await deps.reader.view(taken.execution, tenant, count=0)
        body = {**body, "status": view.fields["status"]}
    return Json(body, status_code=202, headers={"Location": f"/api/executions/{taken.execution}"})


async def list_executions(request: Request) -> Response:
    """A tenant's executions, newest first; `before` is the `next` of the page before, `status` filters."""
    deps, tenant = _deps(request)
    count = _number(request, "limit", 50, PAGE_LIMIT, least=1)
    before = request.query_params.get("before", "").rpartition("_")[2]
    found = await deps.reader.listing(tenant, before=before, count=count)
    rows = [views.row(header) for header in await deps.reader.headers(found)]
    status = request.query_params.get("status")
    shown = [row for row in rows if status is None or row["status"] == status]
    return Json({"executions": shown, "next": found[-1] if len(found) == count else None})


async def get_execution(request: Request) -> Response:
    """One execution with a page of its steps; `first` is the number of the page's first step."""
    deps, tenant = _deps(request)
    first, count = _number(request, "first", 0, 10**9), _number(request, "limit", PAGE_LIMIT, PAGE_LIMIT, least=1)
    view = await deps.reader.view(request.path_params["id"], tenant, first=first, count=count)
    return Json(views.execution(view))


async def get_history(request: Request) -> Response:
    """What happened to one execution, in order; `after` is the `next` of the page before."""
    deps, tenant = _deps(request)
    count = _number(request, "limit", PAGE_LIMIT, PAGE_LIMIT, least=1)
    after = request.query_params.get("after", "-")
    lines = await deps.reader.history(request.path_params["id"], tenant, after=after, count=count)
    return Json({"history": lines, "next": lines[-1]["id"] if len(lines) == count else None})


async def cancel(request: Request) -> Response:
    """Stop an execution and undo what it did. No step starts after this is answered."""
    deps, tenant = _deps(request)
    execution = request.path_params["id"]
    raw = await _body(request, deps.settings.max_request_bytes)
    body = decode(_cancel, raw) if raw else Cancel()
    await deps.reader.header(execution, tenant)
    found = await deps.store.signal(execution, tenant=tenant, sid="cancel", kind="cancel", payload={"reason": body.reason})
    if isinstance(found, Accepted):
        if found.entry is not None:
            deps.background.start(deps.sender.send(found.entry, "the cancellation"))
        log.info("execution.cancel_accepted", execution=execution, reason=body.reason, request=secrets.token_hex(4))
        return Json({"id": execution, "result": "cancelling"}, status_code=202)
    if found.why == "full":
        raise TooMany("this execution's inbox is full", code="inbox_full")
    if found.why == "absent":
        raise NotFound(f"there is no execution {execution}")
    header = await deps.reader.header(execution, tenant)
    return Json({"id": execution, "result": _NOT_AGAIN[found.why], "status": header["status"]})


_NOT_AGAIN = {"duplicate": "was cancelled before", "terminal": "is over already; nothing was cancelled"}


async def get_profile(request: Request) -> Response:
    """A user's stored profile."""
    deps, tenant = _deps(request)
    profile = await deps.profiles.get(tenant, request.path_params["user"])
    if profile is None:
        raise NotFound("this user has no profile; PUT one")
    return Json(profile)


async def put_profile(request: Request) -> Response:
    """Replace a user's profile; what is left out becomes empty."""
    deps, tenant = _deps(request)
    profile = decode(_profile, await _body(request, 16_384))
    views.check_profile(profile)
    await deps.profiles.put(tenant, request.path_params["user"], profile)
    return Json(profile)


async def list_tools(request: Request) -> Response:
    """What steps can do: name, summary, effect class, arguments as JSON Schema."""
    deps, _ = _deps(request)
    return Json({"tools": views.tools(deps.registry)})


async def ready(request: Request) -> None:
    """Whether the store answers."""
    deps: Deps = request.app.state.deps
    await deps.reader.ping()


def _number(request: Request, name: str, default: int, most: int, *, least: int = 0) -> int:
    text = request.query_params.get(name, str(default))
    number = whole(text)
    if number is None or not least <= number <= most:
        raise BadRequest(f"{name}={text[:20]!r}: give a number from {least} to {most}", at=name)
    return number


def build_app(lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """The routes; `app.state.deps` is set by the lifespan, or by a test."""
    return Starlette(
        routes=[
            Route("/api/execute", execute, methods=["POST"]),
            Route("/api/chat", chat, methods=["POST"]),
            Route("/api/executions", list_executions, methods=["GET"]),
            Route("/api/executions/{id}", get_execution, methods=["GET"]),
            Route("/api/executions/{id}/history", get_history, methods=["GET"]),
            Route("/api/executions/{id}/cancel", cancel, methods=["POST"]),
            Route("/api/users/{user}/profile", get_profile, methods=["GET"]),
            Route("/api/users/{user}/profile", put_profile, methods=["PUT"]),
            Route("/api/tools", list_tools, methods=["GET"]),
            *probe_routes(ready),
        ],
        exception_handlers=ERROR_HANDLERS,
        lifespan=lifespan,
    )
