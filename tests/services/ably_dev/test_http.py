"""The REST interface without a client's help: forms, errors, limits, faults, and what is not built."""

import msgspec
import pytest

from shared.settings import DEV_ABLY_KEY
from tests.services.ably_dev.support import PUBLISHER, Server, raw

MSGPACK = {"content-type": "application/x-msgpack", "accept": "application/x-msgpack"}


async def test_bytes_are_bytes_in_msgpack_and_base64_in_json(server: Server) -> None:
    """Stored once, told to each reader in its own form."""
    body = msgspec.msgpack.encode({"data": b"\x00\xff"})
    answer = await server.http.post("/channels/orders/messages", content=body, headers=MSGPACK)
    assert answer.headers["content-type"] == "application/x-msgpack"
    assert msgspec.msgpack.decode(answer.content)["channel"] == "orders"
    (told,) = await server.history("orders")
    assert (told["data"], told["encoding"]) == ("AP8=", "base64")
    answer = await server.http.get("/channels/orders/messages?format=msgpack")
    (told,) = msgspec.msgpack.decode(answer.content)
    assert (told["data"], told.get("encoding")) == (b"\x00\xff", None)


async def test_several_messages_are_one_publish(server: Server) -> None:
    """All of them or none; a repetition adds none of them."""
    two = [{"id": "b:0", "data": "1"}, {"id": "b:1", "data": "2"}]
    first, second = await server.publish("orders", *two), await server.publish("orders", *two)
    assert first == second
    assert first["messageId"] == "b"
    assert [message["serial"] for message in await server.history("orders", direction="forwards")] == first["serials"]
    answer = await server.http.post("/channels/orders/messages", json=[{"data": "3"}, {"data": 4}])
    assert answer.status_code == 400
    assert len(await server.history("orders")) == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/channels/orders/messages", b"{", 400, 40000),
        ("POST", "/channels/orders/messages", b"[]", 400, 40000),
        ("POST", "/channels/orders/messages", b'{"name": 1}', 400, 40000),
        ("POST", "/channels/orders/messages", b'{"data": 1}', 400, 40013),
        ("POST", "/channels/orders/messages", b'{"data": "%s"}' % (b"x" * 70_000), 413, 40009),
        ("POST", "/channels/orders/messages", b'{"data": "%s"}' % (b"x" * 2_000_000), 413, 40009),
        ("POST", "/channels/:x/messages", b"{}", 400, 40010),
        ("GET", "/channels/orders/messages?limit=0", b"", 400, 40000),
        ("GET", "/channels/orders/messages?start=2&end=1", b"", 400, 40000),
        ("GET", "/channels/orders/messages?direction=up", b"", 400, 40000),
        ("GET", "/channels/orders/messages?cursor=x", b"", 400, 40000),
        ("POST", "/keys/no.key/requestToken", b"{}", 404, 40400),
        ("POST", "/keys/local.dev/requestToken", b'{"ttl": 0}', 400, 40003),
        ("POST", "/keys/local.dev/requestToken", b'{"keyName": "local.publisher"}', 401, 40101),
        ("GET", "/stats", b"", 404, 40400),
        ("PUT", "/time", b"", 404, 40400),
    ],
)
async def test_a_wrong_request_is_told_in_ably_s_shape(
    server: Server, method: str, path: str, body: bytes, status: int, code: int
) -> None:
    """With a code, and nothing is stored."""
    answer = await server.http.request(method, path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["statusCode"] == status
    assert answer.headers["x-ably-errorcode"] == str(code)
    assert await server.history("orders") == []


async def test_a_body_that_does_not_say_what_it_is_is_refused(server: Server) -> None:
    """A web page may post plain text to any address, also to this one."""
    answer = await server.http.post(
        "/channels/orders/messages", content=b'{"data": "x"}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("path", ["/channels/orders/messages", "/channels/orders", "/channels/orders/presence", "/dev/faults"])
async def test_nothing_is_told_to_somebody_without_a_key(server: Server, path: str) -> None:
    """401 with Ably's code."""
    answer = await server.http.get(path, auth=lambda request: request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 40101)


async def test_a_key_in_the_address_is_one_too(server: Server) -> None:
    """As `curl` users write it."""
    answer = await server.http.get(f"/channels/orders/messages?key={DEV_ABLY_KEY}", auth=lambda request: request)
    assert answer.status_code == 200


async def test_history_by_time_and_up_to_a_serial(server: Server) -> None:
    """`start` and `end` are included, and so is `fromSerial`."""
    serials = [(await server.publish("orders", {"data": data}))["serials"][0] for data in "abc"]
    times = [message["timestamp"] for message in await server.history("orders", direction="forwards")]
    found = await server.history("orders", start=str(times[0]), end=str(times[2]))
    assert [message["data"] for message in found] == ["c", "b", "a"]
    assert await server.history("orders", start=str(times[2] + 1)) == []
    assert [message["data"] for message in await server.history("orders", fromSerial=serials[1])] == ["b", "a"]
    channel_serial = serials[0].rpartition(":")[0]
    assert [message["data"] for message in await server.history("orders", from_serial=channel_serial)] == ["a"]


async def test_the_state_of_a_channel_counts_who_is_there(server: Server) -> None:
    """By what they may do."""
    async with raw(server) as one, raw(server, key=PUBLISHER) as other:
        await one.attach("mesh:resume")
        await other.attach("mesh:resume")
        status = (await server.http.get("/channels/mesh:resume")).json()["status"]
    assert status["isActive"] is True
    metrics = status["occupancy"]["metrics"]
    assert (metrics["connections"], metrics["publishers"], metrics["subscribers"]) == (2, 2, 1)


async def test_faults_are_off_unless_asked_for_and_loud_while_on(server: Server) -> None:
    """In a header of every answer; a plan that makes no sense changes nothing."""
    assert "ably-dev-faults" not in (await server.http.get("/time")).headers
    await server.fault({"kind": "refuse", "channel": "mesh:.*"})
    assert '"kind":"refuse"' in (await server.http.get("/time")).headers["ably-dev-faults"]
    for wrong in ({"kind": "nonsense"}, {"kind": "lose", "channel": "["}, {"kind": "lose", "chanel": "x"}):
        assert (await server.http.put("/dev/faults", json={"faults": [wrong]})).status_code == 400
    await server.publish("orders", {"data": "not concerned"})
    refused = await server.http.post("/channels/mesh:resume/messages", json={"data": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, 50003)
    assert (await server.http.get("/dev/faults")).json()["faults"][0]["fired"] == 1
    await server.http.delete("/dev/faults")
    await server.publish("mesh:resume", {"data": "x"})
    assert "ably-dev-faults" not in (await server.http.get("/time")).headers
