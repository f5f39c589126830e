"""Server-sent events: everything that happens to one execution, from its beginning or behind a line, until it is over."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge, streams
from services.ingress.streams import EventStream
from shared.errors import BadRequest, Unavailable
from shared.live.live import Live
from shared.live.topic import Dropped, Topic
from shared.redisdb.reader import LINE_ID

UNKNOWN: Final = "this execution's history has no line of that id: it is told from its beginning"
AWAY: Final = "the store does not answer; connect again with Last-Event-ID"


async def execution_events(request: Request) -> Response:
    """History, then what happens; ends when the execution does."""
    deps, tenant = edge.known(request)
    after = _after(request)
    async with AsyncExitStack() as stack:
        topic = await stack.enter_async_context(deps.live.following(request.path_params["id"], tenant))
        known = not after or await topic.knows(after)
        return EventStream(_told(deps.live, topic, after if known else "", known=known), stack.pop_all())
    raise AssertionError  # for the type checker: nothing above swallows an exception


def _after(request: Request) -> str:
    """The last line that the reader has. A browser that connects again says it in a header, and repeats its first address."""
    for name, text in (
        ("Last-Event-ID", request.headers.get("Last-Event-ID", "")),
        ("after", request.query_params.get("after", "")),
    ):
        if text and text != "-":
            if not LINE_ID.fullmatch(text):
                raise BadRequest(f"{name}: {text[:40]!r} is no id of a line: give the `id` of the last event you have", at=name)
            return text
    return ""


async def _told(live: Live, topic: Topic, after: str, *, known: bool) -> AsyncGenerator[bytes, None]:
    yield streams.HELLO
    if not known:
        yield streams.event("reset", {"reason": UNKNOWN})
    reading = live.reading(topic, after)
    try:
        while not reading.over:
            found = await reading.next(live.heartbeat_s)
            yield b"".join(one.text for one in found) or streams.HEARTBEAT
    except Dropped as dropped:
        yield streams.event("dropped", {"reason": str(dropped)})
    except Unavailable:
        yield streams.event("dropped", {"reason": AWAY})
    else:
        yield streams.event("end", {"executionId": topic.execution, "status": reading.state.status})


ROUTES: Final = [Route("/api/executions/{id}/events", execution_events, methods=["GET"])]
