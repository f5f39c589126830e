"""The official Python realtime client, unchanged: what it is promised, and what it must get through."""

import asyncio
from typing import Any

import pytest

from tests.services.ably_dev.official import AblyException, AblyRealtime, ChannelOptions, Message
from tests.services.ably_dev.support import PUBLISHER, SUBSCRIBER, Server, serving
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

both = pytest.mark.parametrize("binary", [True, False], ids=["msgpack", "json"])


class Subscriber:
    """Keeps what a channel brings, and how it was attached."""

    def __init__(self, client: AblyRealtime, name: str, options: ChannelOptions | None = None) -> None:
        self.channel = client.channels.get(name, options)
        self.seen: list[Any] = []
        self.attached: list[bool] = []
        self.channel.on("attached", lambda change: self.attached.append(change.resumed))
        self.channel.on("update", lambda change: self.attached.append(change.resumed))

    async def start(self) -> "Subscriber":
        """Subscribed and attached."""
        await asyncio.wait_for(self.channel.subscribe(self._take), 8)
        return self

    def _take(self, message: Message) -> None:
        self.seen.append(message)  # not `append` itself: the client takes functions written in Python only

    @property
    def data(self) -> list[Any]:
        """The data of what came."""
        return [message.data for message in self.seen]

    async def has(self, *data: Any) -> None:
        """Exactly this came, in this order."""
        await eventually(lambda: len(self.seen) >= len(data), describe=f"{data} of {self.data}")
        assert self.data == list(data)


@both
async def test_a_subscriber_gets_what_is_published_in_either_way(server: Server, *, binary: bool) -> None:
    """By REST and by a connection, with data of every kind, and its publisher gets serials."""
    async with server.realtime(use_binary_protocol=binary) as client:
        subscriber = await Subscriber(client, "orders").start()
        await server.publish("orders", {"name": "told", "data": {"by": "rest"}})
        await subscriber.has({"by": "rest"})
        result = await subscriber.channel.publish("told", b"\x00\x01")
        await subscriber.channel.publish([Message(name="a", data="1"), Message(name="b", data=[2])])
        await subscriber.has({"by": "rest"}, bytearray(b"\x00\x01"), "1", [2])
        assert result.serials == [subscriber.seen[1].serial]
        assert subscriber.seen[1].connection_id == client.connection.connection_manager.connection_id
        stored = await server.history("orders", direction="forwards")
    assert [message["serial"] for message in stored] == [message.serial for message in subscriber.seen]


@both
async def test_json_and_msgpack_clients_understand_each_other(server: Server, *, binary: bool) -> None:
    """Bytes published by one arrive as bytes at the other."""
    async with server.realtime(use_binary_protocol=binary) as one, server.realtime(use_binary_protocol=not binary) as other:
        subscriber = await Subscriber(other, "orders").start()
        await one.channels.get("orders").publish("x", b"\xff")
        await subscriber.has(bytearray(b"\xff"))


@both
async def test_a_ping_is_answered_and_detach_ends_the_messages(server: Server, *, binary: bool) -> None:
    """Heartbeats carry their id back; DETACH and ATTACH do what they say."""
    async with server.realtime(use_binary_protocol=binary) as client:
        subscriber = await Subscriber(client, "orders").start()
        assert await client.connection.ping() >= 0
        await subscriber.channel.detach()
        await server.publish("orders", {"data": "unheard"})
        await subscriber.channel.attach()
        await server.publish("orders", {"data": "heard"})
        await subscriber.has("heard")


async def test_rewind_begins_some_messages_back_and_only_at_the_first_attach(server: Server) -> None:
    """By number and by time, as a parameter and as a qualifier of the name."""
    for data in "abc":
        await server.publish("orders", {"data": data})
    async with server.realtime() as client:
        counted = await Subscriber(client, "orders", ChannelOptions(params={"rewind": "2"})).start()
        timed = await Subscriber(client, "[?rewind=1m]orders").start()
        await counted.has("b", "c")
        await timed.has("a", "b", "c")
        await server.now("drop")
        await eventually(lambda: len(counted.attached) == len(timed.attached) == 2, describe="both are attached again")
        await server.publish("orders", {"data": "d"})
        await counted.has("b", "c", "d")
        await timed.has("a", "b", "c", "d")
        assert counted.attached == timed.attached == [False, True]


