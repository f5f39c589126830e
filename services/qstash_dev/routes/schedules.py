"""`/v2/schedules`: a publish that is made again and again, by cron."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import durations, ids, publish, schedules, views
from services.qstash_dev.deps import deps, split_query, user
from services.qstash_dev.headers import text
from services.qstash_dev.openapi import shapes
from services.qstash_dev.openapi.operations import BYTES, on
from services.qstash_dev.openapi.words import HEADERS
from services.qstash_dev.routes.publish import MAX_BODY_BYTES
from services.qstash_dev.schedule_store import Standing
from shared.errors import NotFound
from shared.http import Json, read_body

PREFIX = b"/v2/schedules/"


async def set_schedule(request: Request) -> Response:
    """Makes a schedule. With the id of one that is there it replaces that one, with everything it had."""
    parts, caller = deps(request), user(request)
    ours, rest = split_query(request.scope["query_string"].decode("latin-1"))
    destination = request.scope["raw_path"].removeprefix(PREFIX).decode("latin-1") + (f"?{rest}" if rest else "")
    given = [*((text(name), text(value)) for name, value in request.scope["headers"]), *ours]
    chosen = next((value.strip() for name, value in given if name.lower() == "upstash-schedule-id"), "")
    name = publish.check_name(chosen, "schedule") or ids.schedule_id()
    found = schedules.read(name, destination, given, request.client.host if request.client else "")
    body, now_ms = await read_body(request, MAX_BODY_BYTES), parts.now_ms()
    next_ms = schedules.next_ms(found.cron, now_ms)
    await parts.store.schedules.set(caller.keys, found, body, next_ms=next_ms, version=parts.new_id(), now_ms=now_ms)
    return Json({"scheduleId": name})


async def list_schedules(request: Request) -> Response:
    """Every schedule, the next one first."""
    return Json([_view(one) for one in await deps(request).store.schedules.all(user(request).keys)])


async def get_schedule(request: Request) -> Response:
    """One schedule, or 404."""
    name = request.path_params["name"]
    found = await deps(request).store.schedules.get(user(request).keys, name)
    if found is None:
        raise _missing(name)
    return Json(_view(found))


async def delete_schedule(request: Request) -> Response:
    """Deletes a schedule, not the messages it has made; 200 also when there is none."""
    await deps(request).store.schedules.delete(user(request).keys, request.path_params["name"])
    return Json({})


async def pause_schedule(request: Request) -> Response:
    """Its times pass without messages."""
    return await _pause(request, paused=True)


async def resume_schedule(request: Request) -> Response:
    """It publishes again from its next time on."""
    return await _pause(request, paused=False)


async def _pause(request: Request, *, paused: bool) -> Response:
    name = request.path_params["name"]
    if not await deps(request).store.schedules.pause(user(request).keys, name, paused=paused):
        raise _missing(name)
    return Json({})


def _missing(name: str) -> NotFound:
    return NotFound(f"schedule {name} not found")


def _view(one: Standing) -> dict[str, Any]:
    """In QStash's names. The options are shown as a message of the schedule would have them."""
    found = schedules.example(one.schedule, one.body, 0).message
    facts = views.message(found, one.body)
    for name in ("messageId", "url", "maxRetries", "notBefore", "createdAt"):
        del facts[name]
    times = {"lastScheduleTime": one.last_ms, "nextScheduleTime": one.next_ms, "lastScheduleStates": one.states}
    texts = {"error": one.error, "timeout": found.timeout_ms // durations.SECOND_MS, "delay": found.not_before_ms // 1_000}
    return {
        **facts,
        "scheduleId": one.schedule.schedule_id,
        "cron": one.schedule.cron,
        "destination": one.schedule.destination,
        "createdAt": one.created_at_ms,
        "retries": found.max_retries,
        "callerIp": one.schedule.caller_ip,
        "isPaused": one.paused,
        **{name: value for name, value in (times | texts).items() if value},
    }


ROUTES = [
    on("GET", "/v2/schedules", list_schedules, list[shapes.Schedule]),
    on("PATCH POST", "/v2/schedules/{name}/pause", pause_schedule, shapes.Done, errors=[404]),
    on("PATCH POST", "/v2/schedules/{name}/resume", resume_schedule, shapes.Done, errors=[404]),
    on("GET", "/v2/schedules/{name}", get_schedule, shapes.Schedule, errors=[404]),
    on("DELETE", "/v2/schedules/{name}", delete_schedule, shapes.Done),
    # A destination: the document knows one name for a place in a path.
    on("POST", "/v2/schedules/{name:path}", set_schedule, shapes.Scheduled, may_take=BYTES, options=HEADERS, errors=[404, 501]),
]
