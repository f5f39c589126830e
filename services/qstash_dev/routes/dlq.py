"""`/v2/dlq`: messages that could not be delivered. They are kept a week; a retry is a new message."""

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import filters, publish, views
from services.qstash_dev.deps import Deps, deps, query_pairs, user
from services.qstash_dev.filters import Filter
from services.qstash_dev.headers import Pairs, text
from services.qstash_dev.keys import Keys
from services.qstash_dev.routes.messages import pairs_of
from services.qstash_dev.scheduler import Offer
from services.qstash_dev.store import DeadLetter
from services.qstash_dev.users import User
from services.qstash_dev.workflow import letters
from shared.errors import BadRequest, NotFound
from shared.http import Json

MAX_COUNT = 100
PAGE = 200
WORKFLOW_FILTERS = frozenset(("workflowRunId", "workflowUrl", "workflowCreatedAt", "failureFunctionState"))
ALLOWED = (filters.MESSAGE_FILTERS - {"host", "path"}) | {"dlqIds", "responseStatus", "source"} | WORKFLOW_FILTERS


async def list_dlq(request: Request) -> Response:
    """A page of dead letters, earliest first unless asked otherwise."""
    parts, caller = deps(request), user(request)
    chosen = filters.read(query_pairs(request), allowed=ALLOWED, max_count=MAX_COUNT)
    found, more = await collect(parts, caller.keys, chosen)
    states = chosen.values.get("failureFunctionState", frozenset())
    body = {"messages": await letters.shown(parts, caller, found, states)}
    return Json(body | ({"cursor": found[-1].dlq_id} if more else {}))


async def get_dead(request: Request) -> Response:
    """One dead letter, or 404."""
    return Json(views.dead_letter(await one(deps(request), user(request).keys, request.path_params["dlq_id"])))


async def delete_dead(request: Request) -> Response:
    """Deletes one; 404 when it is gone."""
    dlq_id = request.path_params["dlq_id"]
    if not await deps(request).store.dlq_delete(user(request).keys, [dlq_id]):
        raise _missing(dlq_id)
    return Json({"deleted": 1})


async def delete_many(request: Request) -> Response:
    """Deletes those that match, at most `count` (100) at once; a `cursor` says that there are more."""
    parts, keys = deps(request), user(request).keys
    chosen = filters.read(await pairs_of(request), allowed=ALLOWED, max_count=MAX_COUNT)
    found, more = await collect(parts, keys, chosen)
    deleted = await parts.store.dlq_delete(keys, [letter.dlq_id for letter in found])
    return Json({"deleted": deleted} | ({"cursor": found[-1].dlq_id} if more else {}))


async def retry_dead(request: Request) -> Response:
    """Publishes one again as a new message; publish headers on this request override the old ones."""
    parts, caller = deps(request), user(request)
    letter = await one(parts, caller.keys, request.path_params["dlq_id"])
    await parts.meter.messages(caller.keys, 1, parts.now_ms())
    return Json(await _retry(parts, caller, letter, overrides(request)), status_code=201)


async def retry_many(request: Request) -> Response:
    """Publishes those that match again, at most `count` (100) at once. Only this answer has an empty cursor at the end."""
    parts, caller = deps(request), user(request)
    chosen = filters.read(await pairs_of(request), allowed=ALLOWED, max_count=MAX_COUNT)
    found, more = await collect(parts, caller.keys, chosen)
    replacing = overrides(request)
    await parts.meter.messages(caller.keys, len(found), parts.now_ms())
    responses = [await _retry(parts, caller, letter, replacing) for letter in found]
    return Json({"cursor": found[-1].dlq_id if more else "", "responses": responses}, status_code=201)


async def _retry(parts: Deps, caller: User, letter: DeadLetter, overrides: Pairs) -> dict[str, str]:
    old = letter.message
    if old.run:
        raise BadRequest(f"dlq message {letter.dlq_id} is of a workflow run: POST /v2/workflows/dlq/resume or /restart")
    replaced = {name.lower() for name, _ in overrides}
    kept = [(name, value) for name, value in publish.headers_of(old) if name.lower() not in replaced]
    origin = publish.Caller(parts.new_id(), parts.now_ms(), old.caller_ip)
    wanted = publish.parse(old.url, [*kept, *overrides], letter.body, origin)
    stored = await parts.store.dlq_retry(caller.keys, letter.dlq_id, wanted, parts.now_ms())
    if stored is None:
        raise _missing(letter.dlq_id)
    if not stored.deduplicated:
        parts.scheduler.offer(Offer(caller, wanted))
    return {"messageId": stored.message_id}


def overrides(request: Request) -> Pairs:
    """Publish headers of this request."""
    pairs = [(text(name), text(value)) for name, value in request.scope["headers"]]
    return [(name, value) for name, value in pairs if name.lower().startswith("upstash-")]


async def one(parts: Deps, keys: Keys, dlq_id: str) -> DeadLetter:
    """One dead letter; NotFound when it is gone."""
    found = await parts.store.dead_letters(keys, [dlq_id])
    if not found:
        raise _missing(dlq_id)
    return found[0]


def _missing(dlq_id: str) -> NotFound:
    return NotFound(f"dlq message {dlq_id} not found")


async def collect(parts: Deps, keys: Keys, chosen: Filter) -> tuple[list[DeadLetter], bool]:
    """One page, and whether another one matches after it."""
    ids = [one for one in await _candidates(parts, keys, chosen) if _after(one, chosen)]
    found: list[DeadLetter] = []
    for i in range(0, len(ids), PAGE):
        for letter in await parts.store.dead_letters(keys, ids[i : i + PAGE]):
            if _wanted(letter, chosen):
                if len(found) == chosen.limit:
                    return found, True
                found.append(letter)
    return found, False


async def _candidates(parts: Deps, keys: Keys, chosen: Filter) -> list[str]:
    ids = sorted(chosen.values.get("dlqIds") or await parts.store.dlq_ids(keys), key=_place)
    return ids[::-1] if chosen.newest_first else ids


def _place(dlq_id: str) -> tuple[int, int]:
    at_ms, _, number = dlq_id.partition("-")
    if not (at_ms.isdigit() and number.isdigit()):
        raise BadRequest(f"{dlq_id!r} is not a dlqId")
    return int(at_ms), int(number)


def _after(dlq_id: str, chosen: Filter) -> bool:
    if not chosen.cursor:
        return True
    return (_place(dlq_id) < _place(chosen.cursor)) if chosen.newest_first else (_place(dlq_id) > _place(chosen.cursor))


def _wanted(letter: DeadLetter, chosen: Filter) -> bool:
    status = chosen.values.get("responseStatus")
    if status and str(letter.answer.status) not in status:
        return False
    if not _of_source(letter, chosen):
        return False
    return filters.matches(chosen, letter.message, _place(letter.dlq_id)[0])


def _of_source(letter: DeadLetter, chosen: Filter) -> bool:
    """Failed workflow runs are listed where they are asked for: a retry of their message alone would help no run."""
    run, values = letter.message.run, chosen.values
    if "workflow" not in values.get("source", ()):
        return run is None or "dlqIds" in values
    if run is None:
        return False
    facts = {"workflowRunId": run.run_id, "workflowUrl": run.url, "workflowCreatedAt": str(run.created_at_ms)}
    return all(name not in values or found in values[name] for name, found in facts.items())
