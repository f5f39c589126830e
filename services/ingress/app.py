"""Ingress as an ASGI application: decode, one call, encode."""

from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Lifespan

from services.ingress import (
    ably,
    actions,
    chat,
    counting,
    dlq,
    edge,
    events,
    export,
    finding,
    gate_record,
    gates,
    live,
    local,
    overview,
    planning,
    quota,
    schedules,
    shedding,
    site,
    taking,
    tool_states,
    waits,
    why,
)
from services.ingress.edge import Deps
from shared import views
from shared.api import executions, operating
from shared.api.bodies import GivenProfile
from shared.api.schedules import ScheduledByWords
from shared.errors import NotFound
from shared.http import ERROR_HANDLERS, Json, decode
from shared.logs import get_logger
from shared.machine.plan import Plan
from shared.openapi.operations import on
from shared.openapi.serving import describing
from shared.openapi.words import api_of
from shared.planner import Profile
from shared.probes import probe_routes
from shared.redisdb.step_logs import ShownLog
from shared.requests import Execute
from shared.settings import Settings
from shared.telemetry import scraping, serving

log = get_logger()
_execute = msgspec.json.Decoder(Execute)
_profile = msgspec.json.Decoder(GivenProfile)


async def execute(request: Request) -> Response:
    """Take words or a plan; 202 means that the execution is durable. Words to be repeated become a schedule: 201."""
    deps, tenant = edge.known(request)
    asked = decode(_execute, await edge.body(request, deps.settings.max_request_bytes))
    body, status, place = await taking.take(deps, tenant, asked, edge.idempotency_key(request))
    return Json(body, status_code=status, headers={"Location": place})


async def get_execution(request: Request) -> Response:
    """One execution with a page of its steps; `first` is the number of the page's first step."""
    deps, tenant = edge.known(request)
    first = edge.number(request, "first", 0, 10**9)
    count = edge.number(request, "limit", edge.PAGE_LIMIT, edge.PAGE_LIMIT, least=1)
    view = await deps.reader.view(request.path_params["id"], tenant, first=first, count=count)
    return Json(views.execution(view))


async def get_output(request: Request) -> Response:
    """The output of one step as JSON, also where it is too large to be shown with its execution."""
    deps, tenant = edge.known(request)
    found = await deps.reader.output(request.path_params["id"], tenant, request.path_params["step"])
    return Response(found, media_type="application/json")


async def get_history(request: Request) -> Response:
    """What happened to one execution, in order; `after` is the `next` of the page before."""
    deps, tenant = edge.known(request)
    count = edge.number(request, "limit", edge.PAGE_LIMIT, edge.PAGE_LIMIT, least=1)
    after = request.query_params.get("after", "-")
    lines = await deps.reader.history(request.path_params["id"], tenant, after=after, count=count)
    following = lines[-1]["id"] if len(lines) == count else None
    return Json({"history": lines, "next": following})


async def get_plan(request: Request) -> Response:
    """The plan as it was pinned: steps with their arguments, contracts of their tools. Without steps while there is none."""
    deps, tenant = edge.known(request)
    found = await deps.reader.plan(request.path_params["id"], tenant)
    return Response(found, media_type="application/json")


async def get_items(request: Request) -> Response:
    """A page of the items of a map; `first` is the number of the page's first item."""
    deps, tenant = edge.known(request)
    first = edge.number(request, "first", 0, 10**9)
    count = edge.number(request, "limit", 100, edge.PAGE_LIMIT, least=1)
    execution, step = request.path_params["id"], request.path_params["step"]
    found, total = await deps.reader.items(execution, tenant, step, first=first, count=count)
    after = first + count
    following = after if after < total else None
    return Json(executions.Items(items=views.steps(found, execution), total=total, next=following))


async def get_logs(request: Request) -> Response:
    """What the calls of one step have logged, of each attempt; `lines` oldest first, `truncated` if there was more."""
    deps, tenant = edge.known(request)
    return Json(await deps.step_logs.of(request.path_params["id"], tenant, request.path_params["step"]))


