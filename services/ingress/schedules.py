"""`/api/schedules`: words or a plan, at the times of a cron expression."""

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from shared.accepting import Repeating
from shared.api.bodies import NewSchedule
from shared.api.schedules import Scheduled, ScheduledByWords, ScheduleDeleted, ScheduleRun, Schedules
from shared.clock import new_schedule_id, schedule_id_of
from shared.errors import BadRequest, Conflict, Unprocessable
from shared.http import Json, decode
from shared.logs import get_logger
from shared.openapi.operations import on
from shared.requests import Execute
from shared.schedules import timing
from shared.schedules.firing import request_of
from shared.schedules.model import Schedule
from shared.views import moment

log = get_logger()
_PLACE: Final = re.compile(r"sch_[0-3][0-9a-f]_[0-9a-f]{32}")
_new = msgspec.json.Decoder(NewSchedule)


async def create(request: Request) -> Response:
    """Store a schedule. What could not be done at its first time is refused now, with its place and the remedy."""
    deps, tenant = edge.known(request)
    asked = decode(_new, await edge.body(request, deps.settings.max_request_bytes))
    if (asked.intent is None) == (asked.plan is None):
        raise BadRequest("$: give exactly one of intent or plan", at="$")
    profile = await deps.profiles.get(tenant, asked.user_id)
    zone_name = asked.timezone or (profile.timezone if profile else "UTC")
    zone = timing.zone_of(zone_name, "$.timezone")
    now = await deps.schedules.now()
    schedule = Schedule(
        id=new_schedule_id(),
        tenant=tenant,
        user=asked.user_id,
        cron=" ".join(asked.cron.split()),
        timezone=zone_name,
        text=asked.intent or "",
        plan=asked.plan,
        overlap=asked.overlap,
        missed=asked.missed,
        created_ms=now,
        next_ms=timing.check_cron(asked.cron, zone, now, "$.cron"),
    )
    await _add(deps, schedule)
    return Json(view(schedule), status_code=201, headers={"Location": f"/api/schedules/{schedule.id}"})


async def of_words(deps: edge.Deps, tenant: str, asked: Execute, found: Repeating, key: str) -> ScheduledByWords:
    """Store the schedule that words ask for; with an Idempotency-Key, once."""
    if asked.confirm or asked.priority != "normal":
        raise BadRequest(
            "$: words that repeat take neither `confirm` nor `priority`: their plans are made anew each time", at="$"
        )
    wanted, now = found.wanted, await deps.schedules.now()
    zone = timing.zone_of(wanted.timezone, "$.context.timezone")
    schedule = Schedule(
        id=schedule_id_of(tenant, key) if key else new_schedule_id(),
        tenant=tenant,
        user=asked.user_id,
        cron=wanted.cron,
        timezone=wanted.timezone,
        text=wanted.text,
        created_ms=now,
        next_ms=timing.check_cron(wanted.cron, zone, now, "$.intent"),
    )
    before = await deps.schedules.find(schedule.id) if key else None
    if before is not None and (before.user, before.text, before.cron) != (schedule.user, schedule.text, schedule.cron):
        raise Conflict(f"the Idempotency-Key {key[:80]!r} was used for another request", code="idempotency_conflict")
    if before is None:
        await _add(deps, schedule)
    told: dict[str, Any] = {"summary": found.planned.summary, "sources": tuple(found.planned.sources)}
    return ScheduledByWords(**_view(before or schedule), **told, repeated=before is not None)


async def _add(deps: edge.Deps, schedule: Schedule) -> None:
    """Store what could be done at its first time."""
    first = datetime.fromtimestamp(schedule.next_ms / 1000, UTC)
    await deps.acceptor.check(schedule.tenant, request_of(schedule), at=first)
    await deps.schedules.add(schedule)
    log.info("schedule.accepted", schedule=schedule.id, tenant=schedule.tenant, cron=schedule.cron, timezone=schedule.timezone)


async def list_schedules(request: Request) -> Response:
    """A tenant's schedules, newest first; `before` is the `next` of the page before."""
    deps, tenant = edge.known(request)
    count = edge.number(request, "limit", 50, edge.PAGE_LIMIT, least=1)
    found, following = await deps.schedules.page(tenant, before=edge.before(request, _PLACE), count=count)
    return Json(Schedules(schedules=tuple(view(schedule) for schedule in found), next=following))


