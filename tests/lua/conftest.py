"""A store that sends everything twice, and the check of what the commands leave behind."""

import pytest
from redis.asyncio import Redis

from tests.support.executions import NOW, RETENTION_MS
from tests.support.gatekeeping import POLICY
from tests.support.quota import TwiceLedger
from tests.support.stores import Recording, Twice, TwiceEvents, TwiceGates, TwiceSchedules, TwiceSlots


@pytest.fixture
def store(redis: Redis) -> Twice:
    """Every command goes out twice, and the second must change nothing; `store.last.codes` are both return codes."""
    return Twice(redis, retention_ms=RETENTION_MS, now_ms=NOW)


@pytest.fixture
def once(redis: Redis) -> Recording:
    """Every command goes out once, as usual."""
    return Recording(redis, retention_ms=RETENTION_MS, now_ms=NOW)


@pytest.fixture
def schedules(redis: Redis) -> TwiceSchedules:
    """The store of schedules, every command twice."""
    return TwiceSchedules(redis, now_ms=NOW)


@pytest.fixture
def events(redis: Redis) -> TwiceEvents:
    """Events by key, every command twice."""
    return TwiceEvents(redis, now_ms=NOW)


@pytest.fixture
def slots(redis: Redis) -> TwiceSlots:
    """Slots, every command twice."""
    return TwiceSlots(redis, now_ms=NOW)


@pytest.fixture
def gates(redis: Redis) -> TwiceGates:
    """Gates, every command twice."""
    return TwiceGates(redis, POLICY, now_ms=NOW)


@pytest.fixture
def ledger(redis: Redis) -> TwiceLedger:
    """The ledger of the quota, every command twice."""
    return TwiceLedger(redis, now_ms=NOW)


@pytest.fixture(autouse=True)
def every_key_is_documented(documented_keys: None) -> None:
    """A test may leave no key, type, field or time to live that docs/keyspace.md does not name."""
