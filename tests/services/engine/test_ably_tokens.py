"""`POST /api/ably/token`: who gets one, for what, and what the official clients can and cannot do with it."""

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.ably import TOKEN_S, engine_publisher
from shared.progress import Progress
from shared.redisdb import keys
from shared.redisdb.progress import RedisProgress
from shared.settings import DEV_ABLY_KEY
from tests.services.ably_dev.official import AblyException, AblyRealtime
from tests.services.ably_dev.support import Server
from tests.services.ably_dev.support import serving as serving_ably
from tests.services.ably_dev.test_official_javascript import JS, NODE, needs_node
from tests.services.engine.site import KEY, NOBODY, Site, variables
from tests.services.engine.support import configured
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

OURS = {"Authorization": f"Bearer {KEY}"}
THEIRS = {"Authorization": "Bearer key-of-other-0123456789"}
SECRET = DEV_ABLY_KEY.partition(":")[2]


@pytest.fixture
async def ably(redis: Redis, valkey: Valkey) -> AsyncIterator[Server]:
    """Ably's stand-in, in this process."""
    async with serving_ably(valkey.url) as found:
        yield found
    await redis.flushall()  # its keys are no keys of the engine's, which other tests look at


@pytest.fixture
async def site(ably: Server, valkey: Valkey) -> AsyncIterator[Site]:
    """Ingress beside it."""
    async with AsyncExitStack() as stack:
        yield Site(configured(**{**variables(valkey), "ABLY_URL": ably.url}), stack)


