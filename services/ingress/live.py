"""Server-sent events: everything that happens to one execution until it is over, or to all executions of a tenant."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge, streams
from services.ingress.streams import EventStream
from shared.errors import BadRequest, Unavailable
from shared.live import cursor as cursors
from shared.live.cursor import Cursor
from shared.live.feed import FeedFollower, Filter
from shared.live.live import FORGOTTEN, Live
from shared.live.log import Event
from shared.live.topic import Dropped, Topic
from shared.machine.status import Status
from shared.openapi.operations import STREAM, on
from shared.redisdb.reader import LINE_ID

MOST_IDS: Final = 200
"""Executions that a feed's filter names at most."""
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
    follower = live.follower(topic, after)
    try:
        while not follower.over:
            found = await follower.next(live.heartbeat_s)
            yield b"".join(one.text for one in found) or streams.HEARTBEAT
    except Dropped as dropped:
        yield streams.event("dropped", {"reason": str(dropped)})
    except Unavailable:
        yield streams.event("dropped", {"reason": AWAY})
    else:
        yield streams.event("end", {"executionId": topic.execution, "status": follower.state.status})


async def tenant_events(request: Request) -> Response:
    """What happens to the tenant's executions from now on, or behind a cursor; it has no end."""
    deps, tenant = edge.known(request)
    wanted, since = _filter(request), _cursor(request)
    async with AsyncExitStack() as stack:
        feed = await stack.enter_async_context(deps.live.feed(tenant))
        missed, follower = await deps.live.resume(feed, wanted, since) if since else None, FeedFollower(feed, wanted)
        return EventStream(_fed(deps.live, missed, follower, reset=bool(since and missed is None)), stack.pop_all())
    raise AssertionError  # for the type checker: nothing above swallows an exception


def _cursor(request: Request) -> Cursor | None:
    name = "Last-Event-ID" if request.headers.get("Last-Event-ID") else "after"
    said = request.headers.get("Last-Event-ID") or request.query_params.get("after", "")
    if not said:
        return None
    found = cursors.read(said)
    if found is None:
        raise BadRequest(f"{name}: {said[:40]!r} is no cursor: give the `id` of the last event you have", at=name)
    return found


def _filter(request: Request) -> Filter:
    """Both may be given several times, or with commas."""
    status, executions = (frozenset(edge.values(request, name)) for name in ("status", "execution"))
    if unknown := status - set(Status):
        raise BadRequest(f"status={min(unknown)[:40]!r} is none: {', '.join(sorted(Status))}", at="status")
    if len(executions) > MOST_IDS:
        raise BadRequest(f"execution: {len(executions)} ids, and {MOST_IDS} are the most", at="execution")
    return Filter(status=status, executions=executions)


async def _fed(
    live: Live, missed: tuple[AsyncIterator[Event], FeedFollower] | None, follower: FeedFollower, *, reset: bool
) -> AsyncGenerator[bytes, None]:
    try:
        if missed is None:
            yield streams.hello(follower.cursor)
            if reset:
                yield streams.event("reset", {"reason": FORGOTTEN}, line=follower.cursor)
        else:
            yield streams.HELLO
            async for one in missed[0]:
                yield one.text
            follower = missed[1]
        spoke = time.monotonic()
        while True:
            found = await follower.next(live.heartbeat_s)
            if found or time.monotonic() - spoke >= live.heartbeat_s:
                yield b"".join(one.text for one in found) or streams.hello(follower.cursor)
                spoke = time.monotonic()
    except Dropped as dropped:
        yield streams.event("dropped", {"reason": str(dropped)})
    except Unavailable:
        yield streams.event("dropped", {"reason": AWAY})


ROUTES: Final = [
    on(
        "GET",
        "/api/executions/{id}/events",
        execution_events,
        STREAM,
        query=["after"],
        options=["Last-Event-ID"],
        errors=[400, 429],
    ),
    on(
        "GET",
        "/api/events",
        tenant_events,
        STREAM,
        query=["status", "execution", "after"],
        options=["Last-Event-ID"],
        errors=[400, 429],
    ),
]
