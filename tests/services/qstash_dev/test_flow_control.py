"""Flow control, through the official client: rates and parallelism that hold, and steering them by hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from qstash.errors import QStashError
from redis.asyncio import Redis

from services.qstash_dev import flow_control
from services.qstash_dev.keys import Keys
from services.qstash_dev.model import State
from services.qstash_dev.publish import Caller, parse
from services.qstash_dev.store import Finish, Store
from tests.services.qstash_dev.support import Broker, Destination, Seen, eventually

KEYS = Keys("u")
NOW = 1_700_000_000_000


async def fill(broker: Broker, url: str, count: int, value: str, key: str = "k") -> list[str]:
    """So many messages under a key; their ids."""
    headers = {"Upstash-Flow-Control-Key": key, "Upstash-Flow-Control-Value": value}
    items = [{"destination": url, "headers": headers, "body": str(n)} for n in range(count)]
    return [one["messageId"] for one in (await broker.http.post("/v2/batch", json=items)).json()]


def peak(times: Sequence[int], window: int) -> int:
    """The most of them in any window of this length, wherever it begins."""
    return max(sum(start <= time < start + window for time in times) for start in times)


async def starts(broker: Broker) -> list[int]:
    """When attempts began, by the server's own log."""
    events = (await broker.get("/v2/events", state="ACTIVE", order="earliestFirst"))["events"]
    return [event["time"] for event in events]


async def test_a_rate_is_reached_and_never_exceeded(broker: Broker, there: Destination, elsewhere: Destination) -> None:
    """In no second, wherever it begins, are there more starts than the rate; retries count as well. In order."""

    async def answer(seen: Seen) -> web.Response:
        return web.Response(status=500 if seen.retried == 0 and seen.body == b"3" else 200)

    there.answer = answer
    value = "rate=5, period=1s"
    headers = {"Upstash-Flow-Control-Key": "k", "Upstash-Flow-Control-Value": value, "Upstash-Retry-Delay": "1"}
    items = [{"destination": url, "headers": headers, "body": str(n)} for n, url in enumerate([there.url, elsewhere.url] * 7)]
    await broker.http.post("/v2/batch", json=items)
    await eventually(lambda: len(there.seen) + len(elsewhere.seen) == 14, "all attempts", within=10)
    times = await starts(broker)
    assert len(times) == 14
    assert peak(times, 1_000) == 5


async def test_a_failed_attempt_is_counted_again(broker: Broker, there: Destination) -> None:
    """The rate is one of requests, not of messages."""

    async def answer(seen: Seen) -> web.Response:
        return web.Response(status=500 if seen.retried == 0 else 200)

    there.answer = answer
    headers = {"Upstash-Flow-Control-Key": "k", "Upstash-Flow-Control-Value": "rate=2", "Upstash-Retry-Delay": "1"}
    await broker.http.post("/v2/batch", json=[{"destination": there.url, "headers": headers}] * 2)
    await there.gets(4)
    assert peak(await starts(broker), 1_000) == 2


async def test_rate_and_parallelism_hold_together(broker: Broker, there: Destination) -> None:
    """Whichever is tighter at the moment."""
    now, most = 0, 0

    async def answer(_: Seen) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return web.Response()

    there.answer = answer
    await fill(broker, there.url, 12, "parallelism=2, rate=6, period=1s")
    await there.gets(12)
    assert most == 2
    assert peak(await starts(broker), 1_000) == 6


async def test_the_last_message_s_limits_win(broker: Broker, there: Destination) -> None:
    """Also for those that wait already; the limits that it does not name are none."""
    hang = asyncio.Event()

    async def answer(_: Seen) -> web.Response:
        await hang.wait()
        return web.Response()

    there.answer = answer
    await fill(broker, there.url, 6, "parallelism=1")
    await there.gets(1)
    found = await broker.client.flow_control.get("k")
    assert (found.parallelism_max, found.parallelism_count, found.rate_max) == (1, 1, 0)
    await fill(broker, there.url, 1, "parallelism=3")
    await there.gets(3)
    assert len(there.seen) == 3
    await fill(broker, there.url, 1, "rate=100, period=1m")
    await there.gets(8)
    found = await broker.client.flow_control.get("k")
    assert (found.parallelism_max, found.rate_max, found.rate_period) == (0, 100, 60)
    hang.set()


