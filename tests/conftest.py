"""Fixtures for every folder: one Valkey a worker, and a client of it that finds it empty."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from shared.redisdb.connect import connect
from tests.support import keyspace
from tests.support.valkey import Valkey


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The real server, for this worker alone."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    """A client of the session's Valkey, which holds nothing now."""
    async with connect(valkey.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def documented_keys(valkey: Valkey) -> Iterator[None]:
    """After the test: every key on the server is one of docs/keyspace.md. What other servers left there is gone before."""
    keyspace.clear(valkey.port)
    yield
    keyspace.check(valkey.port)
