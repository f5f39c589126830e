"""Each Lua command on a real Valkey: what it stores, and that a second, identical call changes nothing."""

import pytest
from redis.asyncio import Redis

from services.qstash_dev.errors import Fenced
from services.qstash_dev.keys import Keys
from services.qstash_dev.model import Answer, Message, Publish, State
from services.qstash_dev.store import DEDUP_MS, FINISHED_MS, Finish, Recorded, Store

KEYS = Keys("u")
NOW = 1_700_000_000_000


@pytest.fixture
async def store(redis: Redis) -> Store:
    """A store that owns the user's deliveries."""
    found = Store(redis, redis)
    await found.enter()
    await found.take_over(KEYS)
    return found


def wanted(message_id: str = "msg_1", *, due_ms: int = NOW, dedup: str = "") -> Publish:
    """A message to publish."""
    message = Message(
        message_id=message_id,
        url="http://h/x",
        method="POST",
        header=[],
        max_retries=3,
        not_before_ms=due_ms,
        created_at_ms=NOW,
        caller_ip="",
    )
    return Publish(message=message, body=b"b", dedup=dedup)


def done(verdict: State, *, message_id: str = "msg_1", retried: int = 0, caused: list[Publish] | None = None) -> Finish:
    """The outcome of an attempt."""
    failed = verdict is State.FAILED
    return Finish(
        message_id=message_id,
        retried=retried,
        verdict=verdict,
        events=[(verdict, {})],
        due_ms=NOW + 5_000 if verdict is State.RETRY else 0,
        dlq_id="7-1" if failed else "",
        answer=Answer(status=500),
        caused=caused or [],
    )


async def log(store: Store) -> list[str]:
    """States, oldest first."""
    return [one.state for one in await store.events(KEYS, start="-", end="+", newest_first=False, count=100)]


async def test_a_publish_sent_twice_is_one_message(store: Store) -> None:
    """Also with a deduplication id, which the second sending must not mistake for another's."""
    for _ in range(2):
        stored = await store.publish(KEYS, wanted(dedup="i:a"), NOW)
        assert stored == ("msg_1", False)
    assert await store.publish(KEYS, wanted("msg_2", dedup="i:a"), NOW) == ("msg_1", True)
    assert await log(store) == ["CREATED"]
    assert await store.message(KEYS, "msg_2") is None


async def test_the_deduplication_window_is_ten_minutes(store: Store, redis: Redis) -> None:
    """And it does not depend on what became of the message."""
    await store.publish(KEYS, wanted(dedup="i:a"), NOW)
    await store.cancel(KEYS, ["msg_1"], NOW)
    assert DEDUP_MS - 5_000 < await redis.pttl("qd:{u}:dedup:i:a") <= DEDUP_MS == 600_000
    assert (await store.publish(KEYS, wanted("msg_2", dedup="i:a"), NOW)).deduplicated


async def test_only_what_is_due_is_popped_and_once(store: Store) -> None:
    """The next due time comes with it."""
    await store.publish(KEYS, wanted(), NOW)
    await store.publish(KEYS, wanted("msg_2", due_ms=NOW + 9_000), NOW)
    next_ms, waiting = await store.pop(KEYS, NOW)
    assert (next_ms, [one.message_id for one in waiting]) == (NOW + 9_000, ["msg_1"])
    assert waiting[0].lane.origin == "http://h"
    assert await store.pop(KEYS, NOW) == (NOW + 9_000, [])
    assert [one.message_id for one in await store.held(KEYS)] == ["msg_1"]


async def test_a_claim_leaves_out_what_may_not_start(store: Store) -> None:
    """Unknown, cancelled, finished and not yet due; and it puts one that is held too early back to its time."""
    for message_id, due_ms in [("msg_1", NOW), ("msg_2", NOW), ("msg_3", NOW + 9_000)]:
        await store.publish(KEYS, wanted(message_id, due_ms=due_ms), NOW)
    await store.cancel(KEYS, ["msg_2"], NOW)
    for _ in range(2):  # twice: the reply may be lost
        claimed = await store.claim(KEYS, ["msg_1", "msg_2", "msg_3", "msg_4"], NOW)
        assert [(one.message.message_id, one.body, one.retried) for one in claimed] == [("msg_1", b"b", 0)]
    assert (await log(store)).count("ACTIVE") == 1
    assert await store.pop(KEYS, NOW) == (NOW + 9_000, [])


