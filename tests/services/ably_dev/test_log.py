"""The log in Redis: each script twice, what is told of gaps, and every key as documented, with an end."""

import re
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.ably_dev import keys
from services.ably_dev.log import KEEP_MS, MAX_ENTRIES, ONCE_MS, Log
from services.ably_dev.messages import Entry, Stored
from services.ably_dev.serials import Position
from shared.errors import Unavailable
from shared.redisdb.connect import connect
from tests.services.ably_dev.support import Server, raw
from tests.support.valkey import free_port

DOC = Path(__file__).parents[3] / "docs" / "ably-dev.md"
NOW = 1_790_000_000_000


def entry(name: str, *more: str) -> Entry:
    """A publish of messages with these ids."""
    return Entry(messages=[Stored(id=one) for one in (name, *more)])


async def test_a_publish_that_is_applied_twice_is_there_once_in_log_and_queue(redis: Redis) -> None:
    """As after a lost reply; the second answer is the first one's."""
    log = Log(redis)
    first = await log.publish("app", "c", entry("a"), NOW, ["rule"])
    second = await log.publish("app", "c", entry("a"), NOW + 1, ["rule"])
    assert (first.fresh, second.fresh) == (True, False)
    assert first.at == second.at
    assert await redis.xlen(keys.log("app", "c")) == await redis.xlen(keys.hook("app", "rule")) == 1
    ((_, channel, placed),) = await log.waiting("app", "rule", 10)
    assert (channel, placed.at) == ("c", first.at)


async def test_the_head_is_made_once_and_asked_as_often_as_one_likes(redis: Redis) -> None:
    """A channel that nobody used has an end, too, and what is published later is behind it."""
    log = Log(redis)
    head = await log.head("app", "c", NOW)
    assert await log.head("app", "c", NOW + 1) == head
    await log.publish("app", "c", entry("a"), NOW, [])
    found = await log.after("app", "c", head, NOW)
    assert ([placed.entry for placed in found.entries], found.broken) == ([entry("a")], False)


async def test_entries_are_counted_without_gaps_and_never_go_back_in_time(redis: Redis) -> None:
    """Also when the clock is set back."""
    log = Log(redis)
    places = [(await log.publish("app", "c", entry(f"m{n}"), NOW - n * 1_000, [])).at for n in range(3)]
    assert [place.seq for place in places] == [1, 2, 3]
    assert [place.ms for place in places] == [NOW] * 3
    assert places == sorted(places)


@pytest.mark.parametrize("gone", [1, 3])
async def test_a_gap_is_noticed_whether_some_or_all_that_followed_is_gone(redis: Redis, gone: int) -> None:
    """The sequence says what is missing, not the entries."""
    log = Log(redis)
    start = await log.head("app", "c", NOW)
    for n in range(3):
        await log.publish("app", "c", entry(f"m{n}"), NOW, [])
    await redis.xtrim(keys.log("app", "c"), maxlen=3 - gone, approximate=False)
    assert (await log.after("app", "c", start, NOW)).broken
    head = await log.head("app", "c", NOW)
    assert not (await log.after("app", "c", head, NOW)).broken
    assert (await log.after("app", "c", head._replace(seq=99), NOW)).broken
    assert (await log.after("app", "c", Position("0" * 20, NOW, 3), NOW)).broken


async def test_a_log_that_was_forgotten_begins_with_another_epoch(redis: Redis) -> None:
    """So an old serial fits nothing in it, whatever has been published since."""
    log = Log(redis)
    before = (await log.publish("app", "c", entry("a"), NOW, [])).at
    await log.forget("app", "c")
    after = (await log.publish("app", "c", entry("b"), NOW + 1, [])).at
    assert after.epoch > before.epoch
    assert (await log.after("app", "c", before, NOW)).broken


async def test_a_log_has_a_longest_length_and_entries_an_oldest_age(redis: Redis) -> None:
    """The oldest go first."""
    log = Log(redis)
    await redis.xadd(keys.log("app", "old"), {"e": "x"}, id="1-1")
    await redis.hset(keys.head("app", "old"), mapping={"epoch": "0" * 20, "ms": "1", "seq": "1"})
    await log.publish("app", "old", entry("a"), NOW, [])
    assert await redis.xlen(keys.log("app", "old")) == 1
    pipe = redis.pipeline()
    for n in range(MAX_ENTRIES):
        pipe.xadd(keys.log("app", "long"), {"e": "x"}, id=f"{NOW}-{n + 1}")
    pipe.hset(keys.head("app", "long"), mapping={"epoch": "0" * 20, "ms": str(NOW), "seq": str(MAX_ENTRIES)})
    await pipe.execute()
    await log.publish("app", "long", entry("a"), NOW, [])
    assert await redis.xlen(keys.log("app", "long")) == MAX_ENTRIES


async def test_rewinds_begin_at_whole_publishes(redis: Redis) -> None:
    """Enough of them for the number that is asked for."""
    log = Log(redis)
    for n, ids in enumerate((("a",), ("b:0", "b:1"), ("c",))):
        await log.publish("app", "c", entry(*ids), NOW + n, [])
    found = await log.last("app", "c", 2)
    assert [placed.entry.messages[0].id for placed in found] == ["b:0", "c"]
    assert [placed.entry.messages[0].id for placed in await log.since("app", "c", NOW + 1, 100)] == ["b:0", "c"]


async def test_every_key_is_documented_and_ends(server: Server, redis: Redis) -> None:
    """Publish, attach and connect leave nothing for ever behind."""
    async with raw(server) as client:
        await client.attach("orders")
        await server.publish("orders", {"id": "ce-1"})
        await Log(redis).publish("local", "orders", entry("ce-2"), NOW, ["rule"])
        found = {name.decode(): await redis.pttl(name) async for name in redis.scan_iter("*")}
    rows = re.findall(r"^\| `(ad:[^`]+)`", DOC.read_text(encoding="utf8"), re.MULTILINE)
    patterns = [re.sub(r"<\\?\w+\\?>", ".+", re.escape(row).replace(r"\{a\}", r"\{local\}")) for row in rows]
    assert len(found) >= len(patterns) == 5
    for name, left in found.items():
        assert any(re.fullmatch(pattern, name) for pattern in patterns), name
        assert 0 < left <= KEEP_MS
    assert 0 < found["ad:{local}:once:orders:ce-1"] <= ONCE_MS


async def test_a_redis_that_is_away_is_unavailable_and_nothing_else() -> None:
    """Whatever the client below says."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as nobody:
        with pytest.raises(Unavailable):
            await Log(nobody).head("app", "c", NOW)
