"""Lists of executions by filters, a tenant's open approvals, and one action upon many."""

import asyncio
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared import views
from shared.again import check
from shared.api.bodies import ACTIONS, Action, Again, BulkAction
from shared.api.executions import Approvals, BulkDone, BulkRow, OpenApproval, Rows
from shared.errors import BadRequest, IntentionError, Unprocessable
from shared.http import Json, decode
from shared.logs import get_logger
from shared.machine.status import TERMINAL, Status
from shared.misshapen import misshapen
from shared.openapi.operations import on
from shared.redisdb.reader import hold_view
from shared.search import Filter, search

log = get_logger()

AT_ONCE: Final = 8
_OPEN: Final = tuple(sorted(set(Status) - TERMINAL))


_bulk = msgspec.json.Decoder(BulkAction)


async def list_executions(request: Request) -> Response:
    """A tenant's executions, newest first; `before` is the `next` of the page before."""
    deps, tenant = edge.known(request)
    count = edge.number(request, "limit", 50, edge.PAGE_LIMIT, least=1)
    found = await search(deps.reader, tenant, filter_of(request), before=edge.before(request), count=count)
    return Json(Rows(executions=tuple(views.row(header) for header in found.rows), next=found.next))


def filter_of(request: Request) -> Filter:
    """Of the query string; `status` and `reason` may be given several times, or with commas."""
    said: dict[str, Any] = {}
    for name in ("status", "reason"):
        if values := edge.values(request, name):
            said[name] = values
    said |= {
        name: request.query_params[name] for name in ("text", "createdAfter", "createdBefore") if name in request.query_params
    }
    try:
        return msgspec.convert(said, Filter)
    except msgspec.ValidationError as error:
        place, text = misshapen(error, Filter)
        name = place.removeprefix("$.").partition("[")[0]
        raise BadRequest(f"{name}: {text}", at=name) from error


async def approvals(request: Request) -> Response:
    """What people are asked, newest execution first. A bounded look: `next` goes on where this page ended."""
    deps, tenant = edge.known(request)
    count = edge.number(request, "limit", 100, edge.PAGE_LIMIT, least=1)
    before = edge.before(request)
    found = await search(deps.reader, tenant, Filter(status=_OPEN), before=before, count=count)
    asked = await deps.reader.asked([row["id"] for row in found.rows])
    rows = {row["id"]: row for row in found.rows}
    shown = tuple(
        OpenApproval(
            execution_id=execution,
            step=step,
            message=message or None,
            **views.held(hold_view(hold)),
            text=rows[execution].get("text") or None,
            status=rows[execution]["status"],
            links={name: f"/api/executions/{execution}/{name}" for name in ("approve", "reject")},
        )
        for execution, step, message, hold in asked
    )
    return Json(Approvals(approvals=shown, next=found.next))


async def bulk(request: Request) -> Response:
    """One action upon all that fit, each judged and noted by itself; `dryRun` only says what would be done."""
    deps, tenant = edge.known(request)
    asked = decode(_bulk, await edge.body(request, 262_144))
    if not asked.filter:
        raise Unprocessable("$.filter: an empty filter would mean everything: say which", code="empty_filter", at="$.filter")
    edge.place(asked.before, edge.EXECUTION_PLACE, "$.before")
    by = edge.actor(request, tenant, asked.actor)
    action = _action(asked)
    found = await search(deps.reader, tenant, asked.filter, before=asked.before, count=asked.limit)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(row: dict[str, str]) -> BulkRow:
        async with gate:
            told = await _one(deps, tenant, row["id"], action, by, dry_run=asked.dry_run)
        return BulkRow(id=row["id"], status=row["status"], **told)

    results = tuple(await asyncio.gather(*(one(row) for row in found.rows)))
    refused = sum(row.result == "refused" for row in results)
    facts: dict[str, Any] = {"action": asked.action, "by": by, "done": len(results) - refused, "refused": refused}
    log.info("bulk.done", tenant=tenant, dry_run=asked.dry_run, **facts)
    answer = BulkDone(**facts, dry_run=asked.dry_run, looked=found.looked, results=results, next=found.next)
    return Json(answer, status_code=200 if asked.dry_run else 202)


def _action(asked: BulkAction) -> Action | Again:
    kind: Any = Again if asked.action == "restart" else ACTIONS[asked.action]
    try:
        found: Action | Again = msgspec.convert(asked.having, kind)
    except msgspec.ValidationError as error:
        place, text = misshapen(error, kind)
        place = place.replace("$", "$.with", 1)
        raise Unprocessable(f"{place}: {text}", code="bad_action", at=place) from error
    return found


async def _one(deps: Deps, tenant: str, execution: str, action: Action | Again, by: str, *, dry_run: bool) -> dict[str, Any]:
    try:
        if isinstance(action, Again):
            return await _restart(deps, tenant, execution, action, by, dry_run=dry_run)
        if dry_run:
            _, deed = await deps.actions.plan(execution, tenant, action, by, seen=False)
            return {"result": "would", "will": deed.will}
        told = await deps.actions.act(execution, tenant, action, by, seen=False)
    except IntentionError as error:
        return {"result": "refused", "code": error.error_code, "message": error.message}
    return {"result": "done", "will": told.will}


async def _restart(deps: Deps, tenant: str, execution: str, asked: Again, by: str, *, dry_run: bool) -> dict[str, Any]:
    """Under a key of its own, so that a bulk request that is sent again restarts nothing twice."""
    found = await deps.snapshots.load(execution, tenant)
    if dry_run:
        return {"result": "would", "will": f"it is run again; standing: {', '.join(check(found, asked)) or 'nothing'}"}
    fields = await edge.told_of(deps, execution, tenant)
    told = await deps.repeater.restart(found, asked, by, fields, f"bulk-restart-{execution}-{found.ver}")
    return {"result": "done", "will": f"it is run again as {told['id']}", "new": told["id"]}


ROUTES: Final = [
    on(
        "GET",
        "/api/executions",
        list_executions,
        Rows,
        query=["status", "reason", "text", "createdAfter", "createdBefore", "before", "limit"],
    ),
    on(
        "POST",
        "/api/executions/bulk",
        bulk,
        {200: BulkDone, 202: BulkDone},
        takes=BulkAction,
        options=["X-Actor"],
        errors=[404, 422],
        example={"action": "cancel", "filter": {"status": ["SUSPENDED"]}, "with": {"reason": "cleared"}, "dryRun": True},
    ),
    on("GET", "/api/approvals", approvals, Approvals, query=["before", "limit"]),
]
