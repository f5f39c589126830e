"""`/v2/flowControl` and `/v2/globalParallelism`: what is limited, and steering it by hand."""

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import flow_control
from services.qstash_dev.deps import deps, query_pairs, user
from services.qstash_dev.gate_stores import Flow
from services.qstash_dev.lanes import MAX_IN_FLIGHT
from services.qstash_dev.openapi import shapes
from services.qstash_dev.openapi.operations import on
from shared.errors import BadRequest, NotFound
from shared.http import Json

UNPIN = frozenset(("parallelism", "rate"))
PIN = UNPIN | {"period"}


async def list_flows(request: Request) -> Response:
    """Every key used within the last week; `search` is a part of its name."""
    parts = deps(request)
    search = dict(query_pairs(request)).get("search", "")
    return Json([_view(one) for one in await parts.store.flows.all(user(request).keys, search, parts.now_ms())])


async def get_flow(request: Request) -> Response:
    """One key, or 404."""
    parts, key = deps(request), request.path_params["key"]
    found = await parts.store.flows.get(user(request).keys, key, parts.now_ms())
    if found is None:
        raise _missing(key)
    return Json(_view(found))


async def pause_flow(request: Request) -> Response:
    """Everything of the key waits; a period goes on elapsing."""
    return await _steer(request, "pause")


async def resume_flow(request: Request) -> Response:
    """Goes on, oldest message first."""
    return await _steer(request, "resume")


async def reset_rate(request: Request) -> Response:
    """Forgets the starts of the last period, so a full rate may start at once."""
    return await _steer(request, "reset")


async def pin_flow(request: Request) -> Response:
    """Sets limits that messages do not change, until they are unpinned. What is on the wire still counts."""
    given = _options(request, PIN)
    if not given.keys() & {"parallelism", "rate"}:
        raise BadRequest("pin needs parallelism or rate")
    for name in given.keys() - {"period"}:
        flow_control.number(name, given[name])
    period = str(flow_control.period_s(given["period"])) if "period" in given else ""
    return await _steer(request, "pin", (given.get("parallelism", ""), given.get("rate", ""), period))


async def unpin_flow(request: Request) -> Response:
    """Lets the next message set the limits again; both of them when none is named."""
    given = _options(request, UNPIN) or {"parallelism": "true", "rate": "true"}
    chosen = {name: "1" for name, value in given.items() if value.lower() in {"true", "1"}}
    return await _steer(request, "unpin", (chosen.get("parallelism", ""), chosen.get("rate", ""), ""))


async def global_parallelism(request: Request) -> Response:
    """How many deliveries may be on the wire, and how many of the caller's are."""
    caller = user(request)
    return Json({"parallelismMax": MAX_IN_FLIGHT, "parallelismCount": deps(request).scheduler.in_flight(caller)})


async def _steer(request: Request, what: str, values: tuple[str, str, str] = ("", "", "")) -> Response:
    parts, key = deps(request), request.path_params["key"]
    if not await parts.store.flows.steer(user(request).keys, key, what, parts.now_ms(), values):
        raise _missing(key)
    parts.scheduler.look()
    return Json({})


def _options(request: Request, allowed: frozenset[str]) -> dict[str, str]:
    given = {name: value for name, value in query_pairs(request) if name != "qstash_token"}
    if unknown := given.keys() - allowed:
        raise BadRequest(f"unknown parameter {min(unknown)!r}: {', '.join(sorted(allowed))} are known")
    return given


def _missing(key: str) -> NotFound:
    return NotFound(f"flow control key {key} not found")


def _view(one: Flow) -> shapes.FlowControl:
    return {
        "flowControlKey": one.key,
        "waitListSize": one.waiting,
        "parallelismMax": one.parallelism,
        "parallelismCount": one.in_flight,
        "rateMax": one.rate,
        "rateCount": one.used,
        "ratePeriod": one.period_s,
        "ratePeriodStart": one.period_start_ms // 1_000,
        "isPaused": one.paused,
        "isPinnedParallelism": one.pinned_parallelism,
        "isPinnedRate": one.pinned_rate,
    }


# A key may have any character, also a slash, so the longer paths come first.
ROUTES = [
    on("GET", "/v2/flowControl", list_flows, list[shapes.FlowControl], query=["search"]),
    on("POST", "/v2/flowControl/{key:path}/pause", pause_flow, shapes.Done, errors=[404]),
    on("POST", "/v2/flowControl/{key:path}/resume", resume_flow, shapes.Done, errors=[404]),
    on("POST", "/v2/flowControl/{key:path}/pin", pin_flow, shapes.Done, query=PIN, errors=[404]),
    on("POST", "/v2/flowControl/{key:path}/unpin", unpin_flow, shapes.Done, query=UNPIN, errors=[404]),
    on("POST", "/v2/flowControl/{key:path}/resetRate", reset_rate, shapes.Done, errors=[404]),
    on("POST", "/v2/flowControl/{key:path}/reset", reset_rate, shapes.Done, errors=[404]),
    on("GET", "/v2/flowControl/{key:path}", get_flow, shapes.FlowControl, errors=[404]),
    on("GET", "/v2/globalParallelism", global_parallelism, shapes.GlobalParallelism),
]
