"""`GET /api/executions/{id}/events` over real HTTP: what there was, what comes, in order, nothing twice, and then the end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from shared.live.live import Live
from shared.redisdb import keys
from tests.services.engine.site import KEY, NOBODY, Site
from tests.services.engine.support import Stage, chain, serving
from tests.support.sse import Listener, listening
from tests.support.waiting import eventually

AUTH = {"Authorization": f"Bearer {KEY}"}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}


class Place:
    """Ingress at an address, and what it follows."""

    def __init__(self, url: str, live: Live) -> None:
        self.url, self.live = url, live

    def of(self, execution: str, after: str = "") -> str:
        """Where an execution's events are."""
        return f"{self.url}/api/executions/{execution}/events" + (f"?after={after}" if after else "")


@pytest.fixture
async def place(site: Site) -> AsyncIterator[Place]:
    """Ingress behind a real socket."""
    app = await site.app("ingress")
    async with serving(app) as url:
        live: Live = app.state.deps.live
        yield Place(url, live)
        live.leave()


async def history(stage: Stage, execution: str) -> list[str]:
    """The ids of all lines there are."""
    return [line["id"] for line in await stage.reader.history(execution, "acme")]


async def line(redis: Redis, execution: str, number: int) -> str:
    """One more line, written as the commands write it."""
    added: Any = await redis.xadd(keys.history(execution), {"l": f'{{"event":"noted","detail":{{"n":{number}}}}}'})
    told = {"x": execution, "a": added, "z": added}
    await redis.xadd(keys.news(keys.partition_of(execution)), told, nomkstream=True)  # type: ignore[arg-type]
    return str(added.decode())


async def ended(found: Listener) -> None:
    """Wait until the server ends the stream."""
    await eventually(lambda: found.over, within=60, describe="the stream has ended")


