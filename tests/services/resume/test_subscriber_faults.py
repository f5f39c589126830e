"""Every fault that the official client is known to have (reference: faults with the server up), on a real ably_dev.

Whatever happens, each event comes to the door exactly once.
"""

import signal
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.ably import MESH
from tests.services.ably_dev.support import Process, Server
from tests.services.resume.support import issued, listening, unique
from tests.support.waiting import eventually


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


async def test_a_message_without_its_serial_costs_the_place_at_the_next_drop(redis: Redis, server: Server) -> None:
    """The client overwrites its place with nothing, and comes back without `resumed`: the catch-up is for that."""
    async with listening(redis, server) as heard:
        before = heard.counts.catch_ups
        await server.fault({"kind": "no_serial"})
        await heard.send()
        await heard.all_once()
        await server.fault({"kind": "refuse_connections"})
        await server.now("drop")
        await heard.send()
        await server.fault()
        await heard.up()
        await heard.send()
        await heard.all_once()
        assert heard.counts.catch_ups > before
        assert heard.counts.caught_up == 1


async def test_a_server_that_stops_answering_is_noticed_by_pings(redis: Redis, process: Process, beside: Server) -> None:
    """SIGSTOP: sockets stay open and nothing comes. The client alone would notice after half a minute."""
    async with listening(redis, beside) as heard:
        await heard.send()
        await heard.all_once()
        process.tell(signal.SIGSTOP)
        try:
            await heard.until_rebuilt(because="pings in a row were not answered")
        finally:
            process.tell(signal.SIGCONT)
        await heard.send()
        await heard.up()
        await heard.send()
        await heard.all_once()


async def test_a_token_is_renewed_in_band_and_nothing_is_missed(redis: Redis, server: Server) -> None:
    """The server asks (AUTH) at half of a token's life; every renewal attaches all channels again."""
    tokens: list[str] = []

    async def short(_: Any) -> str:
        tokens.append(issued(life_s=2))
        return tokens[-1]

    async with listening(redis, server, auth=short) as heard:
        begun = len(tokens)
        await eventually(lambda: len(tokens) >= begun + 2, within=20, describe="two more tokens")
        for _ in range(5):
            await heard.send()
        await heard.up()
        await heard.all_once()
        assert heard.rebuilds == 0


async def test_a_token_refused_twice_in_a_row_is_cured_by_a_new_client(redis: Redis, server: Server) -> None:
    """After the second 40142 the client goes on with the token that has ended until it is suspended, two minutes later."""
    async with listening(redis, server, auth=unique) as heard:
        await heard.send()
        await server.now("expire_tokens")
        await heard.send()
        await heard.up()
        assert heard.rebuilds == 0
        await server.now("expire_tokens")
        await heard.send()
        await heard.until_rebuilt(because="its token is refused (40142)")
        await heard.up()
        await heard.send()
        await heard.all_once()


async def test_a_token_that_cannot_be_given_once_is_asked_for_again(redis: Redis, server: Server) -> None:
    """The client tells itself 80019 and tries again."""
    fails = [True]

    async def sometimes(_: Any) -> str:
        if fails and fails.pop():
            raise RuntimeError("no token now")
        return issued()

    async with listening(redis, server, auth=sometimes) as heard:
        await heard.send()
        await heard.all_once()
        assert not fails


async def test_a_channel_that_the_key_may_not_hear_does_not_cost_the_others(
    redis: Redis, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """40160 is told as it is, and once; a new client would be told the same."""

    async def narrow(_: Any) -> str:
        return issued({MESH: ["subscribe", "history"]})

    async with listening(redis, server, auth=narrow) as heard:
        await heard.send()
        await heard.all_once()
        report = heard.subscriber.report()
        assert report["channels"] == {MESH: "attached", f"{MESH}:local": "failed (40160)"}
        assert (report["connected"], heard.rebuilds) == (True, 0)
    assert capsys.readouterr().out.count("mesh.refused") == 1
