"""The relay of events: at least once to the inbox, once by the signal's id, and what is over is left alone."""

from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from shared.event_ports import RELAY_MS
from shared.event_relay import CLAIM_MS, FULL_MS, EventRelay
from shared.memory import MemoryStore
from shared.memory_events import MemoryEvents
from shared.ports import Accepted, Entry
from shared.redisdb.connect import connect
from shared.redisdb.events import RedisEvents
from shared.redisdb.store import INBOX_LIMIT, RedisStore
from tests.support.executions import EXE, NOW, RETENTION_MS, Clocked, created, ended, execution_id, leased, signalled
from tests.support.meetings import ClockedEvents, event, pass_time, told, waits
from tests.support.valkey import free_port

OTHER = execution_id(2, partition="3f")


class Parts:
    """A relay with its store, and the messages that it handed over."""

    def __init__(self, store: Clocked, events: ClockedEvents) -> None:
        self.store, self.events = store, events
        self.sent: list[Entry] = []
        self.relay = EventRelay(events, store, self.hand_over)

    def hand_over(self, entries: Sequence[Entry], _: str) -> None:
        """Instead of QStash."""
        self.sent += entries

    def later(self, ms: int) -> None:
        """Let time pass for both."""
        pass_time(self.store, ms)
        pass_time(self.events, ms)


@pytest.fixture(params=["memory", "redis"])
def parts(request: pytest.FixtureRequest) -> Parts:
    """On every adapter."""
    if request.param == "memory":
        return Parts(MemoryStore(retention_ms=RETENTION_MS, now_ms=NOW), MemoryEvents(now_ms=NOW))
    redis: Redis = request.getfixturevalue("redis")
    return Parts(RedisStore(redis, retention_ms=RETENTION_MS, now_ms=NOW), RedisEvents(redis, now_ms=NOW))


async def got(parts: Parts, execution: str = EXE) -> list[object]:
    """What is in an execution's inbox."""
    return [signal.payload for signal in (await leased(parts.store, execution)).signals]


PAYLOAD = {"name": "order.paid", "key": "17", "data": {"number": 1}, "id": "evt_1"}


async def test_an_event_arrives_as_a_signal_and_wakes(parts: Parts) -> None:
    """Every execution that waits, and nothing is left to be done."""
    for execution in (EXE, OTHER):
        await created(parts.store, execution)
        await waits(parts.events, execution)
    await parts.relay.deliver(await parts.events.publish(event()))
    assert {one.execution for one in parts.sent} == {EXE, OTHER}
    assert await got(parts) == await got(parts, OTHER) == [PAYLOAD]
    parts.later(RELAY_MS)
    assert await parts.relay.sweep() == 0


async def test_the_command_of_an_execution_subscribes_it(parts: Parts) -> None:
    """What is there already arrives at once, in order; the other command ends it."""
    await created(parts.store)
    for number in range(9):
        await parts.events.publish(event(number))
        parts.later(1)
    payload = {"tenant": "acme", "name": "order.paid", "key": "17", "wait_id": "w"}
    entry = Entry(id="e", execution=EXE, segment=0, reason="", kind="subscribe", payload=payload)
    await parts.relay.subscribe(entry)
    await parts.relay.subscribe(entry)
    numbers = [signal.payload["data"]["number"] for signal in (await leased(parts.store)).signals]
    assert numbers == list(range(9))
    await parts.relay.unsubscribe(entry)
    assert await parts.events.publish(event("late")) == []


async def test_the_watchdog_delivers_what_a_dead_publisher_left(parts: Parts) -> None:
    """Once, also when a relay dies between the signal and its note."""
    await created(parts.store)
    await waits(parts.events)
    [one] = await parts.events.publish(event())
    parts.later(RELAY_MS)
    [tag] = await parts.events.pending()
    await parts.events.claim(tag, limit=9, claim_ms=CLAIM_MS)
    taken = await parts.store.signal(EXE, tenant="acme", sid=one.event.sid, kind="event", payload=one.event.payload)
    assert isinstance(taken, Accepted)
    parts.later(CLAIM_MS)
    assert await parts.relay.look(tag) == 1
    assert await got(parts) == [PAYLOAD]
    parts.later(CLAIM_MS)
    assert await parts.relay.sweep() == 0


@pytest.mark.parametrize("how", ["ended", "absent", "another tenant's"])
async def test_an_execution_that_is_over_waits_no_longer(parts: Parts, how: str) -> None:
    """The first event that finds it so takes its wait away."""
    if how != "absent":
        await created(parts.store, tenant="globex" if how == "another tenant's" else "acme")
    if how == "ended":
        await ended(parts.store)
    await waits(parts.events)
    await parts.relay.deliver(await parts.events.publish(event()))
    assert await parts.events.publish(event(2)) == []
    parts.later(RELAY_MS)
    assert await parts.relay.sweep() == 0


async def test_a_full_inbox_gets_it_later(parts: Parts) -> None:
    """The wait stays."""
    await created(parts.store)
    await waits(parts.events)
    for number in range(INBOX_LIMIT):
        await signalled(parts.store, f"{number}")
    found = await parts.events.publish(event())
    await parts.relay.deliver(found)
    assert told(await parts.events.publish(event())) == told(found)
    parts.later(FULL_MS - 1)
    assert await parts.relay.sweep() == 0
    parts.later(1)
    assert await parts.relay.sweep() == 1


async def test_a_store_that_is_away_leaves_it_pending(parts: Parts) -> None:
    """The next round makes up for it."""
    await created(parts.store)
    await waits(parts.events)
    found = await parts.events.publish(event())
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as nobody:
        away = RedisStore(nobody, retention_ms=RETENTION_MS)
        await EventRelay(parts.events, away, parts.hand_over).deliver(found)
    assert await got(parts) == []
    parts.later(60_000)
    assert await parts.relay.sweep() == 1
    assert await got(parts) == [PAYLOAD]


async def test_events_of_one_id_but_different_names_both_arrive(parts: Parts) -> None:
    """An id is the publisher's, of one name and key."""
    await created(parts.store)
    for name in ("order.paid", "order.sent"):
        await waits(parts.events, name=name)
        await parts.relay.deliver(await parts.events.publish(event(name=name)))
    assert len(await got(parts)) == 2