@pytest.mark.parametrize("verdict", [State.DELIVERED, State.RETRY, State.FAILED])
async def test_an_outcome_is_recorded_once(store: Store, verdict: State) -> None:
    """With its log entry, its dead letter and the messages it causes."""
    await store.publish(KEYS, wanted(), NOW)
    await store.claim(KEYS, ["msg_1"], NOW)
    finish = done(verdict, caused=[wanted("msg_c")])
    assert await store.finish(KEYS, finish, NOW) is Recorded.RECORDED
    assert await store.finish(KEYS, finish, NOW) is Recorded.ALREADY
    assert await log(store) == ["CREATED", "ACTIVE", verdict, "CREATED"]
    assert await store.dlq_ids(KEYS) == (["7-1"] if verdict is State.FAILED else [])
    assert await store.held(KEYS) == []
    found = await store.message(KEYS, "msg_1")
    assert found
    assert (found.state, found.retried) == (verdict, int(verdict is State.RETRY))
    next_ms, waiting = await store.pop(KEYS, NOW)
    assert [one.message_id for one in waiting] == ["msg_c"]
    assert next_ms == (NOW + 5_000 if verdict is State.RETRY else None)


async def test_a_finished_message_ends_and_a_live_one_does_not(store: Store, redis: Redis) -> None:
    """Nothing that is still to be delivered may expire."""
    await store.publish(KEYS, wanted(), NOW)
    await store.publish(KEYS, wanted("msg_2"), NOW)
    await store.claim(KEYS, ["msg_1", "msg_2"], NOW)
    await store.finish(KEYS, done(State.DELIVERED), NOW)
    await store.finish(KEYS, done(State.RETRY, message_id="msg_2"), NOW)
    assert 0 < await redis.pttl(KEYS.message("msg_1")) <= FINISHED_MS
    assert await redis.pttl(KEYS.message("msg_2")) == -1


async def test_every_key_has_an_end_or_belongs_to_live_messages(store: Store, redis: Redis) -> None:
    """After everything is finished only keys with an expiry are left, and the two that say who owns the deliveries."""
    await store.publish(KEYS, wanted(dedup="i:a"), NOW)
    await store.pop(KEYS, NOW)
    await store.claim(KEYS, ["msg_1"], NOW)
    await store.finish(KEYS, done(State.FAILED), NOW)
    lasting = {key for key in await redis.keys() if await redis.pttl(key) == -1}
    assert lasting == {b"qd:boots", b"qd:{u}:boot"}


async def test_an_outcome_that_comes_late_changes_nothing(store: Store) -> None:
    """Of an earlier attempt, of a cancelled message, of one that is gone."""
    await store.publish(KEYS, wanted(), NOW)
    await store.finish(KEYS, done(State.RETRY), NOW)
    assert await store.finish(KEYS, done(State.FAILED, retried=0), NOW) is Recorded.ALREADY
    await store.cancel(KEYS, ["msg_1"], NOW)
    assert await store.finish(KEYS, done(State.DELIVERED, retried=1), NOW) is Recorded.ALREADY
    assert await store.finish(KEYS, done(State.DELIVERED, message_id="msg_x"), NOW) is Recorded.GONE
    assert (await log(store))[-1] == "CANCELED"


async def test_a_new_process_takes_back_what_a_dead_one_held(store: Store, redis: Redis) -> None:
    """At once and in full, and the old one is refused from then on, for every command that starts a delivery."""
    for n in range(1_200):
        await store.publish(KEYS, wanted(f"msg_{n}"), NOW)
    while (await store.pop(KEYS, NOW))[1]:
        pass
    newer = Store(redis, redis)
    await newer.enter()
    assert await newer.take_over(KEYS) == 1_200
    for call in (store.pop(KEYS, NOW), store.held(KEYS), store.claim(KEYS, ["msg_1"], NOW), store.take_over(KEYS)):
        with pytest.raises(Fenced):
            await call
    assert len((await newer.pop(KEYS, NOW))[1]) == 500


async def test_a_dead_letter_is_retried_once(store: Store) -> None:
    """The same call again answers the same id; another one finds nothing."""
    await store.publish(KEYS, wanted(), NOW)
    await store.finish(KEYS, done(State.FAILED), NOW)
    for _ in range(2):
        assert await store.dlq_retry(KEYS, "7-1", wanted("msg_2"), NOW) == ("msg_2", False)
    assert await store.dlq_retry(KEYS, "7-1", wanted("msg_3"), NOW) is None
    assert await store.dlq_ids(KEYS) == []


async def test_scripts_are_taught_again_to_a_server_that_forgot_them(store: Store, redis: Redis) -> None:
    """As after a restart of Valkey."""
    await store.publish(KEYS, wanted(), NOW)
    await redis.script_flush()
    assert (await store.publish(KEYS, wanted("msg_2"), NOW)).message_id == "msg_2"