async def test_a_key_is_paused_and_resumed(broker: Broker, there: Destination) -> None:
    """Everything waits in Redis and in its order; a pause may come before the first message."""
    api = broker.client.flow_control
    await api.pause("k")
    await fill(broker, there.url, 30, "parallelism=1")

    async def waiting() -> bool:
        found = await api.get("k")
        return found.is_paused and found.wait_list_size == 30

    await eventually(waiting, "thirty wait")
    assert there.seen == []
    assert (await broker.http.delete("/v2/messages?flowControlKey=other")).json() == {"cancelled": 0}
    await api.resume("k")
    await there.gets(30)
    assert [seen.body for seen in there.seen] == [str(n).encode() for n in range(30)]
    await api.pause("k")
    await fill(broker, there.url, 5, "parallelism=1")
    assert (await broker.http.delete("/v2/messages?flowControlKey=k")).json() == {"cancelled": 5}
    assert (await api.get("k")).wait_list_size == 0


async def test_pinned_limits_stay_until_they_are_unpinned(broker: Broker, there: Destination) -> None:
    """Messages do not change them; afterwards the next message does."""
    api = broker.client.flow_control
    await api.pin("k", {"parallelism": 2, "rate": 50, "period": 60})
    await fill(broker, there.url, 3, "parallelism=9, rate=9, period=9s")
    await there.gets(3)
    found = await api.get("k")
    assert (found.parallelism_max, found.rate_max, found.rate_period) == (2, 50, 60)
    assert (found.is_pinned_parallelism, found.is_pinned_rate) == (True, True)
    await api.unpin("k", {"rate": True})
    await fill(broker, there.url, 1, "parallelism=9, rate=9, period=9s")
    found = await api.get("k")
    assert (found.parallelism_max, found.rate_max, found.rate_period) == (2, 9, 9)
    assert (found.is_pinned_parallelism, found.is_pinned_rate) == (True, False)
    await api.unpin("k", {"parallelism": True})
    assert (await api.get("k")).parallelism_max == 2
    await fill(broker, there.url, 1, "parallelism=9")
    assert (await api.get("k")).parallelism_max == 9


async def test_a_reset_rate_starts_a_new_period(broker: Broker, there: Destination) -> None:
    """What waits for the end of the old one starts at once."""
    api = broker.client.flow_control
    await fill(broker, there.url, 4, "rate=2, period=1h")
    await there.gets(2)

    async def full() -> bool:
        found = await api.get("k")
        return (found.rate_count, found.wait_list_size) == (2, 2)

    await eventually(full, "the rate is used up")
    await api.reset_rate("k")
    await there.gets(4)


async def test_keys_are_listed_and_wrong_calls_refused(broker: Broker, there: Destination) -> None:
    """`search` is a part of the key; a key may have a slash."""
    for key in ("a/1", "a/2", "b"):
        await fill(broker, there.url, 1, "parallelism=1", key)
    names = [one["flowControlKey"] for one in await broker.get("/v2/flowControl", search="a/")]
    assert sorted(names) == ["a/1", "a/2"]
    assert (await broker.client.flow_control.get("a/1")).key == "a/1"
    with pytest.raises(QStashError, match="404"):
        await broker.client.flow_control.get("c")
    for wrong in ("b/pin", "b/pin?parallelism=0", "b/pin?rate=x", "b/pin?speed=1", "b/pin?rate=1&period=8d", "b/unpin?x=true"):
        assert (await broker.http.post(f"/v2/flowControl/{wrong}")).status_code == 400
    for action in ("resume", "unpin", "resetRate"):
        assert (await broker.http.post(f"/v2/flowControl/c/{action}")).status_code == 404


async def test_the_global_parallelism_counts_what_is_on_the_wire(broker: Broker, there: Destination) -> None:
    """Of this user."""
    hang = asyncio.Event()

    async def answer(_: Seen) -> web.Response:
        await hang.wait()
        return web.Response()

    there.answer = answer
    for _ in range(3):
        await broker.publish(there.url)
    await there.gets(3)
    found = await broker.client.flow_control.get_global_parallelism()
    assert (found.parallelism_max, found.parallelism_count) == (200, 3)
    hang.set()

    async def none() -> bool:
        return (await broker.client.flow_control.get_global_parallelism()).parallelism_count == 0

    await eventually(none, "nothing is on the wire")


