"""Fixtures: one Valkey for the session, emptied between tests; a server and a destination for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

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
    async with Redis.from_url(valkey_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def broker(redis: Redis, valkey_url: str) -> AsyncIterator[support.Broker]:  # noqa: ARG001 - empties it first
    """The server on an empty Valkey."""
    async with support.broker(valkey_url) as found:
        yield found


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
