"""`/v2/messages`: one message as it stands, and cancelling one, some or all."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import filters, views
from services.qstash_dev.deps import deps, query_pairs, user
from shared.errors import BadRequest, NotFound
from shared.http import Json, decode, read_body

MAX_CANCEL = 500
MAX_BYTES = 1_048_576

_body = msgspec.json.Decoder(dict[str, Any])


async def get_message(request: Request) -> Response:
    """A message; for a minute also one that is finished. 404 after that."""
    message_id = request.path_params["message_id"]
    found = await deps(request).store.message(user(request).keys, message_id)
    if found is None:
        raise NotFound(f"message {message_id} not found")
    return Json(views.message(found.message, found.body))


async def cancel_message(request: Request) -> Response:
    """Cancels one live message; 404 when there is none of that id."""
    parts, message_id = deps(request), request.path_params["message_id"]
    cancelled = await parts.store.cancel(user(request).keys, [message_id], parts.now_ms())
    if not cancelled:
        raise NotFound(f"message {message_id} not found")
    return Json({"cancelled": cancelled})


async def cancel_messages(request: Request) -> Response:
    """Cancels the live messages that match; all of them when no filter is given."""
    parts, keys = deps(request), user(request).keys
    chosen = filters.read(await pairs_of(request), allowed=filters.MESSAGE_FILTERS, max_count=MAX_CANCEL)
    live = await parts.store.live(keys) if set(chosen.values) != {"messageIds"} else None
    if live is None:
        ids = sorted(chosen.values["messageIds"])
    else:
        ids = [one.message.message_id for one in live if filters.matches(chosen, one.message, one.message.created_at_ms)]
        if chosen.values:
            ids = ids[: chosen.limit]
    return Json({"cancelled": await parts.store.cancel(keys, ids, parts.now_ms())})


async def pairs_of(request: Request) -> list[tuple[str, str]]:
    """Filters of the query and of a JSON body: one SDK sends the first, the other the second."""
    pairs = query_pairs(request)
    raw = await read_body(request, MAX_BYTES)
    for name, value in (decode(_body, raw) if raw.strip() else {}).items():
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str | int) or isinstance(one, bool):
                raise BadRequest(f"the filter {name!r} is text, a number, or a list of them")
            pairs.append((name, str(one)))
        if value == []:
            raise BadRequest(f"the filter {name!r} is an empty list")  # never to be read as "all of them"
    return pairs
