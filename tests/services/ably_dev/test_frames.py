"""The websocket without a client's opinions: order, limits, resume, renewal, silence, and what must not break it."""

import asyncio
import secrets
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from services.ably_dev.deps import Timing
from services.ably_dev.protocol import Flag
from services.ably_dev.realtime.connection import MAX_WAITING
from shared.settings import DEV_ABLY_KEY
from tests.services.ably_dev.support import SUBSCRIBER, Raw, Server, raw, serving
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

HEARTBEAT, ACK, NACK, CONNECTED, DISCONNECTED, CLOSED, ERROR, ATTACHED, DETACHED = 0, 1, 2, 4, 6, 8, 9, 11, 13
PRESENCE, MESSAGE, AUTH = 14, 15, 17

both = pytest.mark.parametrize("binary", [True, False], ids=["msgpack", "json"])


@both
@pytest.mark.parametrize("path", ["/", "/:80", "/any/where"])
async def test_a_websocket_is_taken_at_any_path(server: Server, path: str, *, binary: bool) -> None:
    """Clients differ in what they append to their endpoint."""
    async with raw(server, binary=binary, path=path) as client:
        said = client.frames[0]
        assert said["action"] == CONNECTED
        assert said["connectionDetails"]["connectionKey"].startswith(said["connectionId"])
        await client.send(action=0, id="ping-1")
        assert (await client.gets(HEARTBEAT))["id"] == "ping-1"


async def test_publishes_are_acknowledged_in_order_and_carry_a_serial_each(server: Server) -> None:
    """`channelSerial` is in every MESSAGE; the default id is the connection's and the frame's."""
    async with raw(server) as client:
        await client.attach("orders")
        for serial in range(5):
            await client.send(action=15, channel="orders", msgSerial=serial, messages=[{"data": str(serial)}])
        acks = [await client.gets(ACK) for _ in range(5)]
        while len([frame for frame in client.frames if frame["action"] == MESSAGE]) < 5:
            await client.gets(MESSAGE)
    brought = [frame for frame in client.frames if frame["action"] == MESSAGE]
    assert [ack["msgSerial"] for ack in acks] == list(range(5))
    assert [frame["messages"][0]["data"] for frame in brought] == list("01234")
    assert [frame["messages"][0]["serial"] for frame in brought] == [ack["res"][0]["serials"][0] for ack in acks]
    assert [frame["channelSerial"] for frame in brought] == sorted(frame["channelSerial"] for frame in brought)
    assert brought[3]["messages"][0]["id"] == f"{client.frames[0]['connectionId']}:3:0"


async def test_a_connection_without_echo_does_not_hear_itself(server: Server) -> None:
    """But everybody else."""
    async with raw(server, echo="false") as client:
        await client.attach("orders")
        await client.send(action=15, channel="orders", msgSerial=0, messages=[{"data": "own"}])
        await client.gets(ACK)
        await server.publish("orders", {"data": "another's"})
        assert (await client.gets(MESSAGE))["messages"][0]["data"] == "another's"


async def test_a_serial_brings_exactly_what_came_after_it(server: Server) -> None:
    """From any place in the log, on any connection; ATTACHED says the place it begins at, so that a drop loses nothing."""
    for data in "abc":
        await server.publish("orders", {"data": data})
    serials = [one["serial"].rpartition(":")[0] for one in await server.history("orders", direction="forwards")]
    async with raw(server) as client:
        attached = await client.attach("orders", channelSerial=serials[0], flags=int(Flag.ATTACH_RESUME))
        assert attached["flags"] & Flag.RESUMED
        assert attached["flags"] & Flag.HAS_BACKLOG
        assert attached["channelSerial"] == serials[0]
        assert [(await client.gets(MESSAGE))["channelSerial"] for _ in range(2)] == serials[1:]
        again = await client.attach("orders", channelSerial=serials[0])
        assert (again["channelSerial"], again["flags"] & Flag.RESUMED) == (serials[2], Flag.RESUMED)
        await server.publish("orders", {"data": "d"})
        assert (await client.gets(MESSAGE))["messages"][0]["data"] == "d"


