"""The official Python REST client, unchanged, in JSON and in msgpack."""

from typing import Any

import pytest

from tests.services.ably_dev.official import AblyException, Capability, Message
from tests.services.ably_dev.support import PUBLISHER, SUBSCRIBER, Server

pytestmark = pytest.mark.parametrize("binary", [True, False], ids=["msgpack", "json"])


async def test_what_is_published_is_in_the_history_with_its_name_data_and_extras(server: Server, *, binary: bool) -> None:
    """Text, bytes and objects come back as what they were."""
    async with server.rest(use_binary_protocol=binary) as client:
        channel = client.channels.get("orders:1")
        for data in ("text", b"\x00\xff", {"a": [1, None]}):
            await channel.publish("made", data)
        await channel.publish(Message(name="told", data="x", extras={"headers": {"k": "v"}}))
        found = (await channel.history(direction="forwards")).items
    assert [message.data for message in found] == ["text", bytearray(b"\x00\xff"), {"a": [1, None]}, "x"]
    assert found[3].extras == {"headers": {"k": "v"}}
    assert [message.serial for message in found] == sorted(message.serial for message in found)


async def test_a_message_id_counts_once(server: Server, *, binary: bool) -> None:
    """A second publish of the same id answers the first one's serial and adds nothing."""
    async with server.rest(use_binary_protocol=binary) as client:
        channel = client.channels.get("orders")
        first = await channel.publish(Message(id="ce-1", data="first"))
        second = await channel.publish(Message(id="ce-1", data="second"))
        found = (await channel.history()).items
    assert first.serials == second.serials == [found[0].serial]
    assert [message.data for message in found] == ["first"]


async def test_history_comes_in_pages_in_both_directions(server: Server, *, binary: bool) -> None:
    """Every message once, whatever the page's size, also where a publish of several is cut."""
    async with server.rest(use_binary_protocol=binary) as client:
        channel = client.channels.get("a/b c%")
        for first in (0, 3, 6):
            await channel.publish([Message(data=str(first + place)) for place in range(3)])
        for direction, wanted in (("forwards", "012345678"), ("backwards", "876543210")):
            pages, page = [], await channel.history(direction=direction, limit=2)
            while True:
                pages.append([message.data for message in page.items])
                if not page.has_next():
                    break
                page = await page.next()
            assert ["".join(page) for page in pages] == [wanted[at : at + 2] for at in range(0, 9, 2)]
            assert page.is_last()


async def test_the_time_is_the_server_s(server: Server, *, binary: bool) -> None:
    """In ms."""
    async with server.rest(use_binary_protocol=binary) as client:
        assert await client.time() > 1_700_000_000_000


async def test_a_token_request_signed_elsewhere_makes_a_client_that_may_do_what_it_says(
    server: Server, *, binary: bool
) -> None:
    """The holder of the key signs; the other one gets the token and its limits."""

    async def callback(_: dict[str, Any]) -> Any:
        async with server.rest() as holder:
            asked = {"capability": {"mesh:*": ["publish"]}, "client_id": "robot"}
            return await holder.auth.create_token_request(asked)

    async with server.rest(auth_callback=callback, use_binary_protocol=binary) as client:
        await client.channels.get("mesh:resume").publish("x", "y")
        assert client.auth.client_id == "robot"
        with pytest.raises(AblyException) as other:
            await client.channels.get("orders").publish("x", "y")
        with pytest.raises(AblyException) as history:
            await client.channels.get("mesh:resume").history()
    assert (other.value.code, other.value.status_code) == (40160, 401)
    assert history.value.code == 40160


async def test_keys_are_limited_too(server: Server, *, binary: bool) -> None:
    """A token can only narrow its key."""
    async with server.rest(key=PUBLISHER, use_binary_protocol=binary) as publisher:
        await publisher.channels.get("mesh:resume").publish("x", "y")
        with pytest.raises(AblyException, match="40160"):
            await publisher.channels.get("mesh:resume").history()
    async with server.rest(key=SUBSCRIBER, use_binary_protocol=binary) as subscriber:
        assert len((await subscriber.channels.get("mesh:resume").history()).items) == 1
        wide = await subscriber.auth.request_token(token_params={"capability": Capability({"*": ["*"]})})
        async with server.rest(token=wide.token, use_binary_protocol=binary) as still:
            with pytest.raises(AblyException, match="40160"):
                await still.channels.get("mesh:resume").publish("x", "y")


async def test_a_token_that_expires_is_renewed_and_the_call_made_again(server: Server, *, binary: bool) -> None:
    """40142 says so to the client; its user does not notice."""
    async with server.rest(use_binary_protocol=binary) as client:
        await client.channels.get("orders").publish("x", "1")
        await server.now("expire_tokens")
        await client.channels.get("orders").publish("x", "2")
        assert len((await client.channels.get("orders").history()).items) == 2


async def test_a_wrong_key_is_refused(server: Server, *, binary: bool) -> None:
    """With Ably's code."""
    async with server.rest(key="local.dev:wrong-secret", use_binary_protocol=binary) as client:
        with pytest.raises(AblyException) as refused:
            await client.channels.get("orders").publish("x", "y")
    assert refused.value.code == 40101
