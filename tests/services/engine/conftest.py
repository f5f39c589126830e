"""Fixtures: a stage on an empty store, a receiver on loopback, and a client without proxies."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from redis.asyncio import Redis

from shared.http_client import HttpClient
from tests.services.engine.site import Site, variables
from tests.services.engine.support import Receiver, Stage, configured, receiving, staged
from tests.support.valkey import Valkey


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """An interpreter over the real store, time in the test's hands."""
    return staged(redis)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that reads no environment; without `verify` it would load certificates, 20 ms a time."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as found:  # noqa: S501 - loopback without TLS
        yield found


@pytest.fixture
async def caller() -> AsyncIterator[HttpClient]:
    """The client that calls QStash and the executor."""
    async with HttpClient() as found:
        yield found


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    """A server that stands for QStash."""
    async with receiving() as found:
        yield found


@pytest.fixture
async def site(redis: Redis, valkey: Valkey) -> AsyncIterator[Site]:  # noqa: ARG001 - it empties the store
    """The services on an empty store."""
    async with AsyncExitStack() as stack:
        yield Site(configured(**variables(valkey)), stack)
