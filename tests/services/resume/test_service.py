"""The subscriber as a part of the resume service: started with it, shown by it, ended with it."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from services.resume.subscriber.line import client
from services.resume.subscriber.quiet import silence
from shared.ably import MESH
from shared.redisdb.connect import connect
from shared.redisdb.positions import Positions
from shared.settings import Secret
from tests.services.ably_dev.support import Server, settled
from tests.services.engine.site import Site, variables
from tests.services.engine.support import configured
from tests.services.resume.support import QUICK, event, issued, listening
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually

HEALTH = "/api/health/mesh"


async def report(site: Site) -> Any:
    """What the service says of its subscriber."""
    answer = await site.call("resume", "GET", HEALTH)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_execution_that_qstash_refused_is_heard_of_on_ably(redis: Redis, server: Server, valkey: Valkey) -> None:  # noqa: ARG001
    """Ingress publishes the event, this service brings it to the real door; its health shows it."""
    async with AsyncExitStack() as stack:
        site = Site(configured(**{**variables(valkey), "ABLY_URL": server.url}), stack)

        async def connected() -> bool:
            return bool((await report(site))["connected"])

        async def handled() -> bool:
            return bool((await report(site))["counts"]["handled"])

        await eventually(connected, describe="the subscriber is connected")
        await site.execution()
        await eventually(handled, describe="the event is handled")
        shown = await report(site)
        assert (shown["counts"]["hints"], shown["counts"]["nothing"], shown["waiting"]) == (1, 0, 0)
        assert shown["channels"] == dict.fromkeys(
            (MESH, *(f"{MESH}:{name}" for name in ("acme", "local", "other"))), "attached"
        )
    await settled()


async def test_a_service_is_ready_without_ably_and_says_what_it_lacks(site: Site) -> None:
    """Nothing listens where it looks. Its health is an error only after a minute."""
    assert (await site.call("resume", "GET", "/readyz")).status_code == 200
    shown = await report(site)
    assert (shown["configured"], shown["connected"], shown["lastMessageAt"]) == (True, False, None)


async def test_without_a_key_there_is_no_second_channel_and_nothing_wrong(redis: Redis, valkey: Valkey) -> None:  # noqa: ARG001
    """Production without Ably."""
    async with AsyncExitStack() as stack:
        without = msgspec.structs.replace(configured(**variables(valkey)), ably_api_key=Secret(""))
        site = Site(without, stack)
        assert await report(site) == {"configured": False}


async def test_it_waits_for_redis_to_know_where_to_begin(server: Server, tmp_path: Path) -> None:
    """What it is told before that would have nowhere to go."""
    own = Valkey(tmp_path)
    own.port = free_port()
    away = connect(own.url)
    sent = event()
    await server.publish(MESH, sent)
    try:
        async with listening(away, server, wait=False) as heard:
            await asyncio.sleep(0)
            own.start()
            await heard.up()
            await heard.door.has(sent)
        assert (await Positions(away).load())[MESH]
    finally:
        await away.aclose()
        own.kill()


async def test_the_clients_own_words_and_the_token_stay_out_of_the_log(
    beside: Server, redis: Redis, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A zombie's goodbye and refused connections bring tracebacks at the client and at asyncio."""
    tokens: list[str] = []

    async def noted(_: Any) -> str:
        tokens.append(issued())
        return tokens[-1]

    with caplog.at_level(logging.INFO):
        async with listening(redis, beside, auth=noted) as heard:
            await beside.now("disconnect", code=50003, status=503)
            await heard.until_rebuilt()
            await beside.fault({"kind": "refuse_connections"})
            await beside.now("error", code=50000, status=500)
            await heard.until_rebuilt(2)
            await beside.fault()
            await heard.up()
    said = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert not [one for one in tokens if one in said]


async def test_the_client_still_has_what_is_reached_into(server: Server) -> None:
    """No documentation names these: another version of the client may lose them."""
    silence()
    made = client({"endpoint": f"127.0.0.1:{server.port}/", "tls": False}, lambda _: _token(), QUICK)
    manager = made.connection.connection_manager
    transports: list[Any] = []
    manager.on("transport.pending", lambda one: transports.append(one))  # noqa: PLW0108 - the client takes functions written in Python only
    await eventually(lambda: made.connection.state == "connected", describe="it is connected")
    assert manager.check_connection() is True
    assert "check_connection" in vars(type(manager))
    assert {"ws_connect_task", "read_loop", "idle_timer", "websocket"} <= set(vars(transports[0]))
    assert transports[0].websocket.transport is not None
    await made.close()
    await settled()


async def _token() -> str:
    return issued()