@pytest.mark.parametrize(
    ("deed", "more"),
    [("drop", {"close": 1000}), ("drop", {"close": 1011}), ("disconnect", {}), ("detach", {}), ("expire_tokens", {})],
    ids=["closed 1000", "closed 1011", "disconnected", "detached", "token expired"],
)
async def test_nothing_is_lost_and_nothing_comes_twice_over(server: Server, deed: str, more: dict[str, Any]) -> None:
    """A drop, a DISCONNECTED, an unasked DETACHED, a token that expires: back by itself, at its place."""
    async with server.realtime() as client:
        subscriber = await Subscriber(client, "orders").start()
        await server.publish("orders", {"data": "before"})
        await subscriber.has("before")
        assert await server.now(deed, **more) == 1
        await server.publish("orders", {"data": "meanwhile"})
        await eventually(lambda: len(subscriber.attached) == 2, describe="attached again")
        await server.publish("orders", {"data": "after"})
        await subscriber.has("before", "meanwhile", "after")
        assert subscriber.attached == [False, True]


async def test_lost_continuity_is_said_to_who_is_attached_and_to_who_comes_back(server: Server) -> None:
    """`resumed` is false: the only sign there is."""
    async with server.realtime() as client:
        subscriber = await Subscriber(client, "orders").start()
        await server.publish("orders", {"data": "before"})
        await subscriber.has("before")
        assert await server.now("lose_continuity", channel="orders") == 1
        await eventually(lambda: subscriber.attached == [False, False], describe="an update that is not resumed")
        await server.publish("orders", {"data": "after"})
        await subscriber.has("before", "after")
        await server.fault({"kind": "refuse_connections"})
        await server.now("drop")
        await eventually(lambda: client.connection.state == "disconnected", describe="disconnected")
        await server.now("lose_continuity", channel="orders")
        await server.publish("orders", {"data": "unheard"})
        await server.fault()
        await eventually(lambda: len(subscriber.attached) == 3, describe="attached again")
        assert subscriber.attached[-1] is False
        await server.publish("orders", {"data": "heard"})
        await subscriber.has("before", "after", "heard")


async def test_a_message_without_its_serial_loses_continuity_at_the_next_drop(server: Server) -> None:
    """The client overwrites its place with nothing."""
    await server.fault({"kind": "no_serial"})
    async with server.realtime() as client:
        subscriber = await Subscriber(client, "orders").start()
        await server.publish("orders", {"data": "before"})
        await subscriber.has("before")
        await server.now("drop")
        await eventually(lambda: len(subscriber.attached) == 2, describe="attached again")
        assert subscriber.attached == [False, False]


async def test_a_5xx_disconnect_makes_the_client_a_zombie_that_a_ping_unmasks(server: Server) -> None:
    """The fault that a watchdog is for: connected, attached and deaf."""
    async with server.realtime() as client:
        subscriber = await Subscriber(client, "orders").start()
        await server.now("disconnect", code=50003, status=503)
        await eventually(lambda: not server.deps or not server.deps.hub.connections, describe="the server sees nobody")
        assert (client.connection.state, subscriber.channel.state) == ("connected", "attached")
        with pytest.raises(Exception, match="1000"):
            await client.connection.ping()


async def test_errors_of_a_channel_and_of_the_connection_are_final(server: Server) -> None:
    """Failed, with the code that was sent."""
    async with server.realtime() as client:
        subscriber = await Subscriber(client, "orders").start()
        await server.now("channel_error", channel="orders", code=90000)
        await eventually(lambda: subscriber.channel.state == "failed", describe="the channel has failed")
        await server.now("error", code=50000, status=500)
        await eventually(lambda: client.connection.state == "failed", describe="the connection has failed")
        assert client.connection.error_reason.code == 50000