@pytest.mark.parametrize("serial", ["nonsense", "0" * 20 + ":00000000000001-000000000001", "f" * 20 + ":1-1"])
async def test_a_serial_of_another_log_is_not_resumed(server: Server, serial: str) -> None:
    """At the end of the log, and it says why."""
    await server.publish("orders", {"data": "a"})
    async with raw(server) as client:
        attached = await client.attach("orders", channelSerial=serial)
        assert attached["error"]["code"] == 90004
        assert not attached["flags"] & Flag.RESUMED
        await server.publish("orders", {"data": "b"})
        assert (await client.gets(MESSAGE))["messages"][0]["data"] == "b"


async def test_a_serial_whose_followers_are_gone_is_not_resumed(server: Server, redis: Redis) -> None:
    """Trimmed entries are missed, and that is said: 90003."""
    for data in "abcd":
        await server.publish("orders", {"data": data})
    serial = (await server.history("orders", direction="forwards"))[0]["serial"].rpartition(":")[0]
    (log,) = [name async for name in redis.scan_iter("ad:*log:orders")]
    await redis.xtrim(log, maxlen=2, approximate=False)
    async with raw(server) as client:
        attached = await client.attach("orders", channelSerial=serial)
    assert attached["error"]["code"] == 90003
    assert not attached["flags"] & Flag.RESUMED


async def test_a_connection_key_that_is_wrong_gives_a_new_connection_and_says_so(server: Server) -> None:
    """80018 for nonsense and for a stranger's guess, 80008 for one that has ended."""
    async with raw(server) as client:
        key, connection_id = client.frames[0]["connectionDetails"]["connectionKey"], client.frames[0]["connectionId"]
        async with raw(server, resume=f"{connection_id}!guess") as other:
            assert other.frames[0]["error"]["code"] == 80018
            assert other.frames[0]["connectionId"] != connection_id
        await client.send(action=7)
        await client.gets(CLOSED)
    for wrong, code in ((key, 80008), ("nonsense", 80018)):
        async with raw(server, resume=wrong) as other:
            assert other.frames[0]["error"]["code"] == code


async def test_a_resume_ends_the_socket_that_its_client_has_given_up(server: Server) -> None:
    """One connection has one socket: the later one."""
    async with raw(server) as old:
        key = old.frames[0]["connectionDetails"]["connectionKey"]
        async with raw(server, resume=key) as new:
            assert new.frames[0]["connectionId"] == old.frames[0]["connectionId"]
            assert await old.closed() == 1000
            await new.attach("orders")
            await server.publish("orders", {"data": "x"})
            await new.gets(MESSAGE)


async def test_a_wrong_token_or_key_is_an_error_and_the_end(server: Server) -> None:
    """With the code by which a client knows whether to renew."""
    for attempt, code in ((raw(server, key="local.dev:wrong-secret"), 40101), (raw(server, accessToken="x"), 40144)):
        async with attempt as client:
            assert (client.frames[0]["action"], client.frames[0]["error"]["code"]) == (ERROR, code)
            await client.closed()


async def test_a_token_that_is_not_renewed_ends_its_connection_with_40142(redis: Redis, valkey: Valkey) -> None:  # noqa: ARG001
    """Asked by AUTH first; a renewed one goes on, and says CONNECTED on the same connection."""
    async with serving(valkey.url) as server:
        first, second = [await token(server, ttl=2_000) for _ in range(2)]
        async with raw(server, accessToken=first) as client:
            await client.attach("orders")
            await client.gets(AUTH)
            await client.send(action=17, auth={"accessToken": second})
            assert (await client.gets(CONNECTED))["connectionId"] == client.frames[0]["connectionId"]
            ended = await client.gets(DISCONNECTED)
            assert (ended["error"]["code"], ended["error"]["statusCode"]) == (40142, 401)
            await client.closed()


async def token(server: Server, **more: Any) -> str:
    """A token of the development key."""
    return str((await server.http.post("/keys/local.dev/requestToken", json=more)).json()["token"])


async def test_a_narrower_token_ends_the_channels_that_it_does_not_permit(server: Server) -> None:
    """The others live on."""
    async with raw(server, accessToken=await token(server)) as client:
        await client.attach("orders")
        await client.attach("mesh:resume")
        narrow = await token(server, capability='{"mesh:*": ["subscribe"]}')
        await client.send(action=17, auth={"accessToken": narrow})
        failed = await client.gets(ERROR)
        assert (failed["channel"], failed["error"]["code"]) == ("orders", 40160)
        await server.publish("mesh:resume", {"data": "x"})
        assert (await client.gets(MESSAGE))["channel"] == "mesh:resume"


