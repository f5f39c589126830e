"""Ingress when more comes than it can do: it works on so many requests at once, and tells the next to come again.

Requests are held at work by a line to Redis that carries nothing for a while: they are answered when it carries again.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from services.ingress.app import ROUTES
from services.ingress.shedding import CHANGE, START, STARTS, bounded
from shared.callbacks import Addresses, Ticket, token_of
from shared.openapi.operations import Operation
from shared.room import Room
from shared.settings import LOCAL_INTERNAL_KEY
from tests.services.engine.site import KEY, NOBODY, Site, variables
from tests.services.engine.support import configured, serving
from tests.support import conforming
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually
from tests.system.proxy import CLEAR, Proxy, Weather

AUTH = {"Authorization": f"Bearer {KEY}"}
JSON = AUTH | {"Content-Type": "application/json"}
HOLE = Weather(hole=True)
PLAN = {"plan": {"steps": [{"name": "a", "tool": "do_work", "args": {"label": "x"}}]}}
MOST = 2


class Desk:
    """Ingress with MOST seats of each kind at an address, and its line to Redis."""

    def __init__(self, url: str, app: Starlette, line: Proxy, client: httpx.AsyncClient) -> None:
        self.url, self.app, self.line, self._client = url, app, line, client

    @property
    def rooms(self) -> Mapping[str, Room]:
        """Of this ingress."""
        rooms: Mapping[str, Room] = self.app.state.deps.rooms
        return rooms

    async def ask(self, method: str, path: str, *, key: str = "", **more: Any) -> httpx.Response:
        """One request, whose answer is as the document says."""
        headers = JSON | ({"Idempotency-Key": key} if key else {})
        answer = await self._client.request(method, self.url + path, headers=headers, timeout=60, **more)
        conforming.check("ingress", answer)
        return answer

    async def start(self, key: str = "") -> httpx.Response:
        """Of a plan with one step."""
        return await self.ask("POST", "/api/execute", key=key, json=PLAN)

    async def event(self) -> httpx.Response:
        """For whoever waits for it."""
        return await self.ask("POST", "/api/events/paid", json={"key": "order-17"})

    async def stored(self) -> set[str]:
        """Ids of all executions."""
        return {row["id"] for row in (await self.ask("GET", "/api/executions")).json()["executions"]}

    @asynccontextmanager
    async def full(self, kind: str = START) -> AsyncIterator[list["asyncio.Task[httpx.Response]"]]:
        """While every seat is taken, by requests that wait for Redis. Afterwards they are done."""
        await self.line.turn(HOLE)
        one = {START: self.start, CHANGE: self.event}[kind]
        held = [asyncio.create_task(one()) for _ in range(MOST)]
        try:
            await self.at_work(MOST, kind)
            yield held
        finally:
            await self.line.turn(CLEAR)
            await asyncio.gather(*held, return_exceptions=True)

    async def at_work(self, count: int, kind: str = START) -> None:
        """Wait until so many are."""
        await eventually(lambda: self.rooms[kind].at_work == count, within=30, describe=f"{count} at work ({kind})")

    async def raw(
        self, body: bytes, *, of: int, path: str = "/api/execute"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that has sent a request's head, and of its `of` bytes of body these."""
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {of}\r\n\r\n".encode() + body)
        await writer.drain()
        return reader, writer


@pytest.fixture
async def desk(redis: Redis, valkey: Valkey, client: httpx.AsyncClient) -> AsyncIterator[Desk]:  # noqa: ARG001 - it empties the store
    """Its store is empty."""
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(Proxy(free_port(), [valkey.port]))
        more = {"REDIS_URL": f"redis://127.0.0.1:{line.port}/0", "INGRESS_AT_WORK": str(MOST), "METRICS": "true"}
        app = await Site(configured(**{**variables(valkey), **more}), stack).app("ingress")
        url = await stack.enter_async_context(serving(app))
        yield Desk(url, app, line, client)


async def status(reader: asyncio.StreamReader) -> int:
    """Of the answer that comes."""
    async with asyncio.timeout(30):
        return int((await reader.readline()).split()[1])


def busy(answer: httpx.Response) -> bool:
    """Whether it is the refusal, whole: status, code, when to come again, and what to do in words."""
    if answer.status_code != 503:
        return False
    error = answer.json()["error"]
    assert (error["code"], error["details"], answer.headers["Retry-After"]) == ("busy", {"retryAfter": 1}, "1")
    assert "nothing was done for this one, send it again" in error["message"]
    return True