async def test_history_comes_first_and_then_what_happens_until_the_end(
    stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Each line as the history gives it, once and in order; the last event says how it ended, and the stream is over."""
    execution = await stage.create(chain(12))
    async with listening(client, place.of(execution), **AUTH) as found:
        await eventually(lambda: found.ids, within=60, describe="the line that there was")
        assert (await stage.run(execution)).status == 200
        await ended(found)
    lines = await stage.reader.history(execution, "acme")
    assert found.lines == [{"executionId": execution, **one} for one in lines]
    assert [one.id for one in found.told if not one.name] == [one["id"] for one in lines]
    assert found.told[-1].name == "end"
    assert found.told[-1].data == {"executionId": execution, "status": "COMPLETED"}


async def test_what_is_over_already_is_told_whole_and_ends(stage: Stage, place: Place, client: httpx.AsyncClient) -> None:
    """A reader may come late."""
    execution = await stage.create(chain(3))
    await stage.run(execution)
    async with listening(client, place.of(execution), **AUTH) as found:
        await ended(found)
    assert found.ids == await history(stage, execution)
    assert found.named("end") == [{"executionId": execution, "status": "COMPLETED"}]


@pytest.mark.parametrize("way", ["header", "query", "both"])
async def test_a_reader_goes_on_behind_the_line_that_it_has(
    way: str, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """By the header, or in the address; a browser that connects again sends both, and the header is the newer one."""
    execution = await stage.create(chain(4))
    await stage.run(execution)
    lines = await history(stage, execution)
    asked = {"header": place.of(execution), "query": place.of(execution, lines[4]), "both": place.of(execution, lines[1])}
    headers = {} if way == "query" else {"Last-Event-ID": lines[4]}
    async with listening(client, asked[way], **AUTH, **headers) as found:
        await ended(found)
    assert found.ids == lines[5:]
    assert found.named("reset") == []


async def test_lines_of_many_writers_come_in_order_without_gap_or_repeat_however_often_a_reader_connects(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Eight write at once, each reader leaves in the middle and goes on where it was, while one stays."""
    execution = await stage.create(chain(2))
    total = 400

    async def write(first: int) -> None:
        for number in range(first, total, 8):
            await line(redis, execution, number)

    async with listening(client, place.of(execution), **AUTH) as stays:
        writers = asyncio.gather(*(write(first) for first in range(8)))
        pieces: list[str] = []
        while len(pieces) < total + 1:
            last = {"Last-Event-ID": pieces[-1]} if pieces else {}
            async with listening(client, place.of(execution), **AUTH, **last) as found:
                wanted = min(total + 1 - len(pieces), 37)
                await eventually(lambda: len(found.ids) >= wanted, within=60, describe=f"{wanted} more lines")  # noqa: B023 - awaited here
                pieces += found.ids[:wanted]
        await writers
        lines = await history(stage, execution)
        await eventually(lambda: len(stays.ids) == len(lines), within=60, describe="all lines")
    assert pieces == stays.ids == lines


async def test_a_line_that_a_history_does_not_have_begins_it_anew(
    stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """The id of another execution's line, or of one that is gone: the reader is told so, then everything."""
    execution = await stage.create(chain(1))
    await stage.run(execution)
    own = await history(stage, execution)
    while (foreign := (await history(stage, await stage.create(chain(1))))[0]) in own:
        pass  # lines of one moment may have one id
    for after in (foreign, "1-0", "99999999999999-0"):
        async with listening(client, place.of(execution), **AUTH, **{"Last-Event-ID": after}) as found:
            await ended(found)
        assert found.told[0].name == "reset"
        assert found.ids == await history(stage, execution)


async def test_a_long_history_is_read_in_pages_and_then_followed(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """What lies before the window comes from Redis, what is in it from memory, what comes then as news."""
    execution = await stage.create(chain(1))
    for number in range(1_700):
        await redis.xadd(keys.history(execution), {"l": f'{{"event":"noted","detail":{{"n":{number}}}}}'})
    async with listening(client, place.of(execution), **AUTH) as found:
        await eventually(lambda: len(found.ids) == 1_701, within=60, describe="all that there was")
        await stage.run(execution)
        await ended(found)
    entries: Any = await redis.xrange(keys.history(execution))
    whole = [entry.decode() for entry, _ in entries]
    assert found.ids == whole


async def test_after_a_reopen_a_new_connection_goes_on(stage: Stage, place: Place, client: httpx.AsyncClient) -> None:
    """The end of a stream is the end of a connection, not of what may still happen."""
    execution = await stage.create(chain(1))
    await stage.run(execution)
    async with listening(client, place.of(execution), **AUTH) as found:
        await ended(found)
    name = keys.record(execution)
    await stage.redis.hset(name, "status", "EXECUTING")
    async with listening(client, place.of(execution), **AUTH, **{"Last-Event-ID": found.last_id}) as again:
        added = await line(stage.redis, execution, 1)
        await eventually(lambda: again.ids, within=60, describe="the line after the end")
        assert again.ids == [added]
        assert not again.over
        await stage.redis.hset(name, "status", "COMPENSATED")
        await line(stage.redis, execution, 2)
        await ended(again)
    assert again.named("end") == [{"executionId": execution, "status": "COMPENSATED"}]


async def test_another_tenants_execution_is_not_there(stage: Stage, place: Place, client: httpx.AsyncClient) -> None:
    """The same answer as for one that never was, also while its owner follows it."""
    execution = await stage.create(chain(1))
    async with listening(client, place.of(execution), **AUTH):
        for asked in (execution, NOBODY, "exe_zz"):
            answer = await client.get(place.of(asked), headers=OTHER)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert (await client.get(place.of(execution), headers={"Authorization": "Bearer wrong"})).status_code == 401
    await eventually(lambda: place.live.readers == 0, within=60, describe="nobody follows")


async def test_a_cursor_that_is_no_id_is_refused_by_name(stage: Stage, place: Place, client: httpx.AsyncClient) -> None:
    """Where it stands, and what it should be."""
    execution = await stage.create(chain(1))
    for url, headers, at in (
        (place.of(execution, "yesterday"), {}, "after"),
        (place.of(execution), {"Last-Event-ID": "p1:0"}, "Last-Event-ID"),
    ):
        answer = await client.get(url, headers=AUTH | headers)
        assert (answer.status_code, answer.json()["error"]["details"]["at"]) == (400, at)


async def test_a_reader_that_leaves_is_freed_and_the_last_one_ends_the_reading(
    stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Also one whose connection just ends. Without readers nothing is asked of Redis."""
    execution = await stage.create(chain(1))
    host, port = place.url.removeprefix("http://").split(":")
    async with listening(client, place.of(execution), **AUTH):
        with socket.create_connection((host, int(port))) as raw:
            request = f"GET /api/executions/{execution}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
            raw.sendall(request.encode())
            await eventually(lambda: place.live.readers == 2, within=60, describe="two follow")
        await eventually(lambda: place.live.readers == 1, within=60, describe="one has gone")
    await eventually(lambda: place.live.readers == 0, within=60, describe="nobody follows")
    await eventually(lambda: not place.live.running, within=60, describe="the reading has ended")


async def test_more_streams_than_a_tenant_may_have_are_refused(stage: Stage, place: Place, client: httpx.AsyncClient) -> None:
    """With the limit and its setting; another tenant's are its own, and one that ends makes room."""
    execution = await stage.create(chain(1))
    place.live.most = 2
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(listening(client, place.of(execution), **AUTH))
        answer = await client.get(place.of(execution), headers=AUTH)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_streams")
        assert "STREAMS_PER_TENANT" in answer.json()["error"]["message"]
        assert (await client.get(place.of(execution), headers=OTHER)).status_code == 404
    await eventually(lambda: place.live.readers == 0, within=60, describe="nobody follows")
    async with listening(client, place.of(execution), **AUTH) as found:
        assert found.status == 200
