"""Events by key: whichever came first, the event or the wait, they meet once."""

from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.errors import BadRequest, Conflict, IntentionError, TooLarge, TooMany
from shared.event_ports import (
    DATA_MOST,
    EARLY_MS,
    EVENTS_MOST,
    GONE_MS,
    KEPT_MS,
    RELAY_MS,
    WAIT_MOST_MS,
    WAITERS_MOST,
    Delivery,
    Events,
)
from shared.memory_events import MemoryEvents
from shared.redisdb.events import RedisEvents
from tests.support.drawn import drawn
from tests.support.executions import EXE, NOW, execution_id
from tests.support.meetings import ClockedEvents, event, leaves, pass_time, told, waits
from tests.support.stores import TwiceEvents

OTHER = execution_id(2, partition="3f")


@pytest.fixture(params=["memory", "redis", "redis, every command sent twice"])
def events(request: pytest.FixtureRequest) -> ClockedEvents:
    """Nothing is there; the clock stands at NOW."""
    if request.param == "memory":
        return MemoryEvents(now_ms=NOW)
    adapter = RedisEvents if request.param == "redis" else TwiceEvents
    return adapter(request.getfixturevalue("redis"), now_ms=NOW)


async def left(events: Events) -> list[tuple[str, str, str]]:
    """Every delivery that a relay would make now."""
    return [one for tag in await events.pending() for one in told(await events.claim(tag, limit=999, claim_ms=1))]


async def test_an_event_reaches_all_that_wait(events: ClockedEvents) -> None:
    """With all that was published, of this tenant, name and key only."""
    for execution in (EXE, OTHER):
        assert await waits(events, execution) == []
    for tenant, name, key in (("globex", "order.paid", "17"), ("acme", "order.sent", "17"), ("acme", "order.paid", "18")):
        await waits(events, execution_id(9), tenant=tenant, name=name, key=key)
    found = await events.publish(event())
    assert told(found) == [(EXE, "w", "evt_1"), (OTHER, "w", "evt_1")]
    assert [one.event for one in found] == [event(), event()]


async def test_a_wait_gets_the_early_events_in_order(events: ClockedEvents) -> None:
    """Of the last day."""
    for number in (2, 1, 3):
        await events.publish(event(number))
        pass_time(events, 10)
    pass_time(events, EARLY_MS - 30)
    assert told(await waits(events)) == [(EXE, "w", "evt_1"), (EXE, "w", "evt_3")]


async def test_a_delivery_stays_until_it_is_done(events: ClockedEvents) -> None:
    """Whoever publishes or subscribes again gets it again; then nobody does."""
    await waits(events)
    [one] = await events.publish(event())
    assert await events.publish(event()) == await waits(events) == [one]
    await events.done([one])
    assert await events.publish(event()) == await waits(events) == []
    await events.done([one])


async def test_a_relay_finds_what_was_left(events: ClockedEvents) -> None:
    """After a while, for itself until its claim lapses."""
    await waits(events)
    [one] = await events.publish(event())
    assert await events.pending() == []
    pass_time(events, RELAY_MS)
    [tag] = await events.pending()
    assert await events.claim(tag, limit=9, claim_ms=1_000) == [one]
    assert await events.claim(tag, limit=9, claim_ms=1_000) == []
    pass_time(events, 1_000)
    assert await events.claim(tag, limit=9, claim_ms=1_000) == [one]
    await events.later(one, in_ms=5_000)
    pass_time(events, 4_999)
    assert await events.pending() == []
    pass_time(events, 1)
    assert await events.pending() == [tag]
    await events.done([one])
    await events.later(one, in_ms=0)
    assert await events.pending() == []


async def test_who_left_gets_nothing_and_stays_away(events: ClockedEvents) -> None:
    """Also when its subscription comes late, or once more."""
    await waits(events)
    await events.publish(event())
    await leaves(events)
    assert await events.publish(event()) == await events.publish(event(2)) == await waits(events) == []
    pass_time(events, RELAY_MS)
    assert await left(events) == []
    assert told(await waits(events, wait_id="next")) == [(EXE, "next", "evt_1"), (EXE, "next", "evt_2")]
    pass_time(events, GONE_MS)
    assert await waits(events) == []
    assert told(await events.publish(event(3))) == [(EXE, "next", "evt_3"), (EXE, "w", "evt_3")]


async def test_who_left_before_it_came_stays_away(events: ClockedEvents) -> None:
    """The relay may turn the two around."""
    await leaves(events)
    assert await waits(events) == []
    assert await events.publish(event()) == []


async def test_who_may_come_again_does(events: ClockedEvents) -> None:
    """As a wait anew, with all that is early."""
    await waits(events)
    await events.done(await events.publish(event()))
    await leaves(events, stays_away=False)
    assert await events.publish(event(2)) == []
    assert told(await waits(events)) == [(EXE, "w", "evt_1"), (EXE, "w", "evt_2")]


async def test_a_wait_ends_with_its_time_out(events: ClockedEvents) -> None:
    """One without ends after a year."""
    await waits(events, until_ms=NOW + 1_000)
    await waits(events, OTHER)
    assert await waits(events, execution_id(3), until_ms=NOW) == []
    pass_time(events, 999)
    assert len(await events.publish(event())) == 2
    pass_time(events, 1)
    assert told(await events.publish(event(2))) == [(OTHER, "w", "evt_2")]
    pass_time(events, WAIT_MOST_MS)
    assert await events.publish(event(3)) == []


