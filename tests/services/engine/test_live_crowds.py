"""Many readers, slow readers, and what they live on going away: none of it costs Redis, or another reader, anything."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from shared.live.live import Live
from shared.live.log import START, Event, Log
from shared.live.topic import Topic
from shared.redisdb import keys
from shared.redisdb.connect import connect
from shared.redisdb.news import News
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import Stage, chain, configured, serving, staged
from tests.services.engine.test_live import AUTH, Place, ended, history, line, place
from tests.support.sse import Listener, listening
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually

__all__ = ["place"]

CROWD = 1_000
BIG = "x" * 10_000


async def read(live: Live, topic: Topic, told: list[str]) -> None:
    """One reader, to the end."""
    follower = live.follower(topic)
    while not follower.over:
        told += [str(one.data["id"]) for one in await follower.next(live.heartbeat_s)]


async def test_a_thousand_readers_of_an_execution_are_one_reader_of_redis(stage: Stage) -> None:
    """The commands are counted: as many as for one, and every reader is told every line in order."""
    execution = await stage.create(chain(10))
    counted = []
    for crowd in (1, CROWD):
        one = execution if crowd == 1 else await stage.create(chain(10))
        news = News(stage.redis)
        live = Live(news, most=CROWD)
        told: list[list[str]] = [[] for _ in range(crowd)]
        async with AsyncExitStack() as stack:
            topics = [await stack.enter_async_context(live.following(one, "acme")) for _ in range(crowd)]
            reading = [asyncio.create_task(read(live, topic, some)) for topic, some in zip(topics, told, strict=True)]
            await stage.run(one)
            await asyncio.gather(*reading)
        await live.close()
        assert told == [await history(stage, one)] * crowd
        counted.append(dict(news.calls))
    for calls in counted:
        assert {name: calls.get(name, 0) for name in ("open", "latest", "page", "has")} == {
            "open": 1, "latest": 1, "page": 0, "has": 0,
        }  # fmt: skip
        assert calls["behind"] <= calls["read"]
    assert counted[1]["behind"] <= 2 + len(chain(10)) * 2  # no more than the rounds in which it moved


async def test_hundreds_of_connections_are_told_the_same(stage: Stage, place: Place, client: httpx.AsyncClient) -> None:
    """Over real HTTP."""
    execution = await stage.create(chain(6))
    client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None))
    async with client, AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(listening(client, place.of(execution), **AUTH)) for _ in range(200)]
        await stage.run(execution)
        for found in crowd:
            await ended(found)
    whole = await history(stage, execution)
    assert all(found.ids == whole and found.named("end") for found in crowd)
    assert place.live.news.calls["latest"] == 1


@asynccontextmanager
async def silent(place: Place, path: str) -> AsyncIterator[socket.socket]:
    """A connection that asks and then reads nothing, with as little room as the system gives."""
    host, port = place.url.removeprefix("http://").split(":")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.connect((host, int(port)))
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        yield raw


async def whole(raw: socket.socket) -> Listener:
    """Everything that was sent to it, until the server ends it."""
    raw.setblocking(False)  # noqa: FBT003 - the standard library's
    loop, data = asyncio.get_running_loop(), b""
    while not data.endswith(b"0\r\n\r\n") and (more := await asyncio.wait_for(loop.sock_recv(raw, 1 << 20), 60)):
        data += more
    body, found = data.partition(b"\r\n\r\n")[2], Listener()
    text = b""
    while body and (size := int(body.partition(b"\r\n")[0], 16)):
        start = body.index(b"\r\n") + 2
        text, body = text + body[start : start + size], body[start + size + 2 :]
    for block in text.decode().split("\n\n")[:-1]:
        found.take(block)
    return found


async def test_a_slow_reader_is_dropped_with_a_reason_goes_on_later_and_holds_nobody_up(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """What it was told is without a gap; another reader was told everything meanwhile."""
    execution = await stage.create(chain(1))
    async with silent(place, f"/api/executions/{execution}/events") as raw:
        await eventually(lambda: place.live.readers == 1, within=60, describe="it follows")
        async with listening(client, place.of(execution), **AUTH) as quick:
            for _ in range(160):
                pipe = redis.pipeline(transaction=False)
                for _ in range(10):
                    pipe.xadd(keys.history(execution), {"l": json.dumps({"event": "noted", "detail": BIG})})
                await pipe.execute()
                added = await line(redis, execution, 1)
                await eventually(lambda: added in quick.ids, within=60, describe="the quick one has it")  # noqa: B023 - awaited here
            lines = await history(stage, execution)
            rest: Any = await redis.xrange(keys.history(execution))
            assert quick.ids == [entry.decode() for entry, _ in rest]
        slow = await whole(raw)
    assert slow.told[-1].name == "dropped"
    assert "too slow" in slow.told[-1].data["reason"]
    assert 0 < len(slow.ids) < len(quick.ids)
    assert slow.ids == quick.ids[: len(slow.ids)]
    assert lines[0] == slow.ids[0]
    async with listening(client, place.of(execution), **AUTH, **{"Last-Event-ID": slow.last_id}) as again:
        await eventually(lambda: len(slow.ids) + len(again.ids) == len(quick.ids), within=60, describe="the rest")
        assert slow.ids + again.ids == quick.ids


async def test_a_store_that_is_away_for_a_moment_costs_readers_nothing(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """They stay, and are told what happened before and after; whoever comes while it is away is asked to come again."""
    server = Valkey(tmp_path)
    server.start()
    try:
        async with AsyncExitStack() as stack, connect(server.url) as redis:
            site = Site(configured(**variables(server)), stack)
            app = await site.app("ingress")
            live: Live = app.state.deps.live
            stage = staged(redis)
            async with serving(app) as url:
                here = Place(url, live)
                execution, other = await stage.create(chain(1)), await stage.create(chain(1))
                async with (
                    listening(client, here.of(execution), **AUTH) as found,
                    listening(client, f"{url}/api/events", **AUTH) as feed,
                ):
                    before = await line(redis, execution, 1)
                    await eventually(lambda: before in found.ids and before in feed.ids, within=60, describe="a line")
                    server.kill()
                    answer = await client.get(here.of(other), headers=AUTH, timeout=20)
                    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
                    server.start()
                    after = await line(redis, execution, 2)
                    await eventually(lambda: after in found.ids and after in feed.ids, within=60, describe="the line after it")
                    assert found.ids == await history(stage, execution)
                    assert not found.over
                live.leave()
    finally:
        server.kill()


async def test_readers_are_sent_away_when_the_process_is_going_to_end(
    stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Nothing else would end their connections; the reason says what to do, and nobody is let in any more."""
    execution = await stage.create(chain(1))
    async with (
        listening(client, place.of(execution), **AUTH) as one,
        listening(client, f"{place.url}/api/events", **AUTH) as feed,
    ):
        place.live.leave()
        for found in (one, feed):
            await ended(found)
            assert "going away" in found.named("dropped")[0]["reason"]
    assert (await client.get(place.of(execution), headers=AUTH)).status_code == 503