# starts


async def test_beyond_the_bound_a_start_is_told_to_come_again_and_those_at_work_end_well(desk: Desk) -> None:
    """The answer comes while the others still wait. What was refused is not stored, and taken when it comes again."""
    async with desk.full() as held:
        refused = [await desk.start(f"order-{number}") for number in range(3)]
        assert all(busy(one) for one in refused)
        assert not any(task.done() for task in held)
    taken = {task.result().json()["id"] for task in held}
    assert [task.result().status_code for task in held] == [202] * MOST
    assert await desk.stored() == taken
    again = [await desk.start(f"order-{number}") for number in range(3)]
    assert [one.status_code for one in again] == [202] * 3
    assert await desk.stored() == taken | {one.json()["id"] for one in again}
    await desk.at_work(0)


@pytest.mark.parametrize("path", ["/healthz", "/api/tools", "/openapi.json", "/", "/console/api.js"])
async def test_what_needs_no_redis_is_answered_while_starts_are_refused(desk: Desk, path: str) -> None:
    """Health, reads, and the console's files."""
    async with desk.full():
        assert busy(await desk.start())
        assert (await desk.ask("GET", path)).status_code == 200


async def test_reads_that_need_redis_wait_for_it_and_are_not_refused(desk: Desk) -> None:
    """However many."""
    first = (await desk.start()).json()["id"]
    async with desk.full():
        reads = [asyncio.create_task(desk.ask("GET", f"/api/executions/{first}")) for _ in range(5 * MOST)]
        reads.append(asyncio.create_task(desk.ask("GET", "/readyz")))
        assert busy(await desk.start())
    assert [one.status_code for one in await asyncio.gather(*reads)] == [200] * len(reads)


async def test_who_is_at_work_and_who_was_refused_is_in_the_metrics(desk: Desk, client: httpx.AsyncClient) -> None:
    """They are there before anything happens, and by kind."""

    async def shown() -> list[str]:
        text = (await client.get(f"{desk.url}/metrics")).text
        return [line for line in text.splitlines() if line.startswith("intention_requests_")]

    def lines(at_work: int, refused: int) -> list[str]:
        return [
            f'intention_requests_at_work{{what="start"}} {at_work}.0',
            'intention_requests_at_work{what="change"} 0.0',
            f'intention_requests_refused_total{{what="start"}} {refused}.0',
            'intention_requests_refused_total{what="change"} 0.0',
        ]

    assert await shown() == lines(0, 0)
    async with desk.full():
        for _ in range(3):
            assert busy(await desk.start())
        assert await shown() == lines(MOST, 3)
    await desk.at_work(0)
    assert await shown() == lines(0, 3)


# seats are given back


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"intent": 1}', 400), (b'{"plan": {"steps": [{"name": "a", "tool": "nothing"}]}}', 422), (b"", 400)],
)
async def test_what_is_refused_for_itself_gives_its_seat_back(desk: Desk, body: bytes, status: int) -> None:
    """More often than there are seats."""
    for _ in range(MOST + 1):
        assert (await desk.ask("POST", "/api/execute", content=body)).status_code == status
    assert (await desk.start()).status_code == 202


async def test_a_client_that_leaves_gives_its_seat_back_when_what_it_began_has_ended(desk: Desk) -> None:
    """Its start may be stored, and is, once; nobody else takes the seat before."""
    body = json.dumps(PLAN).encode()
    await desk.line.turn(HOLE)
    for _ in range(MOST):
        _, writer = await desk.raw(body, of=len(body))
        await desk.at_work(desk.rooms[START].at_work or 1)
        writer.close()
        await writer.wait_closed()
    await desk.at_work(MOST)
    assert busy(await desk.start())
    await desk.line.turn(CLEAR)
    await desk.at_work(0)
    assert len(await desk.stored()) == MOST
    assert (await desk.start()).status_code == 202


async def test_a_body_on_its_way_holds_no_seat(desk: Desk) -> None:
    """So many slow senders as there are seats and more; who leaves in the middle of it leaves nothing behind."""
    body = json.dumps(PLAN).encode()
    slow = [await desk.raw(body[:10], of=len(body)) for _ in range(2 * MOST)]
    assert (await desk.start()).status_code == 202
    for _, writer in slow[1:]:
        writer.close()
        await writer.wait_closed()
    reader, writer = slow[0]
    writer.write(body[10:])
    assert await status(reader) == 202
    writer.close()
    assert len(await desk.stored()) == 2
    await desk.at_work(0)