async def test_an_event_id_stands_for_one_event(events: ClockedEvents) -> None:
    """Of its name and key."""
    await events.publish(event())
    with pytest.raises(Conflict, match="was published before with other data"):
        await events.publish(event(data="other"))
    await events.publish(event(data="other", key="18"))
    pass_time(events, KEPT_MS)
    await events.publish(event(data="other"))


async def test_so_many_events_within_a_day(events: ClockedEvents) -> None:
    """More are refused; a repeat is none more."""
    for number in range(EVENTS_MOST):
        await events.publish(event(number))
    with pytest.raises(TooMany, match="use more keys"):
        await events.publish(event("more"))
    await events.publish(event(0))
    await events.publish(event("more", key="18"))
    assert len(await waits(events)) == EVENTS_MOST
    pass_time(events, EARLY_MS)
    await events.publish(event("more"))


async def test_so_many_waiters_at_a_time(events: ClockedEvents) -> None:
    """More are refused; a repeat is none more."""
    if isinstance(events, TwiceEvents):
        events.filling = True
    for number in range(WAITERS_MOST):
        await waits(events, execution_id(number), until_ms=NOW + 1_000)
    with pytest.raises(TooMany, match="use more keys"):
        await waits(events, execution_id(WAITERS_MOST))
    assert await waits(events, execution_id(0)) == []
    assert len(await events.publish(event())) == WAITERS_MOST
    pass_time(events, 1_000)
    assert await waits(events, execution_id(WAITERS_MOST)) != []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": "a b"}, BadRequest),
        ({"name": ""}, BadRequest),
        ({"key": "x" * 256}, BadRequest),
        ({"key": "a\nb"}, BadRequest),
        ({"id": ""}, BadRequest),
        ({"id": "\x00"}, BadRequest),
        ({"data": "x" * DATA_MOST}, TooLarge),
    ],
    ids=str,
)
async def test_what_is_no_event_is_refused(events: ClockedEvents, wrong: dict[str, Any], error: type[IntentionError]) -> None:
    """Nothing of it is stored."""
    with pytest.raises(error):
        await events.publish(msgspec.structs.replace(event(), **wrong))
    with pytest.raises(ValueError, match="is no execution id"):
        await waits(events, "exe_x")
    assert await waits(events) == []


async def test_a_delivery_is_lost_only_with_its_data(redis: Redis) -> None:
    """Two days after it was published; nothing is left of it then."""
    events = RedisEvents(redis, now_ms=NOW)
    await waits(events)
    await events.publish(event())
    await redis.delete(*await redis.keys("ie:*:ev:*"))  # as its time to live does it
    pass_time(events, KEPT_MS)
    [tag] = await events.pending()
    assert await events.claim(tag, limit=9, claim_ms=1) == []
    assert await events.pending() == []


@drawn(80)
@given(data=st.data())
async def test_both_do_the_same(redis: Redis, data: st.DataObject) -> None:
    """Any commands in any order, with any times between, are answered alike; and each pair met at most once."""
    await redis.flushall()
    pair: list[ClockedEvents] = [MemoryEvents(now_ms=NOW), RedisEvents(redis, now_ms=NOW)]
    known: list[list[Delivery]] = []
    for _ in range(data.draw(st.integers(5, 40))):
        move = data.draw(MOVES)
        ours, theirs = [await _made(one, move, [both[at] for both in known]) for at, one in enumerate(pair)]
        assert _plain(ours) == _plain(theirs), move
        if isinstance(ours, list):
            known += [list(both) for both in zip(ours, theirs, strict=True)]


class Move(NamedTuple):
    """One command, or time that passes."""

    what: str
    number: int
    wait_id: str
    execution: str
    ms: int
    until_ms: int


MOVES = st.builds(
    Move,
    what=st.sampled_from(["publish", "publish", "waits", "waits", "leaves", "time", "claim", "done", "later"]),
    number=st.integers(0, 3),
    wait_id=st.sampled_from(["a", "b"]),
    execution=st.sampled_from([EXE, OTHER]),
    ms=st.sampled_from([1, RELAY_MS, 5_000, EARLY_MS]),
    until_ms=st.sampled_from([0, NOW + 1_000, NOW + EARLY_MS]),
)


async def _made(one: ClockedEvents, move: Move, known: list[Delivery]) -> Any:
    """The move's answer."""
    picked = known[move.number : move.number + 1]
    match move.what:
        case "publish":
            return await _answer(one.publish(event(move.number, data=move.number % 2)))
        case "waits":
            return await _answer(waits(one, move.execution, move.wait_id, until_ms=move.until_ms))
        case "leaves":
            await leaves(one, move.execution, move.wait_id, stays_away=move.number > 1)
        case "time":
            pass_time(one, move.ms)
        case "claim":
            return [each for tag in await one.pending() for each in await one.claim(tag, limit=9, claim_ms=3_000)]
        case "done":
            await one.done(picked)
        case _:
            for each in picked:
                await one.later(each, in_ms=move.ms)
    return None


async def _answer(call: Any) -> Any:
    try:
        return await call
    except IntentionError as error:
        return error.message


def _plain(answer: Any) -> Any:
    return [(told([one]), one.event) for one in answer] if isinstance(answer, list) else answer
