"""`POST /v2/publish/{destination}` and `POST /v2/batch`. The answer goes out once the message is stored, not before."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import groups, publish
from services.qstash_dev.deps import Deps, deps, query_pairs, split_query, user
from services.qstash_dev.errors import RunOver
from services.qstash_dev.headers import Pairs, text
from services.qstash_dev.model import Publish
from services.qstash_dev.scheduler import Offer
from services.qstash_dev.users import User
from services.qstash_dev.workflow import runs
from shared.errors import BadRequest, IntentionError, NotFound
from shared.http import Json, decode, read_body

MAX_BODY_BYTES = 10 * 1_048_576
"""Of one message (pay-as-you-go plan)."""
MAX_BATCH_BYTES = 100 * 1_048_576
MAX_BATCH_ITEMS = 1_000

PREFIX = b"/v2/publish/"
QUEUE_PREFIX = b"/v2/enqueue/"


class Shared(NamedTuple):
    """A publish to a URL group."""

    group: str
    given: Pairs
    body: bytes
    request: Request


class BatchItem(msgspec.Struct, frozen=True):
    """One element of a batch; header names in any casing."""

    destination: str = ""
    headers: dict[str, str | list[str]] | None = None
    body: str | None = None
    queue: str | None = None


_batch = msgspec.json.Decoder(list[msgspec.Raw])
_item = msgspec.json.Decoder(BatchItem)


async def _publish(request: Request, raw: bytes, queue: Pairs) -> Response:
    parts, caller = deps(request), user(request)
    ours, rest = split_query(request.scope["query_string"].decode("latin-1"))
    destination = raw.decode("latin-1")
    destination += f"?{rest}" if rest else ""
    parts.faults.refuse(destination)
    given = [*queue, *((text(name), text(value)) for name, value in request.scope["headers"]), *ours]
    body = await read_body(request, MAX_BODY_BYTES)
    if groups.is_group(destination.partition("?")[0]):
        shared = Shared(destination.partition("?")[0], given, body, request)
        await _meter(parts, caller, [shared])
        return Json(await _accept_group(parts, caller, shared))
    wanted = publish.parse(destination, given, body, _caller(parts, request))
    await _meter(parts, caller, [wanted])
    answer = await _accept(parts, caller, wanted)
    return Json(answer, status_code=202 if answer.get("deduplicated") else 200)


async def publish_one(request: Request) -> Response:
    """200 with the message id; 202 and the old id when it is a duplicate. A list for a URL group."""
    return await _publish(request, request.scope["raw_path"].removeprefix(PREFIX), [])


async def enqueue(request: Request) -> Response:
    """Like a publish; the message joins the queue, which is made when it is missing."""
    name, _, destination = request.scope["raw_path"].removeprefix(QUEUE_PREFIX).partition(b"/")
    queue = publish.check_name(unquote(name.decode("latin-1")), "queue")
    return await _publish(request, destination, [("Upstash-Queue-Name", queue)])


async def publish_batch(request: Request) -> Response:
    """One answer per item, in order; an item that is wrong is `{"error": …}` and the others still go out."""
    parts, caller = deps(request), user(request)
    if query_pairs(request) and any(name.lower().startswith("upstash-") for name, _ in query_pairs(request)):
        raise BadRequest("a batch takes its options from the headers of each item, not from the query")
    items = decode(_batch, await read_body(request, MAX_BATCH_BYTES))
    if len(items) > MAX_BATCH_ITEMS:
        raise BadRequest(f"a batch has at most {MAX_BATCH_ITEMS} messages")
    read = [_read_item(raw, parts, request) for raw in items]
    await _meter(parts, caller, read)
    # All of them are given to the pipe in this turn of the loop, so they share its pipelines.
    answers = await asyncio.gather(*(_answer_item(parts, caller, one) for one in read))
    return Json(runs.settled(answers))


async def _meter(parts: Deps, caller: User, wanted: Sequence[Publish | Shared | IntentionError]) -> None:
    """Limited when so many messages are too many today: one for each endpoint of a URL group, none for a wrong item."""
    if not parts.meter.quota.daily:
        return
    count = sum(isinstance(one, Publish) for one in wanted)
    for one in wanted:
        if isinstance(one, Shared) and (group := await parts.store.groups.get(caller.keys, one.group)):
            count += len(group.endpoints)
    await parts.meter.messages(caller.keys, count, parts.now_ms())


async def _accept(parts: Deps, caller: User, wanted: Publish) -> dict[str, Any]:
    if wanted.message.run:
        return await runs.accept(parts, caller, wanted)
    stored = await parts.store.publish(caller.keys, wanted, parts.now_ms())
    if stored.deduplicated:
        return {"messageId": stored.message_id, "url": wanted.message.url, "deduplicated": True}
    parts.scheduler.offer(Offer(caller, wanted))
    return {"messageId": stored.message_id, "url": wanted.message.url}


async def _accept_group(parts: Deps, caller: User, one: Shared) -> list[dict[str, Any]]:
    """A message for each endpoint, all of them or none."""
    group = await parts.store.groups.get(caller.keys, one.group)
    if group is None:
        raise groups.missing(one.group)
    wanted = groups.publishes(one.group, group, one.given, one.body, lambda: _caller(parts, one.request))
    stored = await parts.store.publish_all(caller.keys, wanted, parts.now_ms())
    answers = []
    for publish_, found in zip(wanted, stored, strict=True):
        if not found.deduplicated:
            parts.scheduler.offer(Offer(caller, publish_))
        duplicate = {"deduplicated": True} if found.deduplicated else {}
        answers.append({"messageId": found.message_id, "url": publish_.message.url, **duplicate})
    return answers


def _caller(parts: Deps, request: Request) -> publish.Caller:
    return publish.Caller(parts.new_id(), parts.now_ms(), request.client.host if request.client else "")


def _read_item(raw: msgspec.Raw, parts: Deps, request: Request) -> Publish | Shared | IntentionError:
    try:
        item = decode(_item, bytes(raw))
        body = (item.body or "").encode()
        if len(body) > MAX_BODY_BYTES:
            raise BadRequest(f"the body is larger than {MAX_BODY_BYTES} bytes")
        parts.faults.refuse(item.destination)
        pairs = _pairs(item)
        if groups.is_group(item.destination):
            return Shared(item.destination, pairs, body, request)
        return publish.parse(item.destination, pairs, body, _caller(parts, request))
    except IntentionError as error:
        return error


def _pairs(item: BatchItem) -> Pairs:
    pairs: Pairs = [("Upstash-Queue-Name", item.queue)] if item.queue else []
    for name, value in (item.headers or {}).items():
        pairs += [(name, one) for one in ([value] if isinstance(value, str) else value)]
    return pairs


async def _answer_item(parts: Deps, caller: User, one: Publish | Shared | IntentionError) -> Any:
    if isinstance(one, IntentionError):
        return {"error": one.message}
    try:
        if isinstance(one, Shared):
            return await _accept_group(parts, caller, one)
        return await _accept(parts, caller, one)
    except RunOver as error:
        return error
    except NotFound as error:
        return {"error": error.message}
