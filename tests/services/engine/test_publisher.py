"""A tenant's publisher: what it sends is what the engine reads, and what the engine would not follow is not sent."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.errors import BadRequest, TooLarge
from shared.mesh import Hint, hints_of
from shared.publisher import NotPublished, TenantPublisher
from tests.services.ably_dev.support import PUBLISHER, Server, serving
from tests.services.engine.site import NOBODY
from tests.support.valkey import Valkey, free_port

KEY = "local.dev:public-development-key-for-loopback-only"


@pytest.fixture
async def ably(redis: Redis, valkey: Valkey) -> AsyncIterator[Server]:  # noqa: ARG001 - empties it first
    """The dev server, in this process."""
    async with serving(valkey.url) as found:
        yield found


async def test_what_is_sent_is_what_the_engine_reads(ably: Server) -> None:
    """A hint, an event for an execution, an event by key; the message's id is what the call returns."""
    async with TenantPublisher(KEY, "acme", url=ably.url) as acme:
        first = await acme.continue_execution(NOBODY)
        assert await acme.send_event("paid", execution=NOBODY, data={"sum": 1.5}, id="e-1") == "e-1"
        third = await acme.send_event("paid", key="17", data=None)
    stored = await ably.history("mesh:resume:acme", direction="forwards")
    assert [message["id"] for message in stored] == [first, "e-1", third]
    rows = [hints_of("mesh:resume:acme", one["id"], one["name"], decoded(one)) for one in stored]
    event: dict[str, Any] = {"tenant": "acme", "event": "paid"}
    assert [row[0] for row in rows] == [
        Hint(message=first, execution=NOBODY, tenant="acme", id=first),
        Hint(message="e-1", execution=NOBODY, data={"sum": 1.5}, id="e-1", **event),
        Hint(message=third, execution="", key="17", id=third, **event),
    ]
    assert decoded(stored[0])["v"] == 1


def decoded(message: dict[str, Any]) -> Any:
    """The data of a stored message."""
    return msgspec.json.decode(message["data"])


@pytest.mark.parametrize(
    ("said", "error", "why"),
    [
        ({"name": "paid"}, BadRequest, "names nothing"),
        ({"name": "paid", "execution": "exe_1"}, BadRequest, "cannot be read"),
        ({"name": "paid", "execution": NOBODY, "key": "17"}, BadRequest, "executionId and key"),
        ({"name": "no name", "key": "17"}, BadRequest, "no name of an event"),
        ({"name": "paid", "key": "17", "id": "a\nb"}, BadRequest, "printable"),
        ({"name": "paid", "key": "x" * 256}, BadRequest, "key"),
        ({"name": "paid", "key": "17", "data": "x" * 65_535}, TooLarge, "65536"),
    ],
)
async def test_what_the_engine_would_not_follow_is_not_sent(said: dict[str, Any], error: type[Exception], why: str) -> None:
    """Nobody is asked."""
    async with TenantPublisher(KEY, "acme", url=f"http://127.0.0.1:{free_port()}") as acme:
        with pytest.raises(error, match=why):
            await acme.send_event(**said)


@pytest.mark.parametrize("tenant", ["", "Acme", "a:b", "*", "a" * 41])
async def test_a_tenant_that_cannot_be_is_refused(tenant: str) -> None:
    """Before anything is published on a channel that nobody reads."""
    async with TenantPublisher(KEY, tenant, url=f"http://127.0.0.1:{free_port()}") as wrong:
        with pytest.raises(BadRequest):
            await wrong.continue_execution(NOBODY)


async def test_why_ably_did_not_take_it_is_said(ably: Server) -> None:
    """Away, or not permitted; without the key's secret."""
    with pytest.raises(ValueError, match="appid"):
        TenantPublisher("nonsense", "acme")
    async with TenantPublisher(KEY, "acme", url=f"http://127.0.0.1:{free_port()}") as away:
        with pytest.raises(NotPublished, match="not reachable"):
            await away.continue_execution(NOBODY)
    async with TenantPublisher(PUBLISHER, "acme", url=ably.url) as other:
        with pytest.raises(NotPublished, match="40160") as caught:
            await other.continue_execution(NOBODY)
    assert "secret" not in caught.value.message
