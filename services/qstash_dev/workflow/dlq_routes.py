"""`/v2/workflows/dlq`: failed runs, resumed, restarted, deleted; their failure functions called again."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import filters
from services.qstash_dev.deps import deps, user
from services.qstash_dev.openapi import shapes
from services.qstash_dev.openapi.operations import on
from services.qstash_dev.openapi.words import OPTIONS
from services.qstash_dev.routes import dlq
from services.qstash_dev.routes.messages import pairs_of
from services.qstash_dev.workflow import letters
from shared.http import Json

MAX_AGAIN = 50
SOURCE = ("source", "workflow")


async def resume(request: Request) -> Response:
    """Each that matches goes on as a new run, from the step that failed."""
    return await _again(request, resumed=True)


async def restart(request: Request) -> Response:
    """Each that matches begins again as a new run, with the first message's body."""
    return await _again(request, resumed=False)


async def _again(request: Request, *, resumed: bool) -> Response:
    parts, caller = deps(request), user(request)
    chosen = filters.read([*await pairs_of(request), SOURCE], allowed=dlq.ALLOWED, max_count=MAX_AGAIN)
    found, more = await dlq.collect(parts, caller.keys, chosen)
    overrides = dlq.overrides(request)
    await parts.meter.messages(caller.keys, len(found), parts.now_ms())
    runs = [await letters.again(parts, caller, one, overrides, resume=resumed) for one in found]
    return Json({"workflowRuns": runs} | ({"cursor": found[-1].dlq_id} if more else {}))


async def delete(request: Request) -> Response:
    """Deletes those that match, at most `count` at once."""
    parts, caller = deps(request), user(request)
    chosen = filters.read([*await pairs_of(request), SOURCE], allowed=dlq.ALLOWED, max_count=dlq.MAX_COUNT)
    found, more = await dlq.collect(parts, caller.keys, chosen)
    deleted = await parts.store.dlq_delete(caller.keys, [one.dlq_id for one in found])
    return Json({"deleted": deleted} | ({"cursor": found[-1].dlq_id} if more else {}))


async def call_back(request: Request) -> Response:
    """Calls the failure function of a failed run again."""
    parts, caller = deps(request), user(request)
    letter = await dlq.one(parts, caller.keys, request.path_params["dlq_id"])
    await parts.meter.messages(caller.keys, 1, parts.now_ms())
    return Json(await letters.call_back(parts, caller, letter))


async def call_off(request: Request) -> Response:
    """Cancels the failure function's call."""
    parts, caller = deps(request), user(request)
    letter = await dlq.one(parts, caller.keys, request.path_params["dlq_id"])
    return Json(await letters.call_off(parts, caller, letter))


CHOSEN: dict[str, Any] = {"query": dlq.ALLOWED | filters.PAGING, "may_take": shapes.Filters}
AGAIN: dict[str, Any] = {**CHOSEN, "options": OPTIONS, "errors": [404]}

ROUTES = [
    on("DELETE", "/v2/workflows/dlq", delete, shapes.Deleted, **CHOSEN),
    on("POST", "/v2/workflows/dlq/resume", resume, shapes.RunsAgain, **AGAIN),
    on("POST", "/v2/workflows/dlq/restart", restart, shapes.RunsAgain, **AGAIN),
    on("POST", "/v2/workflows/dlq/callback/{dlq_id}", call_back, shapes.RunAgain, errors=[404]),
    on("DELETE", "/v2/workflows/dlq/callback/{dlq_id}", call_off, shapes.RunAgain, errors=[404]),
]
