"""Real processes and kills: the log is kept, a subscriber goes on where it was, a webhook is called."""

import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from tests.services.ably_dev.receiving import receiver
from tests.services.ably_dev.support import Process, Server, raw, serving
from tests.services.ably_dev.test_official_realtime import Subscriber
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

pytestmark = pytest.mark.system


async def test_a_killed_server_keeps_its_log_and_a_subscriber_resumes(process: Process) -> None:
    """Published before the kill, while the subscriber is away, and after: each once, in order, by the unchanged client."""
    server = Server(process.port)
    async with server.realtime(realtime_request_timeout=1_000, disconnected_retry_timeout=200) as client, server.http:
        subscriber = await Subscriber(client, "orders").start()
        await server.publish("orders", {"id": "ce-1", "data": "before"})
        await subscriber.has("before")
        connection_id = client.connection.connection_manager.connection_id
        await process.end(signal.SIGKILL)
        await process.start()
        await server.publish("orders", {"data": "gap"})
        await server.publish("orders", {"id": "ce-1", "data": "again"})
        await eventually(lambda: len(subscriber.attached) == 2, within=20, describe="attached again")
        await server.publish("orders", {"data": "after"})
        await subscriber.has("before", "gap", "after")
        assert subscriber.attached == [False, True]
        assert client.connection.connection_manager.connection_id == connection_id
        assert [message["data"] for message in await server.history("orders")] == ["after", "gap", "before"]


async def test_a_log_that_is_gone_is_not_resumed(process: Process, redis: Redis) -> None:
    """The data was deleted while the server was down: a serial of the old log fits nothing in the new one."""
    server = Server(process.port)
    async with server.http:
        for data in "abc":
            await server.publish("orders", {"data": data})
        async with raw(server) as client:
            serial = (await client.attach("orders"))["channelSerial"]
        await process.end(signal.SIGKILL)
        await redis.flushall()
        await process.start()
        for data in "abcd":
            await server.publish("orders", {"data": data})
        async with raw(server) as client:
            attached = await client.attach("orders", channelSerial=serial)
        assert attached["error"]["code"] == 90004
        assert not attached["flags"] & 4


async def test_a_token_outlives_the_server_that_issued_it(process: Process) -> None:
    """Nothing of it is kept anywhere: its signature is enough."""
    server = Server(process.port)
    async with server.http:
        token = (await server.http.post("/keys/local.dev/requestToken", json={})).json()["token"]
        await process.end(signal.SIGKILL)
        await process.start()
        async with raw(server, accessToken=token) as client:
            assert client.frames[0]["action"] == 4


async def test_a_frame_that_is_sent_again_after_a_kill_is_stored_once(process: Process) -> None:
    """The ACK was lost with the server; the client resumes its connection and repeats the frame under the same msgSerial."""
    server = Server(process.port)
    frame: dict[str, Any] = {"action": 15, "channel": "orders", "msgSerial": 0, "messages": [{"data": "once"}]}
    async with server.http:
        async with raw(server) as client:
            key, connection_id = client.frames[0]["connectionDetails"]["connectionKey"], client.frames[0]["connectionId"]
            await client.send(**frame)
            first = await client.gets(1)
            await process.end(signal.SIGKILL)
        await process.start()
        async with raw(server, resume=key) as client:
            assert client.frames[0]["connectionId"] == connection_id
            assert "error" not in client.frames[0]
            await client.send(**frame)
            assert (await client.gets(1))["res"] == first["res"]
        assert len(await server.history("orders")) == 1


async def test_what_a_webhook_has_not_taken_is_handed_on_after_a_kill(redis: Redis, valkey: Valkey, tmp_path: Path) -> None:  # noqa: ARG001
    """It was queued by the same script that stored the message."""
    async with receiver() as there:
        there.status = 503
        rules = msgspec.json.encode([{"target": {"url": there.url}}]).decode()
        process = Process(valkey.url, tmp_path / "ably_dev.log", ABLY_DEV_RULES=rules)
        await process.start()
        server = Server(process.port)
        async with server.http:
            try:
                await server.publish("orders", {"id": "ce-1", "data": "x"})
                await eventually(lambda: there.seen, describe="the first call, which is refused")
                await process.end(signal.SIGKILL)
                there.seen.clear()
                there.status = 200
                await process.start()
                await eventually(lambda: there.seen, describe="the call after the restart")
                assert there.ids() == ["ce-1"]
            finally:
                await process.end()


async def test_while_redis_is_away_everything_is_refused_in_a_way_that_brings_clients_back(tmp_path: Path) -> None:
    """503, NACK, DETACHED, DISCONNECTED with a 400; after it the old subscriber goes on where it was."""
    valkey = Valkey(tmp_path)
    valkey.start()
    try:
        async with serving(valkey.url) as server, raw(server) as client:
            await client.attach("orders")
            await server.publish("orders", {"data": "before"})
            await client.gets(15)
            valkey.kill()
            refused = await server.http.post("/channels/orders/messages", json={"data": "x"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, 50003)
            assert (await server.http.get("/readyz")).status_code == 503
            await client.send(action=15, channel="orders", msgSerial=0, messages=[{"data": "x"}])
            assert (await client.gets(2))["error"]["statusCode"] == 503
            await client.send(action=10, channel="others")
            assert (await client.gets(13))["channel"] == "others"
            async with raw(server, resume="some!key") as other:
                assert (other.frames[0]["action"], other.frames[0]["error"]["statusCode"]) == (6, 400)
            valkey.start()
            await server.publish("orders", {"data": "after"})
            assert (await client.gets(15))["messages"][0]["data"] == "after"
            assert (await client.attach("others"))["channel"] == "others"
    finally:
        valkey.kill()


async def test_a_server_told_to_stop_closes_its_connections_and_ends(process: Process) -> None:
    """SIGTERM: no connection keeps it waiting."""
    server = Server(process.port)
    async with server.http, raw(server) as client:
        assert await process.end(signal.SIGTERM) in (0, -signal.SIGTERM)
        assert await client.closed() == 1012
