"""`/v2/queues`: first in, first out, so many at a time. Messages join one by `/v2/enqueue` (`publish.py`)."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import publish
from services.qstash_dev.deps import deps, user
from services.qstash_dev.errors import QuotaExceeded
from services.qstash_dev.gate_stores import Queue
from services.qstash_dev.openapi import shapes
from services.qstash_dev.openapi.operations import on
from shared.errors import BadRequest, NotFound
from shared.http import Json, decode, read_body

MAX_BYTES = 65_536
MAX_PARALLELISM = 1_000


class QueueRequest(msgspec.Struct, frozen=True, rename="camel"):
    """A queue as it is asked for; what is left out has its default, also in an update."""

    queue_name: str
    parallelism: Annotated[int, msgspec.Meta(ge=1)] = 1
    paused: bool = False


_wanted = msgspec.json.Decoder(QueueRequest)


async def set_queue(request: Request) -> Response:
    """Makes a queue or replaces its settings."""
    parts, caller = deps(request), user(request)
    wanted = decode(_wanted, await read_body(request, MAX_BYTES))
    if not wanted.queue_name:
        raise BadRequest("queueName is empty")
    name = publish.check_name(wanted.queue_name, "queue")
    if wanted.parallelism > MAX_PARALLELISM:
        raise QuotaExceeded(f"quota maxParallelism exceeded: at most {MAX_PARALLELISM}")
    await parts.store.queues.set(caller.keys, name, parallelism=wanted.parallelism, paused=wanted.paused, now_ms=parts.now_ms())
    parts.scheduler.look()
    return Json({})


async def list_queues(request: Request) -> Response:
    """Every queue, oldest first."""
    return Json([_view(one) for one in await deps(request).store.queues.all(user(request).keys)])


async def get_queue(request: Request) -> Response:
    """One queue, or 404."""
    name = request.path_params["name"]
    found = await deps(request).store.queues.get(user(request).keys, name)
    if found is None:
        raise _missing(name)
    return Json(_view(found))


async def delete_queue(request: Request) -> Response:
    """Deletes a queue and cancels what is in it; 200 also when there is none."""
    parts = deps(request)
    await parts.store.queues.delete(user(request).keys, request.path_params["name"], parts.now_ms())
    parts.scheduler.look()
    return Json({})


async def pause_queue(request: Request) -> Response:
    """Nothing new starts; what has started ends, with its retries."""
    return await _pause(request, paused=True)


async def resume_queue(request: Request) -> Response:
    """Goes on where it was."""
    return await _pause(request, paused=False)


async def _pause(request: Request, *, paused: bool) -> Response:
    parts, name = deps(request), request.path_params["name"]
    if not await parts.store.queues.pause(user(request).keys, name, paused=paused, now_ms=parts.now_ms()):
        raise _missing(name)
    parts.scheduler.look()
    return Json({})


def _missing(name: str) -> NotFound:
    return NotFound(f"queue {name} not found")


def _view(one: Queue) -> shapes.Queue:
    return {
        "name": one.name,
        "parallelism": one.parallelism,
        "createdAt": one.created_at_ms,
        "updatedAt": one.updated_at_ms,
        "lag": one.lag,
        "paused": one.paused,
    }


ROUTES = [
    on("POST", "/v2/queues", set_queue, shapes.Done, takes=QueueRequest, errors=[412]),
    on("GET", "/v2/queues", list_queues, list[shapes.Queue]),
    on("GET", "/v2/queues/{name}", get_queue, shapes.Queue, errors=[404]),
    on("DELETE", "/v2/queues/{name}", delete_queue, shapes.Done),
    on("POST", "/v2/queues/{name}/pause", pause_queue, shapes.Done, errors=[404]),
    on("POST", "/v2/queues/{name}/resume", resume_queue, shapes.Done, errors=[404]),
]
