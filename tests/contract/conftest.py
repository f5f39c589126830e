"""The adapters that the suite runs on, and the check of what they leave behind."""

import pytest

from shared.memory import MemoryStore
from shared.redisdb.store import RedisStore
from tests.support.executions import NOW, RETENTION_MS, Clocked
from tests.support.stores import Twice, held_to_one_slot


@pytest.fixture(params=["memory", "redis", "redis, every command sent twice", "redis, a cluster of three"])
def store(request: pytest.FixtureRequest) -> Clocked:
    """An empty store; its clock stands at NOW until the test moves it."""
    if request.param == "memory":
        return MemoryStore(retention_ms=RETENTION_MS, now_ms=NOW)
    adapter = Twice if "twice" in request.param else RedisStore
    client = request.getfixturevalue("redis_cluster" if "cluster" in request.param else "redis")
    store = adapter(client, retention_ms=RETENTION_MS, now_ms=NOW)
    return held_to_one_slot(store) if "cluster" in request.param else store


@pytest.fixture(autouse=True)
def every_key_is_documented(documented_keys: None) -> None:
    """A test may leave no key, type, field or time to live that docs/keyspace.md does not name."""