@pytest.fixture
async def store(redis: Redis) -> Store:
    """A store that owns the user's deliveries."""
    found = Store(redis, redis)
    await found.enter()
    await found.take_over(KEYS)
    return found


async def stored(store: Store, message_id: str, value: str) -> None:
    """A message under the key `k`."""
    options = [("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", value)]
    await store.publish(KEYS, parse("http://h", options, b"", Caller(message_id, NOW, "")), NOW)


async def claim(store: Store, now_ms: int, *ids: str) -> list[str]:
    """Those that start."""
    await store.pop(KEYS, now_ms)
    return [one.message.message_id for one in await store.claim(KEYS, ids, now_ms)]


async def test_a_claim_sent_twice_counts_once(store: Store) -> None:
    """Towards the rate and the parallelism, for those that start and those that wait."""
    for n in range(3):
        await stored(store, f"m{n}", "parallelism=2, rate=5")
    for _ in range(2):
        assert await claim(store, NOW, "m0", "m1", "m2") == ["m0", "m1"]
    found = await store.flows.get(KEYS, "k", NOW)
    assert found
    assert (found.in_flight, found.used, found.waiting) == (2, 2, 1)


async def test_a_new_process_counts_what_a_dead_one_had_on_the_wire_again(store: Store, redis: Redis) -> None:
    """None of it holds a place for ever, and nobody overtakes it."""
    for n in range(4):
        await stored(store, f"m{n}", "parallelism=2")
    assert await claim(store, NOW, "m0", "m1", "m2", "m3") == ["m0", "m1"]
    newer = Store(redis, redis)
    await newer.enter()
    assert await newer.take_over(KEYS) == 2
    assert await claim(newer, NOW, "m0", "m1", "m2", "m3") == ["m0", "m1"]
    for done in ("m0", "m1"):
        await newer.finish(KEYS, Finish(message_id=done, retried=0, verdict=State.DELIVERED, events=[]), NOW)
    assert await claim(newer, NOW, "m2", "m3") == ["m2", "m3"]


async def test_the_end_of_the_period_is_when_to_look_again(store: Store) -> None:
    """A full rate costs no task: the next due time is that of its first start plus the period."""
    for n in range(3):
        await stored(store, f"m{n}", "rate=2, period=10s")
    assert await claim(store, NOW, "m0", "m1", "m2") == ["m0", "m1"]
    assert (await store.pop(KEYS, NOW + 9_999))[0] == NOW + 10_000
    _, waiting = await store.pop(KEYS, NOW + 10_000)
    assert [one.message_id for one in waiting] == ["m2"]


def _text(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode()


async def test_what_flow_control_keeps_has_an_end(store: Store, redis: Redis) -> None:
    """Once everything is delivered; a paused key alone is kept."""
    await stored(store, "m0", "parallelism=1, rate=2")
    await claim(store, NOW, "m0")
    await store.finish(KEYS, Finish(message_id="m0", retried=0, verdict=State.DELIVERED, events=[]), NOW)
    lasting = {key.removeprefix(KEYS.prefix) for key in map(_text, await redis.keys()) if await redis.pttl(key) == -1}
    assert lasting == {"qd:boots", "boot", "places", "flows"}
    await store.flows.steer(KEYS, "k", "pause", NOW)
    assert await redis.pttl(f"{KEYS.prefix}f:k") == -1


limits: Any = st.builds(flow_control.Limits, st.just("k"), st.integers(1, 99), st.integers(0, 99), st.integers(1, 7 * 86_400))


@given(limits)
def test_limits_read_as_they_were_written(wanted: flow_control.Limits) -> None:
    """In any order and spacing."""
    value = " , ".join(reversed(wanted.value.replace("=", " = ").split(", ")))
    assert flow_control.parse({"upstash-flow-control-key": "k", "upstash-flow-control-value": value}) == wanted