async def test_a_capability_limits_what_a_connection_may_do(server: Server) -> None:
    """Publish is answered by NACK, attach by a channel error, both 40160."""
    async with server.realtime(key=SUBSCRIBER) as client:
        subscriber = await Subscriber(client, "mesh:resume").start()
        with pytest.raises(AblyException) as refused:
            await subscriber.channel.publish("x", "y")
        assert refused.value.code == 40160
        with pytest.raises(AblyException) as failed:
            await asyncio.wait_for(client.channels.get("orders").attach(), 8)
        assert failed.value.code == 40160
        async with server.realtime(key=PUBLISHER) as publisher:
            deaf = await Subscriber(publisher, "mesh:resume").start()
            await deaf.channel.publish("x", "z")
            await subscriber.has("z")
            assert deaf.seen == []


async def test_a_token_is_renewed_on_the_living_connection(redis: Any, valkey: Valkey) -> None:  # noqa: ARG001 - empties it
    """AUTH comes before the end; the connection stays, and so does the channel's place."""
    async with serving(valkey.url) as server:
        issued: list[Any] = []

        async def callback(_: dict[str, Any]) -> Any:
            async with server.rest() as holder:
                issued.append(await holder.auth.request_token(token_params={"ttl": 1_000}))
                return issued[-1]

        async with server.realtime(auth_callback=callback) as client:
            subscriber = await Subscriber(client, "orders").start()
            connection_id = client.connection.connection_manager.connection_id
            await eventually(lambda: len(issued) >= 3, describe="two renewals")
            await server.publish("orders", {"data": "after"})
            await subscriber.has("after")
            assert client.connection.connection_manager.connection_id == connection_id
            assert False not in subscriber.attached[1:]


async def test_refused_slow_and_lost_publishes_look_as_they_would(server: Server) -> None:
    """A refusal by NACK, done or not; a lost delivery; a doubled one."""
    async with server.realtime() as client:
        subscriber = await Subscriber(client, "orders").start()
        await server.fault({"kind": "refuse", "count": 1, "code": 42911, "status": 429})
        with pytest.raises(AblyException) as refused:
            await subscriber.channel.publish("x", "never")
        assert refused.value.code == 42911
        await server.fault({"kind": "refuse", "count": 1, "after": True})
        with pytest.raises(AblyException):
            await subscriber.channel.publish("x", "done all the same")
        await subscriber.has("done all the same")
        await server.fault({"kind": "lose", "count": 1}, {"kind": "duplicate", "count": 1})
        await subscriber.channel.publish("x", "lost")
        await subscriber.channel.publish("x", "twice")
        await subscriber.has("done all the same", "twice", "twice")
        assert [message["data"] for message in await server.history("orders")] == ["twice", "lost", "done all the same"]


@both
async def test_members_enter_update_and_leave(server: Server, *, binary: bool) -> None:
    """Told to those who are there, and to those who come later."""
    async with server.realtime(client_id="ann", use_binary_protocol=binary) as ann:
        told: list[tuple[str, Any]] = []
        here = ann.channels.get("room")
        await here.presence.subscribe(lambda member: told.append((member.client_id, member.data)))
        await here.presence.enter("first")
        async with server.realtime(client_id="bob", use_binary_protocol=binary) as bob:
            there = bob.channels.get("room")
            await there.attach()
            assert [member.client_id for member in await there.presence.get()] == ["ann"]
            await there.presence.enter({"n": 1})
            await eventually(lambda: ("bob", {"n": 1}) in told, describe="bob is told")
            await here.presence.update("second")
            await here.presence.leave()
            await eventually(lambda: told.count(("ann", "second")) == 1, describe="ann's update")
            response = await server.http.get("/channels/room/presence")
            assert [member["clientId"] for member in response.json()] == ["bob"]
        await eventually(lambda: server.deps and not server.deps.presence.at("local", "room"), describe="all have left")
