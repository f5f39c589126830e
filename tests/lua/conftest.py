"""A store that sends everything twice, on a server that takes no key of another slot; and the check of what is left behind."""

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from tests.support.executions import NOW, RETENTION_MS
from tests.support.gatekeeping import POLICY
from tests.support.quota import TwiceLedger
from tests.support.stores import Recording, Twice, TwiceEvents, TwiceGates, TwiceSchedules, TwiceSlots, held_to_one_slot
from tests.support.valkey import Valkey


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A cluster of one node: a script that touches two slots is found out here, whichever key it is."""
    server = Valkey(tmp_path_factory.mktemp("valkey"), cluster=True)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def store(redis: Redis) -> Twice:
    """Every command goes out twice, and the second must change nothing; `store.last.codes` are both return codes."""
    return held_to_one_slot(Twice(redis, retention_ms=RETENTION_MS, now_ms=NOW))


@pytest.fixture
def once(redis: Redis) -> Recording:
    """Every command goes out once, as usual."""
    return held_to_one_slot(Recording(redis, retention_ms=RETENTION_MS, now_ms=NOW))


@pytest.fixture
def schedules(redis: Redis) -> TwiceSchedules:
    """The store of schedules, every command twice."""
    return held_to_one_slot(TwiceSchedules(redis, now_ms=NOW))


@pytest.fixture
def events(redis: Redis) -> TwiceEvents:
    """Events by key, every command twice."""
    return held_to_one_slot(TwiceEvents(redis, now_ms=NOW))


@pytest.fixture
def slots(redis: Redis) -> TwiceSlots:
    """Slots, every command twice."""
    return held_to_one_slot(TwiceSlots(redis, now_ms=NOW))


@pytest.fixture
def gates(redis: Redis) -> TwiceGates:
    """Gates, every command twice."""
    return held_to_one_slot(TwiceGates(redis, POLICY, now_ms=NOW))


@pytest.fixture
def ledger(redis: Redis) -> TwiceLedger:
    """The ledger of the quota, every command twice."""
    return held_to_one_slot(TwiceLedger(redis, now_ms=NOW))


@pytest.fixture(autouse=True)
def every_key_is_documented(documented_keys: None) -> None:
    """A test may leave no key, type, field or time to live that docs/keyspace.md does not name."""
