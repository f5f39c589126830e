"""The gates' Lua commands on a real Valkey: each call twice, each state reached, nothing left behind."""

from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from services.qstash_dev.keys import Keys
from services.qstash_dev.model import State
from services.qstash_dev.publish import Caller, parse
from services.qstash_dev.schedule_store import Standing
from services.qstash_dev.schedules import Schedule
from services.qstash_dev.store import Finish, Store, put_args

KEYS = Keys("u")
NOW = 1_700_000_000_000


@pytest.fixture
async def store(redis: Redis) -> Store:
    """A store that owns the user's deliveries."""
    found = Store(redis, redis)
    await found.enter()
    await found.take_over(KEYS)
    return found


async def enqueue(store: Store, *ids: str, delay: str = "0s") -> None:
    """Messages in the queue `q`, each sent twice."""
    for message_id in ids:
        options = [("Upstash-Queue-Name", "q"), ("Upstash-Delay", delay)]
        wanted = parse("http://h", options, b"", Caller(message_id, NOW, ""))
        for _ in range(2):
            await store.publish(KEYS, wanted, NOW)


async def start(store: Store, ids: Sequence[str] = ("a", "b", "c")) -> list[str]:
    """Those of the messages that start now, by two identical claims."""
    await store.pop(KEYS, NOW)
    found = [[one.message.message_id for one in await store.claim(KEYS, ids, NOW)] for _ in range(2)]
    assert found[0] == found[1]
    return found[0]


async def finish(store: Store, message_id: str, verdict: State = State.DELIVERED, caused: str = "") -> None:
    """An outcome, recorded twice."""
    callbacks = [parse("http://c", [], b"", Caller(caused, NOW, ""))] if caused else []
    outcome = Finish(message_id=message_id, retried=0, verdict=verdict, events=[], due_ms=NOW, caused=callbacks)
    for _ in range(2):
        await store.finish(KEYS, outcome, NOW)


async def lag(store: Store) -> int:
    """What is unfinished in the queue."""
    found = await store.queues.get(KEYS, "q")
    assert found
    return found.lag


async def test_one_consumer_takes_one_message_until_it_is_finished(store: Store) -> None:
    """A retry keeps the consumer, and so does a callback."""
    await enqueue(store, "a", "b", "c")
    assert await start(store) == ["a"]
    await finish(store, "a", State.RETRY, caused="x")
    assert await lag(store) == 3
    await store.finish(KEYS, Finish(message_id="a", retried=1, verdict=State.DELIVERED, events=[]), NOW)
    assert await start(store, ["b", "c"]) == []
    await finish(store, "x")
    assert await start(store) == ["b"]
    assert await lag(store) == 2


async def test_a_message_that_was_called_just_before_a_pause_goes_back_to_the_front(store: Store) -> None:
    """And is the first one after the resume; a delayed one joins then too, behind those that waited."""
    await enqueue(store, "a", "b")
    await store.pop(KEYS, NOW)
    for paused in (True, True):
        assert await store.queues.pause(KEYS, "q", paused=paused, now_ms=NOW)
    assert await start(store) == []
    assert [one.message.message_id for one in await store.live(KEYS)] == ["a", "b"]
    await store.queues.pause(KEYS, "q", paused=False, now_ms=NOW)
    assert await start(store) == ["a"]
    assert not await store.queues.pause(KEYS, "none", paused=True, now_ms=NOW)


async def test_a_new_process_finds_the_consumers_as_they_were(store: Store, redis: Redis) -> None:
    """What a dead one had started starts again, before all others."""
    await store.queues.set(KEYS, "q", parallelism=2, paused=False, now_ms=NOW)
    await enqueue(store, "a", "b", "c")
    assert await start(store) == ["a", "b"]
    newer = Store(redis, redis)
    await newer.enter()
    await newer.take_over(KEYS)
    assert await start(newer) == ["a", "b"]
    await finish(newer, "b")
    assert await start(newer, ["c"]) == ["c"]


async def test_nothing_is_left_of_a_queue_that_was_deleted(store: Store, redis: Redis) -> None:
    """Whatever its messages were doing; a callback that comes late finds no consumer to free."""
    await enqueue(store, "a", "b", "c")
    assert await start(store) == ["a"]
    await finish(store, "a", State.RETRY, caused="x")
    for _ in range(2):
        await store.queues.delete(KEYS, "q", NOW)
    await finish(store, "x")
    assert await store.queues.all(KEYS) == []
    lasting = {key for key in map(_text, await redis.keys()) if await redis.pttl(key) == -1}
    assert lasting == {"qd:boots", f"{KEYS.prefix}boot", f"{KEYS.prefix}places"}


async def test_a_schedule_s_time_is_made_once(store: Store) -> None:
    """The same call again, or one that read an older version, makes nothing."""
    schedule = Schedule(schedule_id="s", cron="* * * * *", destination="http://h", given=[])
    await store.schedules.set(KEYS, schedule, b"", next_ms=NOW, version="1", now_ms=NOW)
    one = await store.schedules.get(KEYS, "s")
    assert one

    async def fire(standing: Standing, message_id: str) -> int:
        put = put_args(parse("http://h", [], b"", Caller(message_id, NOW, "")))
        return await store.schedules.fire(KEYS, store.boot, standing, next_ms=NOW + 60_000, now_ms=NOW, error="", put=put)

    assert [await fire(one, "a"), await fire(one, "a"), await fire(one, "b")] == [1, 0, 0]
    later = await store.schedules.get(KEYS, "s")
    assert later
    assert later.states == {"a": "IN_PROGRESS"}
    await store.schedules.set(KEYS, schedule, b"", next_ms=NOW + 60_000, version="2", now_ms=NOW)
    assert await fire(later, "c") == 0
    assert await store.schedules.fire(KEYS, 0, later, next_ms=NOW, now_ms=NOW, error="", put=[]) == -1


def _text(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode()