async def get_profile(request: Request) -> Response:
    """A user's stored profile."""
    deps, tenant = edge.known(request)
    profile = await deps.profiles.get(tenant, request.path_params["user"])
    if profile is None:
        raise NotFound("this user has no profile; PUT one")
    return Json(profile)


async def put_profile(request: Request) -> Response:
    """Replace a user's profile; what is left out becomes empty."""
    deps, tenant = edge.known(request)
    profile = decode(_profile, await edge.body(request, 16_384))
    views.check_profile(profile)
    await deps.profiles.put(tenant, request.path_params["user"], profile)
    return Json(profile)


async def list_tools(request: Request) -> Response:
    """What steps can do: name, summary, effect class, arguments as JSON Schema."""
    deps, _ = edge.known(request)
    return Json(operating.Tools(tools=views.tools(deps.registry)))


async def ready(request: Request) -> None:
    """Whether the store answers."""
    deps: Deps = request.app.state.deps
    await deps.reader.ping()


ABOUT: Final = (
    "Takes intents and plans, tells of executions, and takes what people say to them. A 202 means that it is durable. Times in "
    "fields named `...At` are ISO 8601 in UTC, in fields named `..._ms` unix ms."
)
API: Final = api_of("intention engine: ingress", ABOUT, "key", "metrics", examples=Path(__file__).with_name("examples.json"))
_PAGE: Final = ["first", "limit"]
ROUTES: Final = [
    on(
        "POST",
        "/api/execute",
        execute,
        {201: ScheduledByWords, 202: executions.Begun},
        takes=Execute,
        options=["Idempotency-Key"],
        errors=[409, 422, 429],
        example={"intent": "Book a table for 2 at 7pm and text me the confirmation", "userId": "test-user"},
        place=True,
    ),
    *counting.ROUTES,
    *finding.ROUTES,
    on("GET", "/api/executions/{id}", get_execution, executions.Execution, query=_PAGE),
    on("GET", "/api/executions/{id}/history", get_history, executions.History, query=["after", "limit"]),
    on("GET", "/api/executions/{id}/plan", get_plan, Plan),
    on("GET", "/api/executions/{id}/steps/{step}/output", get_output, Any),
    on("GET", "/api/executions/{id}/steps/{step}/logs", get_logs, ShownLog),
    on("GET", "/api/executions/{id}/steps/{step}/items", get_items, executions.Items, query=_PAGE),
    on("GET", "/api/users/{user}/profile", get_profile, Profile),
    on(
        "PUT",
        "/api/users/{user}/profile",
        put_profile,
        Profile,
        takes=GivenProfile,
        example={"name": "Ann", "party_size": 2},
    ),
    on("GET", "/api/tools", list_tools, operating.Tools),
    *ably.ROUTES,
    *actions.ROUTES,
    *chat.ROUTES,
    *dlq.ROUTES,
    *events.ROUTES,
    *export.ROUTES,
    *gate_record.ROUTES,
    *gates.ROUTES,
    *live.ROUTES,
    *overview.ROUTES,
    *planning.ROUTES,
    *quota.ROUTES,
    *schedules.ROUTES,
    *site.ROUTES,
    *tool_states.ROUTES,
    *waits.ROUTES,
    *why.ROUTES,
    *scraping.ROUTES,
    *probe_routes(ready),
    describing(API),
]


def build_app(lifespan: Lifespan[Starlette] | None = None, settings: Settings | None = None) -> Starlette:
    """`app.state.deps` is set by the lifespan, or by a test; without `settings` nothing is traced."""
    return Starlette(
        routes=[*local.routes(settings), *map(shedding.bounded, ROUTES)],
        exception_handlers=ERROR_HANDLERS,
        middleware=serving.middleware(on=settings is not None and settings.telemetry),
        lifespan=lifespan,
    )
