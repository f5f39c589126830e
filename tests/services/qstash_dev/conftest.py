"""Fixtures: one Valkey for the session, emptied between tests; a server and a destination for each test."""

import inspect
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared.redisdb.connect import connect
from tests.services.qstash_dev import support


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A Valkey without a disk: the crash tests start their own."""
    server = support.Valkey()
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    """A client of the session's Valkey, which is empty now."""
    async with connect(valkey_url) as client:
        await client.flushall()
        yield client


if not support.TARGET:

    @pytest.fixture
    async def broker(redis: Redis, valkey_url: str) -> AsyncIterator[support.Broker]:  # noqa: ARG001 - empties it first
        """The server on an empty Valkey."""
        async with support.broker(valkey_url) as found:
            yield found

else:

    @pytest.fixture
    async def broker() -> AsyncIterator[support.Broker]:
        """A server somewhere else, as empty as its API makes it: the log stays."""
        async with support.talking_to(support.TARGET, support.TARGET_TOKEN) as found:
            await support.empty(found)
            yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests whose only server is `broker` speak the public API, and any QStash may be behind it, unless they say otherwise."""
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents or not isinstance(item, pytest.Function):
            continue
        ours = any(item.get_closest_marker(mark) for mark in ("our_server", "system"))
        given = inspect.signature(item.function).parameters
        if "broker" in given and not ours and not {"redis", "valkey_url", "monkeypatch"} & set(given):
            item.add_marker("public_api")
        elif support.TARGET:
            item.add_marker(pytest.mark.skip("not of the public API: it needs our own server or its storage"))


@pytest.fixture
async def there() -> AsyncIterator[support.Destination]:
    """A destination."""
    async with support.destination() as found:
        yield found


@pytest.fixture
async def elsewhere() -> AsyncIterator[support.Destination]:
    """Another destination, so another origin."""
    async with support.destination() as found:
        yield found


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[support.Valkey]:
    """A Valkey of this test alone, on disk, running."""
    found = support.Valkey(tmp_path / "valkey")
    found.start()
    yield found
    found.kill()


@pytest.fixture
async def process(own_valkey: support.Valkey, tmp_path: Path) -> AsyncIterator[support.Process]:
    """The server as a process of its own, ready."""
    found = support.Process(own_valkey.url, tmp_path / "qstash_dev.log")
    found.start()
    await found.answers("/readyz", 200)
    yield found
    await found.end(signal.SIGKILL)