async def token(site: Site, execution: str, headers: dict[str, str] = OURS) -> dict[str, Any]:
    """A token for it."""
    answer = await site.call("ingress", "POST", "/api/ably/token", json={"executionId": execution}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@asynccontextmanager
async def reading(ably: Server, given: dict[str, Any]) -> AsyncIterator[AblyRealtime]:
    """The official client with this token and nothing else."""

    async def give(_: Any) -> str:
        return str(given["token"])

    async with ably.realtime(auth_callback=give) as client:
        yield client


async def tell(ably: Server, redis: Redis, execution: str) -> str:
    """Something happens, and is told; the id of the last line."""
    publisher = engine_publisher(configured(ABLY_URL=ably.url))
    assert publisher is not None
    progress = Progress(RedisProgress(redis), publisher)
    last: Any = await redis.xadd(
        keys.history(execution), {"l": json.dumps({"event": "segment.started", "detail": {"segment": 0}})}
    )
    progress.moved(execution)
    await progress.close()
    await publisher.close()
    return str(last.decode())


async def test_a_token_for_ones_own_execution(site: Site, redis: Redis, ably: Server) -> None:
    """What it says, for how long, where; no secret in it; kept by nobody on the way."""
    execution = await site.execution()
    answer = await site.call("ingress", "POST", "/api/ably/token", json={"executionId": execution}, headers=OURS)
    given = answer.json()
    claims = json.loads(base64.urlsafe_b64decode(given["token"].split(".")[1] + "=="))

    assert answer.headers["Cache-Control"] == "no-store"
    assert set(given) == {"token", "channel", "expires", "url"}
    assert given["channel"] == f"execution:{execution}"
    assert given["url"] == ably.url
    assert given["expires"] == claims["exp"] * 1000 == (claims["iat"] + TOKEN_S) * 1000
    assert abs(claims["iat"] - time.time()) < 60
    assert json.loads(claims["x-ably-capability"]) == {f"execution:{execution}": ["subscribe", "history"]}
    assert SECRET not in answer.text
    watched = int((await redis.hget(keys.record(execution), "watched_ms")) or 0)
    assert watched >= given["expires"] - 1_000


async def test_the_official_client_follows_its_execution_and_can_do_nothing_else(
    site: Site, redis: Redis, ably: Server
) -> None:
    """It may not publish, nor listen to another execution, nor to the engine's own channels."""
    execution, other = await site.execution(), await site.execution()
    given = await token(site, execution)
    async with reading(ably, given) as client:
        seen: list[Any] = []
        channel = client.channels.get(given["channel"])
        await asyncio.wait_for(channel.subscribe("progress", lambda message: seen.append(message.data)), 8)
        last = await tell(ably, redis, execution)
        await eventually(lambda: bool(seen), describe="the progress is there")
        assert seen[-1]["executionId"] == execution
        assert seen[-1]["events"][-1]["id"] == last
        page = await channel.history()
        assert page.items[0].data == seen[-1]
        with pytest.raises(AblyException) as refused:
            await asyncio.wait_for(channel.publish("progress", {"forged": True}), 8)
        assert refused.value.code == 40160
        for name in (f"execution:{other}", "execution:*", "mesh:resume", "mesh:resume:acme"):
            with pytest.raises(AblyException) as refused:
                await asyncio.wait_for(client.channels.get(name).attach(), 8)
            assert refused.value.code == 40160


@needs_node
async def test_the_javascript_client_does_too(site: Site, redis: Redis, ably: Server, tmp_path: Path) -> None:
    """As a page in a browser does it."""
    assert NODE
    execution = await site.execution()
    given = await token(site, execution)
    last = await tell(ably, redis, execution)
    environ = {
        "PATH": os.environ["PATH"],
        "ABLY_PORT": str(ably.port),
        "TOKEN": given["token"],
        "CHANNEL": given["channel"],
        "LAST": last,
    }
    report = tmp_path / "report.tap"
    with report.open("wb") as out:
        command = (NODE, "--test", "--test-reporter=tap", "reader.test.js")
        judge = await asyncio.create_subprocess_exec(
            *command, cwd=JS, env=environ, stdout=out, stderr=asyncio.subprocess.STDOUT
        )
    try:
        code = await asyncio.wait_for(judge.wait(), 60)
    finally:
        if judge.returncode is None:
            judge.kill()
            await judge.wait()
    assert code == 0, report.read_text()
    assert "# pass 1" in report.read_text()


@pytest.mark.parametrize(
    ("headers", "execution"),
    [(THEIRS, ""), (OURS, NOBODY), (OURS, "exe_zz"), (OURS, "*"), (OURS, "../x")],
    ids=["another tenant's", "unknown", "no id", "a pattern", "a path"],
)
async def test_what_is_not_ones_own_is_not_there(site: Site, redis: Redis, headers: dict[str, str], execution: str) -> None:
    """404 as everywhere, and nobody watches anything."""
    own = await site.execution()
    asked = {"executionId": execution or own}
    answer = await site.call("ingress", "POST", "/api/ably/token", json=asked, headers=headers)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert await redis.hget(keys.record(own), "watched_ms") is None


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"executionId": 7}, 400), ({"executionId": NOBODY, "capability": {"*": ["*"]}}, 400), ([], 400), (None, 400)],
)
async def test_a_body_that_says_something_else_is_refused(site: Site, body: Any, status: int) -> None:
    """Nobody chooses what a token may do."""
    more = {} if body is None else {"json": body}
    answer = await site.call("ingress", "POST", "/api/ably/token", headers=OURS, **more)
    assert answer.status_code == status


async def test_without_a_key_it_says_what_to_do(redis: Redis, valkey: Valkey) -> None:
    """And that the history can be read meanwhile; nobody watches."""
    settings = configured(**variables(valkey))
    async with AsyncExitStack() as stack:
        site = Site(msgspec.structs.replace(settings, ably_api_key=type(settings.ably_api_key)("")), stack)
        execution = await site.execution()
        answer = await site.call("ingress", "POST", "/api/ably/token", json={"executionId": execution}, headers=OURS)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "ably_not_configured"
        assert "ABLY_API_KEY" in answer.json()["error"]["message"]
        assert await redis.hget(keys.record(execution), "watched_ms") is None
