"""The relay of events: at least once to the inbox, once by the signal's id, and what is over is left alone."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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

OTHER, SECOND = execution_id(2, partition="3f"), execution_id(3)


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
    payload = {"tenant": "acme", "name": "order.paid", "key": "17", "wait": "paid"}
    entry = Entry(id="e", execution=EXE, segment=0, reason="", kind="subscribe", payload=payload)
    await parts.relay.subscribe(entry)
    await parts.relay.subscribe(entry)
    numbers = [signal.payload["data"]["number"] for signal in (await leased(parts.store)).signals]
    assert numbers == list(range(9))
    await parts.relay.unsubscribe(entry)
    assert await parts.events.publish(event("late")) == []


@pytest.mark.parametrize("since_ms", [0, NOW])
async def test_a_late_repeat_of_a_subscription_adds_nobody(parts: Parts, since_ms: int) -> None:
    """If the wait has a name of its own, which a wait anew has not; without one it cannot be told from that."""
    await created(parts.store)
    payload = {"tenant": "acme", "name": "order.paid", "key": "17", "wait": "paid", "since_ms": since_ms}
    entry = Entry(id="e", execution=EXE, segment=0, reason="", kind="subscribe", payload=payload)
    await parts.relay.unsubscribe(entry)
    await parts.relay.subscribe(entry)
    assert len(await parts.events.publish(event())) == (0 if since_ms else 1)
    anew = msgspec.structs.replace(entry, payload=payload | {"since_ms": NOW + 1})
    await parts.relay.subscribe(anew)
    assert await got(parts) == [PAYLOAD]


async def test_what_nobody_can_publish_is_not_waited_for(parts: Parts) -> None:
    """The command is done with: trying again would not help."""
    await created(parts.store)
    payload = {"tenant": "acme", "name": "order paid", "key": "17", "wait": "paid"}
    await parts.relay.subscribe(Entry(id="e", execution=EXE, segment=0, reason="", kind="subscribe", payload=payload))
    assert await got(parts) == []


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


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(data=st.data())
async def test_whatever_dies_every_waiter_has_every_event_once(data: st.DataObject) -> None:
    """Publishers die before they deliver, subscriptions come twice, relays claim and die, in any order."""
    store, events = MemoryStore(retention_ms=RETENTION_MS, now_ms=NOW), MemoryEvents(now_ms=NOW)
    parts = Parts(store, events)
    executions = [EXE, OTHER, SECOND]
    for execution in executions:
        await created(store, execution)
    published: set[int] = set()
    waiting: set[str] = set()
    for _ in range(data.draw(st.integers(1, 25))):
        number, execution = data.draw(st.integers(0, 3)), data.draw(st.sampled_from(executions))
        match data.draw(st.sampled_from(["publish", "subscribe", "time", "claim and die"])):
            case "publish":
                found = await events.publish(event(number))
                published.add(number)
            case "subscribe":
                found = await waits(events, execution)
                waiting.add(execution)
            case "claim and die":
                for tag in await events.pending():
                    await events.claim(tag, limit=number, claim_ms=CLAIM_MS)
                found = []
            case _:
                parts.later(RELAY_MS)
                found = []
        await parts.relay.deliver(found[: data.draw(st.integers(0, 4))])
    parts.later(CLAIM_MS)
    await parts.relay.sweep()
    for execution in executions:
        ids = [signal.payload["id"] for signal in (await leased(store, execution)).signals]
        assert sorted(ids) == sorted(f"evt_{number}" for number in published if execution in waiting)


async def test_events_of_one_id_but_different_names_both_arrive(parts: Parts) -> None:
    """An id is the publisher's, of one name and key."""
    await created(parts.store)
    for name in ("order.paid", "order.sent"):
        await waits(parts.events, name=name)
        await parts.relay.deliver(await parts.events.publish(event(name=name)))
    assert len(await got(parts)) == 2