async def test_a_process_that_is_told_to_stop_sends_its_readers_away_and_stops(
    stage: Stage, valkey: Valkey, client: httpx.AsyncClient
) -> None:
    """A stream has no end of its own: without this it would hold the process up until it is cut."""
    execution, port = await stage.create(chain(1)), free_port()
    environment = {"PATH": os.environ["PATH"], "INTENTION_MODE": "local", "INGRESS_PORT": str(port), **variables(valkey)}
    words = [sys.executable, "-m", "services.ingress.main"]
    process = await asyncio.create_subprocess_exec(*words, env=environment, stdout=asyncio.subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    async def there() -> bool:
        with suppress(httpx.TransportError):
            return (await client.get(f"{url}/readyz")).status_code == 200
        return False

    try:
        await eventually(there, within=30, describe="ingress is there")
        async with listening(client, f"{url}/api/executions/{execution}/events", **AUTH) as found:
            process.terminate()
            await ended(found)
        assert "going away" in found.named("dropped")[0]["reason"]
        assert await process.wait() == -signal.SIGTERM  # after everything else: uvicorn ends by the signal that it was sent
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_store_that_began_anew_sends_its_readers_to_begin_anew(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """What they were told is not known there any more."""
    execution = await stage.create(chain(1))
    async with listening(client, place.of(execution), **AUTH) as found:
        await redis.flushall()
        place.live.renew_s = 0.0
        await ended(found)
    assert "does not know" in found.named("dropped")[0]["reason"]


async def test_a_cluster_is_read_partition_by_partition(tmp_path: Path) -> None:
    """One command may not name keys of several slots there. Who follows is told all the same."""
    server = Valkey(tmp_path, cluster=True)
    server.start()
    try:
        async with connect(server.url) as redis:
            stage = staged(redis)
            live = Live(News(redis), most=9)
            executions = [await stage.create(chain(2), partition=pp) for pp in ("00", "3f")]
            told: list[list[str]] = [[], []]
            async with AsyncExitStack() as stack:
                topics = [await stack.enter_async_context(live.following(one, "acme")) for one in executions]
                reading = [asyncio.create_task(read(live, topic, some)) for topic, some in zip(topics, told, strict=True)]
                for execution in executions:
                    await stage.run(execution)
                await asyncio.gather(*reading)
            await live.close()
            assert told == [await history(stage, one) for one in executions]
    finally:
        server.kill()


def noted(number: int, size: int = 10) -> Event:
    """An event of so many bytes."""
    return Event((number, 0), {}, b"x" * size)


@pytest.mark.parametrize(
    ("most", "most_bytes", "size", "kept"),
    [(5, 10_000, 10, [5, 6, 7, 8, 9]), (100, 35, 10, [7, 8, 9]), (100, 5, 10, [9])],
    ids=["by number", "by bytes", "the latest one always stays"],
)
def test_a_window_holds_the_latest_and_knows_what_has_left_it(most: int, most_bytes: int, size: int, kept: list[int]) -> None:
    """A place before it is behind; each place in it gives exactly what is after it."""
    log = Log(START, most=most, most_bytes=most_bytes)
    for number in range(1, 10):
        log.add([noted(number, size)])
    places: Callable[[Any], list[int]] = lambda found: [one.place[0] for one in found]  # noqa: E731 - told in one line
    assert places(log.since(log.floor, 99)) == kept
    assert log.floor == (kept[0] - 1, 0)
    assert log.since((kept[0] - 2, 0), 99) is None
    assert places(log.since((kept[-1] - 1, 5), 99)) == [9]
    assert log.since((9, 0), 99) == []
    assert (log.tail, log.before) == ((9, 0), (8, 0))