async def test_a_token_for_somebody_else_is_refused_on_a_living_connection(server: Server) -> None:
    """A connection keeps its client id."""
    async with raw(server, accessToken=await token(server, clientId="ann")) as client:
        assert client.frames[0]["connectionDetails"]["clientId"] == "ann"
        await client.send(action=17, auth={"accessToken": await token(server, clientId="bob")})
        assert (await client.gets(DISCONNECTED))["error"]["code"] == 40102


@pytest.mark.parametrize("frame", ["{", "[]", '{"action": "x"}', '{"action": 15, "messages": 1}', b"\xc1"])
async def test_a_frame_that_is_none_ends_its_connection_and_no_other(server: Server, frame: str | bytes) -> None:
    """The server goes on."""
    async with raw(server) as other:
        async with connect(f"ws://127.0.0.1:{server.port}/?key={DEV_ABLY_KEY}", proxy=None) as socket:
            await socket.recv()
            await socket.send(frame)
            said = msgspec.json.decode(await socket.recv())
            assert (said["action"], said["error"]["code"]) == (ERROR, 40000)
        await other.send(action=99)  # of a newer protocol: ignored
        await other.send(action=0, id="alive")
        assert (await other.gets(HEARTBEAT))["id"] == "alive"


async def test_a_refused_publish_is_a_nack_with_its_serial(server: Server) -> None:
    """And the connection lives."""
    async with raw(server, key=SUBSCRIBER) as client:
        for serial, channel in enumerate(("mesh:resume", ":", "orders")):
            await client.send(action=15, channel=channel, msgSerial=serial, messages=[{"data": "x"}])
            refused = await client.gets(NACK)
            assert refused["msgSerial"] == serial
            assert refused["error"]["code"] == (40010 if channel == ":" else 40160)


async def test_heartbeats_come_by_themselves_and_silence_stops_them(redis: Redis, valkey: Valkey) -> None:  # noqa: ARG001
    """The fault that looks like a dead network: the socket is open, and nothing comes."""
    async with serving(valkey.url, timing=Timing(heartbeat=60)) as server, raw(server) as client:
        await client.gets(HEARTBEAT)
        await server.fault({"kind": "silence"})
        await client.send(action=0, id="lost")
        await eventually(lambda: _silent(client), describe="nothing comes any more")
        await server.fault()
        await client.gets(HEARTBEAT)


async def _silent(client: Raw) -> bool:
    try:
        await client.gets(HEARTBEAT, within=0.3)
    except TimeoutError:
        return True
    return False


async def test_a_refused_websocket_is_none(server: Server) -> None:
    """403 before the upgrade, as often as asked for."""
    await server.fault({"kind": "refuse_connections", "count": 1})
    with pytest.raises(InvalidStatus):
        async with raw(server):
            pass
    async with raw(server) as client:
        assert client.frames[0]["action"] == CONNECTED


@pytest.mark.parametrize(
    ("origin", "taken"),
    [("http://localhost:5173", True), ("https://evil.example", False), ("null", False), ("http://[", False)],
)
async def test_a_page_of_the_web_cannot_use_the_public_key(server: Server, origin: str, *, taken: bool) -> None:
    """A browser lets any page open a websocket to this machine, and says whose page it is."""
    url = f"ws://127.0.0.1:{server.port}/?key={DEV_ABLY_KEY}"
    if taken:
        async with connect(url, proxy=None, origin=Origin(origin)) as socket:
            assert msgspec.json.decode(await socket.recv())["action"] == CONNECTED
        return
    with pytest.raises(InvalidStatus):
        await connect(url, proxy=None, origin=Origin(origin))


async def test_a_client_that_does_not_read_is_dropped_and_the_others_are_not(server: Server) -> None:
    """What waits for it is bounded; it comes back to its place."""
    assert server.deps
    async with raw(server) as client:
        connection = server.deps.hub.connections[client.frames[0]["connectionId"]]
        for _ in range(MAX_WAITING + 1):  # no turn of the loop in between: the writer takes none of them
            connection.send({"action": 0})
        assert await client.closed() == 1008


