"""The workflow endpoints: triggers, runs, waits and notifications, webhooks, logs. The SDK's publishes are publishes."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import filters
from services.qstash_dev.deps import Deps, deps, query_pairs, split_query, user
from services.qstash_dev.headers import Pairs, grouped, text
from services.qstash_dev.openapi import shapes
from services.qstash_dev.openapi.operations import BYTES, HOOKS, on
from services.qstash_dev.openapi.words import OPTIONS
from services.qstash_dev.routes.messages import pairs_of
from services.qstash_dev.users import User
from services.qstash_dev.workflow import choosing, dlq_routes, runs, triggering, views, waiting
from services.qstash_dev.workflow.delivery import listed
from services.qstash_dev.workflow.model import Run, RunState
from shared.errors import BadRequest, IntentionError, NotFound
from shared.http import Json, decode, read_body

MAX_BYTES = 10 * 1_048_576
MAX_BATCH_BYTES = 100 * 1_048_576
MAX_CANCEL = 500
EVERY = "GET POST PUT PATCH DELETE HEAD OPTIONS"

_wait = msgspec.json.Decoder(waiting.WaitRequest)
_batch = msgspec.json.Decoder(list[triggering.Item])


def _ip(request: Request) -> str:
    return request.client.host if request.client else ""


def _headers(request: Request) -> Pairs:
    return [(text(name), text(value)) for name, value in request.scope["headers"]]


async def trigger(request: Request) -> Response:
    """Starts a run of the workflow at this URL."""
    parts, caller = deps(request), user(request)
    ours, rest = split_query(request.scope["query_string"].decode("latin-1"))
    url = request.scope["raw_path"].removeprefix(b"/v2/trigger/").decode("latin-1") + (f"?{rest}" if rest else "")
    body = await read_body(request, MAX_BYTES)
    await parts.meter.messages(caller.keys, 1, parts.now_ms())
    return Json(await triggering.begin(parts, caller, url, _headers(request) + ours, body, _ip(request)))


async def trigger_batch(request: Request) -> Response:
    """Starts several; one answer each, `{"error": …}` for a wrong one."""
    parts, caller = deps(request), user(request)
    answers: list[dict[str, Any]] = []
    items = decode(_batch, await read_body(request, MAX_BATCH_BYTES))
    await parts.meter.messages(caller.keys, len(items), parts.now_ms())
    for item in items:
        try:
            answers.append(await triggering.begin_item(parts, caller, item, _ip(request)))
        except IntentionError as error:
            if error.status >= 500:
                raise
            answers.append({"error": error.message})
    return Json(answers, status_code=201)


async def get_run(request: Request) -> Response:
    """The steps of a run that goes on, for an SDK that was sent none of them; 404 for any other."""
    run_id = request.path_params["run_id"]
    run = await runs.store_of(deps(request)).run(user(request).keys, run_id)
    if run is None or not run.going:
        raise NotFound(f"workflow run {run_id} not found")
    return Response(listed(run.steps), media_type="application/json")


async def end_run(request: Request) -> Response:
    """Ends a run with its result, or cancels it (`?cancel=true`). A second time is no error."""
    parts, caller = deps(request), user(request)
    cancelled = dict(query_pairs(request)).get("cancel", "false").lower() == "true"
    response = await read_body(request, MAX_BYTES)
    state = RunState.CANCELED if cancelled else RunState.SUCCESS
    await runs.end(parts, caller, request.path_params["run_id"], state, response)
    return Json({"cancelled": 1} if cancelled else {"ended": 1})


async def cancel_runs(request: Request) -> Response:
    """Cancels the runs that match and go on; all of them when no filter is given. Unknown ids are not counted."""
    parts, caller = deps(request), user(request)
    chosen = choosing.read(await pairs_of(request), choosing.CANCEL, default=MAX_CANCEL, most=MAX_CANCEL)
    exact = "true" in chosen.values.get("workflowUrlExactMatch", ())
    found = await choosing.page(runs.store_of(parts), caller.keys, chosen, exact=exact, only=RunState.STARTED)
    for run in found.runs:
        await runs.end(parts, caller, run.record.run_id, RunState.CANCELED, b"")
    return Json({"cancelled": len(found.runs)})


async def wait(request: Request) -> Response:
    """A step that comes with a notification of the event, or when its time is over."""
    parts, caller = deps(request), user(request)
    asked, event = decode(_wait, await read_body(request, MAX_BYTES)), _event(request)
    await parts.meter.messages(caller.keys, 1, parts.now_ms())
    return Json(await waiting.wait(parts, caller, event, asked, _headers(request), _ip(request)))


async def notify(request: Request) -> Response:
    """Wakes who waits for the event; with a run in the path, only that one, also if it waits later."""
    run_id = request.path_params.get("run_id", "")
    data = await read_body(request, MAX_BYTES)
    return Json(await waiting.notify(deps(request), user(request), _event(request), data, run_id))


async def list_waiters(request: Request) -> Response:
    """Who waits for the event."""
    found = await runs.store_of(deps(request)).waiters(user(request).keys, _event(request))
    return Json([waiting.shown(one) for one in found])


async def webhook(request: Request) -> Response:
    """A call of anybody, who knows no token: the unguessable event id in the path lets it in."""
    parts, caller = deps(request), _owner(request)
    body = await read_body(request, MAX_BYTES)
    query = request.scope["query_string"].decode("latin-1")
    called = {
        "method": request.method,
        "header": grouped(_headers(request)),
        "body": body,
        "url": request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        "proto": request.url.scheme,
        "host": request.headers.get("host", "localhost"),
    }
    run_id = request.path_params["run_id"]
    return Json(await waiting.notify(parts, caller, _event(request), msgspec.json.encode(called), run_id))


async def list_logs(request: Request) -> Response:
    """Runs, the newest first."""
    parts, caller = deps(request), user(request)
    chosen = choosing.read(query_pairs(request), choosing.LOGS, default=10, most=100)
    if chosen.values.get("groupBy", frozenset()) - {"workflowRunId"}:
        raise BadRequest("groupBy is workflowRunId here")
    page = await choosing.page(runs.store_of(parts), caller.keys, chosen, exact=True)
    body = {"runs": [await _shown(parts, caller, run) for run in page.runs]}
    return Json(body | ({"cursor": page.cursor} if page.cursor else {}))


async def _shown(parts: Deps, caller: User, run: Run) -> dict[str, Any]:
    dead = run.text("dlq")
    there = await parts.store.dead_letters(caller.keys, [dead]) if dead else []
    progress = await runs.store_of(parts).progress(caller.keys, views.awaited(run)) if run.going else {}
    return views.run(run, progress, dead if there else "")


def _event(request: Request) -> str:
    event: str = request.path_params["event"]
    if not event:
        raise BadRequest("an event id is needed in the path")
    return event


def _owner(request: Request) -> User:
    name = request.path_params["user_id"]
    found = next((one for one in deps(request).users if one.name == name), None)
    if found is None:
        raise NotFound(f"there is no user {name}")
    return found


CANCELLING = choosing.CANCEL | filters.PAGING
LISTING = choosing.LOGS | filters.PAGING
NOTIFIED = list[shapes.Notified]

ROUTES = [
    on("POST", "/v2/trigger/{url:path}", trigger, shapes.Started, may_take=BYTES, options=OPTIONS, errors=[501]),
    on("POST", "/v2/batch/trigger", trigger_batch, {201: list[shapes.StartedOrNot]}, takes=list[triggering.Item]),
    on("DELETE", "/v2/workflows/runs", cancel_runs, shapes.Cancelled, query=CANCELLING, may_take=shapes.Filters),
    on("GET", "/v2/workflows/runs/{run_id}", get_run, list[shapes.RunStep], errors=[404]),
    on("DELETE", "/v2/workflows/runs/{run_id}", end_run, shapes.Ended, query=["cancel"], may_take=BYTES, errors=[404]),
    on("POST", "/v2/wait/{event}", wait, shapes.Waiting, takes=waiting.WaitRequest, options=OPTIONS, errors=[501]),
    on("POST", "/v2/notify/{event}", notify, NOTIFIED, may_take=BYTES),
    on("POST", "/v2/notify/{run_id}/{event}", notify, NOTIFIED, may_take=BYTES),
    on("GET", "/v2/waiters/{event}", list_waiters, list[shapes.Waiter]),
    on(EVERY, HOOKS + "{user_id}/{run_id}/{event}", webhook, NOTIFIED, may_take=BYTES, errors=[404, 503]),
    on("GET", "/v2/workflows/events", list_logs, shapes.Runs, query=LISTING),
    on("GET", "/v2/workflows/logs", list_logs, shapes.Runs, query=LISTING),
    *dlq_routes.ROUTES,
]