async def test_a_body_that_is_there_when_the_seats_are_taken_is_refused_and_stores_nothing(desk: Desk) -> None:
    """It was let begin while there were some."""
    body = json.dumps(PLAN).encode()
    reader, writer = await desk.raw(body[:10], of=len(body))
    assert (await desk.ask("GET", "/healthz")).status_code == 200  # by now the head has been read
    async with desk.full():
        writer.write(body[10:])
        assert await status(reader) == 503
    writer.close()
    assert len(await desk.stored()) == MOST


async def test_a_body_is_not_read_while_all_seats_are_taken(desk: Desk) -> None:
    """The answer is there before it."""
    async with desk.full():
        reader, writer = await desk.raw(b"{", of=4_000_000)
        assert await status(reader) == 503
        writer.close()


async def test_a_stream_of_the_chat_holds_no_seat(desk: Desk, client: httpx.AsyncClient) -> None:
    """It lasts as long as what it tells of; more are open than there are seats."""
    words = {"message": "Book a table for 2 at 7pm and text me the confirmation", "userId": "test-user"}
    asked = client.build_request("POST", f"{desk.url}/api/chat", json=words, headers=AUTH | {"Accept": "text/event-stream"})
    streams = [await client.send(asked, stream=True) for _ in range(MOST + 1)]
    assert [one.status_code for one in streams] == [200] * len(streams)
    assert [desk.rooms[START].at_work, (await desk.start()).status_code] == [0, 202]
    for one in streams:
        assert (await anext(one.aiter_lines())) == "event: plan"
        await one.aclose()


# who is counted


async def test_a_flood_of_starts_keeps_nobody_from_stopping_what_runs(desk: Desk) -> None:
    """Changes have seats of their own."""
    first = (await desk.start()).json()["id"]
    async with desk.full():
        cancel = asyncio.create_task(desk.ask("POST", f"/api/executions/{first}/cancel", json={}))
        await desk.at_work(1, CHANGE)
        assert busy(await desk.start())
    assert (await cancel).status_code == 202


async def test_a_request_without_a_body_holds_a_seat_too(desk: Desk) -> None:
    """Also one that may have a body."""
    await desk.line.turn(HOLE)
    held = [
        asyncio.create_task(desk.ask("DELETE", f"/api/schedules/sch_0a_{'f' * 32}")),
        asyncio.create_task(desk.ask("POST", f"/api/executions/{NOBODY}/cancel")),
    ]
    await desk.at_work(2, CHANGE)
    await desk.line.turn(CLEAR)
    assert [one.status_code for one in await asyncio.gather(*held)] == [404, 404]
    await desk.at_work(0, CHANGE)


def path_of(route: Operation) -> str:
    """One of its addresses."""
    ticket = Ticket(execution=NOBODY, tenant="acme", step="a", until_s=2**33)
    token = token_of(Addresses(LOCAL_INTERNAL_KEY, "http://ingress").url(ticket))
    return route.path_format.replace("{id}", NOBODY).replace("{token}", token).replace("{", "").replace("}", "")


@pytest.mark.parametrize("kind", [START, CHANGE])
async def test_every_route_that_is_no_read_needs_a_seat_of_its_kind(desk: Desk, kind: str) -> None:
    """Also one whose body may be left out, and one that has none."""
    routes = [one for one in ROUTES if isinstance(one, Operation) and one.said.methods != ("GET",)]
    asked = [one for one in routes if (one.path in STARTS) == (kind == START)]
    assert {one.path for one in routes} >= STARTS
    assert len(asked) >= len(STARTS)
    async with desk.full(kind):
        for route in asked:
            for method in route.said.methods:
                answer = await desk.ask(method, path_of(route), json={} if route.said.takes else None)
                assert busy(answer), f"{method} {route.path}: {answer.status_code} {answer.text}"


def test_what_makes_something_is_a_start_and_so_is_what_plans_or_runs_it_at_once() -> None:
    """All that answers where what was made is found."""
    makes = {one.path for one in ROUTES if isinstance(one, Operation) and one.said.place}
    assert makes | {"/api/plan", "/api/schedules/{id}/run"} == STARTS


def test_reads_are_left_as_they_are() -> None:
    """Event streams, health and metrics among them."""
    reads = [one for one in ROUTES if not isinstance(one, Operation) or one.said.methods == ("GET",)]
    assert {"/api/events", "/healthz", "/readyz", "/metrics", "/", "/api/executions"} <= {one.path for one in reads}
    assert all(bounded(one) is one for one in reads)
