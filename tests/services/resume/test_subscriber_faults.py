"""Every fault that the official client is known to have (reference: faults with the server up), on a real ably_dev.

Whatever happens, each event comes to the door exactly once.
"""

import pytest
from redis.asyncio import Redis

from tests.services.ably_dev.support import Server
from tests.services.resume.support import listening


@pytest.mark.parametrize("close", [1000, 1011])
async def test_a_closed_socket_costs_nothing_and_no_client(redis: Redis, server: Server, close: int) -> None:
    """The client comes back by itself, at its place."""
    async with listening(redis, server) as heard:
        await heard.send()
        await server.now("drop", close=close)
        await heard.send()
        await heard.up()
        await heard.send()
        await heard.all_once()
        assert heard.rebuilds == 0


async def test_a_disconnected_client_comes_back_by_itself(redis: Redis, server: Server) -> None:
    """DISCONNECTED with a 400 is the one that the client understands."""
    async with listening(redis, server) as heard:
        await heard.send()
        await server.now("disconnect", code=80003, status=400)
        await heard.send()
        await heard.up()
        await heard.send()
        await heard.all_once()
        assert heard.rebuilds == 0


@pytest.mark.parametrize(("deed", "more"), [("disconnect", {"code": 50003, "status": 503}), ("disconnect_without_error", {})])
async def test_a_zombie_is_unmasked_by_a_ping_and_replaced(
    redis: Redis, server: Server, deed: str, more: dict[str, int]
) -> None:
    """Connected, attached and deaf, for ever if nobody asks."""
    async with listening(redis, server) as heard:
        await heard.send()
        await heard.all_once()
        await server.now(deed, **more)
        await heard.send()
        await heard.until_rebuilt(because="the client says that it is connected")
        await heard.up()
        await heard.send()
        await heard.all_once()


async def test_a_failed_connection_is_replaced(redis: Redis, server: Server) -> None:
    """An ERROR without a channel is final for the client."""
    async with listening(redis, server) as heard:
        await heard.send()
        await server.now("error", code=50000, status=500)
        await heard.send()
        await heard.until_rebuilt(because="the connection is failed (50000)")
        await heard.up()
        await heard.send()
        await heard.all_once()


async def test_an_unasked_detached_is_answered_by_attaching_again(redis: Redis, server: Server) -> None:
    """By the client itself."""
    async with listening(redis, server) as heard:
        await heard.send()
        await server.now("detach")
        await heard.send()
        await heard.up()
        await heard.send()
        await heard.all_once()
        assert heard.rebuilds == 0


async def test_a_failed_channel_is_replaced_with_its_client(redis: Redis, server: Server) -> None:
    """A channel's ERROR is final for the channel."""
    async with listening(redis, server) as heard:
        await heard.send()
        await server.now("channel_error", channel="mesh:resume", code=90000)
        await heard.send()
        await heard.until_rebuilt(because="a channel has failed: mesh:resume (90000)")
        await heard.up()
        await heard.send()
        await heard.all_once()