async def test_a_connection_that_came_with_a_key_may_go_on_with_a_token(server: Server) -> None:
    """And ends with it."""
    async with raw(server) as client:
        await client.send(action=17, auth={"accessToken": await token(server, ttl=1_000)})
        await client.gets(CONNECTED)
        assert (await client.gets(DISCONNECTED))["error"]["code"] == 40142


async def test_a_late_message_keeps_its_place(server: Server) -> None:
    """Those behind it wait, so the order holds."""
    async with raw(server) as client:
        await client.attach("orders")
        await server.fault({"kind": "late", "count": 1, "ms": 150})
        for data in "ab":
            await server.publish("orders", {"data": data})
        assert [(await client.gets(MESSAGE))["messages"][0]["data"] for _ in range(2)] == ["a", "b"]


async def test_a_slow_answer_comes_after_its_message(server: Server) -> None:
    """The publish is done at once; only who asked waits."""
    await server.fault({"kind": "slow", "count": 1, "ms": 1_500})
    async with raw(server) as client:
        await client.attach("orders")
        await client.send(action=15, channel="orders", msgSerial=0, messages=[{"data": "x"}])
        await client.gets(ACK)
    assert [frame["action"] for frame in client.frames if frame["action"] in (ACK, MESSAGE)] == [MESSAGE, ACK]


async def test_members_of_a_connection_that_is_gone_leave_after_a_while_unless_it_is_back(
    redis: Redis,  # noqa: ARG001 - empties it
    valkey: Valkey,
) -> None:
    """A drop is no leave."""
    async with serving(valkey.url, timing=Timing(presence_grace=1_000)) as server, raw(server) as watcher:
        await watcher.attach("room")
        async with raw(server, clientId="ann") as client:
            key = client.frames[0]["connectionDetails"]["connectionKey"]
            await client.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2}])
            await client.gets(ACK)
        assert (await watcher.gets(PRESENCE))["presence"][0]["action"] == 2
        async with raw(server, clientId="ann", resume=key):
            with pytest.raises(TimeoutError):
                await watcher.gets(PRESENCE, within=1.5)
        assert (await watcher.gets(PRESENCE))["presence"][0]["action"] == 3


async def test_a_member_that_detaches_leaves(server: Server) -> None:
    """At once, and only from that channel."""
    async with raw(server) as watcher, raw(server, clientId="ann") as client:
        await watcher.attach("room")
        for serial, channel in enumerate(("room", "hall")):
            await client.attach(channel)
            await client.send(action=14, channel=channel, msgSerial=serial, presence=[{"action": 2}])
            await client.gets(ACK)
        await client.send(action=12, channel="room")
        await client.gets(DETACHED)
        assert [(await watcher.gets(PRESENCE))["presence"][0]["action"] for _ in range(2)] == [2, 3]
        assert [one["clientId"] for one in (await server.http.get("/channels/hall/presence")).json()] == ["ann"]


async def test_two_servers_on_one_redis_are_one_to_their_clients(server: Server, valkey: Valkey) -> None:
    """What is published at one is heard at the other: the log is the only source."""
    async with serving(valkey.url) as second, raw(second) as client:
        await client.attach("orders")
        await server.publish("orders", {"data": "from the first"})
        assert (await client.gets(MESSAGE))["messages"][0]["data"] == "from the first"


async def test_many_publishers_and_subscribers_agree_on_one_order(server: Server) -> None:
    """Every subscriber gets every message once, in the order of the serials."""
    async with raw(server) as one, raw(server, binary=True) as other:
        for client in (one, other):
            await client.attach("orders")
        await asyncio.gather(*(server.publish("orders", {"data": secrets.token_hex(4)}) for _ in range(150)))
        for client in (one, other):
            while len([frame for frame in client.frames if frame["action"] == MESSAGE]) < 150:
                await client.gets(MESSAGE)
    wanted = [message["serial"] for message in await server.history("orders", direction="forwards", limit="1000")]
    for client in (one, other):
        told = [frame["messages"][0]["serial"] for frame in client.frames if frame["action"] == MESSAGE]
        assert told == wanted