async def get_schedule(request: Request) -> Response:
    """One schedule, with what came of it lately."""
    deps, tenant = edge.known(request)
    return Json(view(await deps.schedules.get(request.path_params["id"], tenant)))


async def delete(request: Request) -> Response:
    """Delete a schedule; its executions go on."""
    deps, tenant = edge.known(request)
    await deps.schedules.drop(request.path_params["id"], tenant)
    return Json(ScheduleDeleted(id=request.path_params["id"], result="deleted"))


async def pause(request: Request) -> Response:
    """No run comes of it until it is resumed; runs that wait are forgotten, what runs goes on."""
    deps, tenant = edge.known(request)
    await deps.schedules.set_state(request.path_params["id"], tenant, "paused", next_ms=0)
    return Json(view(await deps.schedules.get(request.path_params["id"], tenant)))


async def resume(request: Request) -> Response:
    """On from the next time after now; what came during the pause is not caught up on."""
    deps, tenant = edge.known(request)
    schedule = await deps.schedules.get(request.path_params["id"], tenant)
    if schedule.state == "paused":
        zone = timing.zone_of(schedule.timezone, "timezone")
        following = timing.next_ms(schedule.cron, zone, await deps.schedules.now())
        await deps.schedules.set_state(schedule.id, tenant, "active", next_ms=following)
    return Json(view(await deps.schedules.get(schedule.id, tenant)))


async def run(request: Request) -> Response:
    """Run it now, paused or not, by its overlap policy; its next time does not change."""
    deps, tenant = edge.known(request)
    schedule = await deps.schedules.get(request.path_params["id"], tenant)
    settled = await deps.firing.run_now(schedule)
    if settled.error is not None:
        raise Unprocessable(
            settled.error["message"], code=settled.error["code"], schedule=schedule.id, **settled.error["details"]
        )
    links = {"execution": f"/api/executions/{settled.execution}"} if settled.execution else {}
    answer = ScheduleRun(id=schedule.id, result=_RESULTS[settled.what], execution_id=settled.execution or None, links=links)
    return Json(answer, status_code=200 if settled.what == "skipped" else 202)


_RESULTS: Final = {
    "started": "started",
    "skipped": "skipped: the execution before still runs",
    "later": "waiting for its turn",
}


def view(schedule: Schedule) -> Scheduled:
    """A schedule for a reader."""
    return Scheduled(**_view(schedule))


def _view(schedule: Schedule) -> dict[str, Any]:
    base = f"/api/schedules/{schedule.id}"
    return {
        "id": schedule.id,
        "status": schedule.state,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "user_id": schedule.user,
        "intent": schedule.text or None,
        "plan": schedule.plan,
        "overlap": schedule.overlap,
        "missed": schedule.missed,
        "created_at": moment(schedule.created_ms),
        "next_at": moment(schedule.next_ms),
        "waiting": tuple(moment(time_ms) for time_ms in schedule.waiting),
        "last_scheduled_for": moment(schedule.last_ms),
        "last_execution": schedule.last_execution or None,
        "last_error": schedule.last_error,
        "runs": schedule.runs,
        "skipped": schedule.skipped,
        "failures": schedule.failures,
        "links": {"self": base, "pause": f"{base}/pause", "resume": f"{base}/resume", "run": f"{base}/run"},
    }


ROUTES: Final = [
    on(
        "POST",
        "/api/schedules",
        create,
        {201: Scheduled},
        takes=NewSchedule,
        errors=[422, 429],
        example={
            "cron": "0 18 * * 5",
            "timezone": "Europe/Berlin",
            "intent": "Book a table for 2 at 8pm",
            "userId": "test-user",
        },
        place=True,
    ),
    on("GET", "/api/schedules", list_schedules, Schedules, query=["before", "limit"]),
    on("GET", "/api/schedules/{id}", get_schedule, Scheduled),
    on("DELETE", "/api/schedules/{id}", delete, ScheduleDeleted),
    on("POST", "/api/schedules/{id}/pause", pause, Scheduled),
    on("POST", "/api/schedules/{id}/resume", resume, Scheduled),
    on("POST", "/api/schedules/{id}/run", run, {200: ScheduleRun, 202: ScheduleRun}, errors=[409, 422, 429]),
]
