"""Fixtures for every folder: one Valkey a worker, and a client of it that finds it empty."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from shared.redisdb.connect import connect
from tests.support import keyspace
from tests.support.valkey import Cluster, Valkey

if TYPE_CHECKING:
    from tests.town.support import Host, Town

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")  # how long an example takes is the machine's, and says nothing of what is tested


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


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three real servers that are one cluster, for this worker alone."""
    servers = Cluster(tmp_path_factory.mktemp("cluster"), nodes=3)
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


@pytest.fixture
async def redis_cluster(cluster: Cluster) -> AsyncIterator[Redis]:
    """A client of the cluster, which holds nothing now; after the test, no key that docs/keyspace.md does not name."""
    for node in cluster.nodes:
        keyspace.clear(node.port)
    async with connect(cluster.url) as client:
        yield client
    for node in cluster.nodes:
        keyspace.check(node.port)


@pytest.fixture
def documented_keys(valkey: Valkey) -> Iterator[None]:
    """After the test: every key on the server is one of docs/keyspace.md. What other servers left there is gone before."""
    keyspace.clear(valkey.port)
    yield
    keyspace.check(valkey.port)


@pytest.fixture(scope="session")
def town_host() -> Iterator["Host"]:
    """The listening server of the towns of this worker."""
    from tests.town.support import hosting  # late: most folders do without a town

    with hosting() as found:
        yield found


@pytest.fixture
def town(town_host: "Host", tmp_path: Path) -> Iterator["Town"]:
    """A fresh town on a real socket, in this process."""
    with town_host.town(tmp_path / "town.sqlite") as found:
        yield found
