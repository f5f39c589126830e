"""news_open.lua: begun 1, there 0; and news.lua, seen through every command that writes to a history."""

from typing import Any

from redis.asyncio import Redis

from shared.machine.status import Status
from shared.redisdb import keys
from shared.redisdb.news import LIVES_MS, News, Opened
from tests.support.executions import (
    ANN,
    EXE,
    NONE,
    PP,
    buried,
    created,
    done,
    ended,
    execution_id,
    leased,
    leaves,
    signalled,
)  # fmt: skip
from tests.support.stores import Recording, Twice, everything


async def told(redis: Any) -> list[tuple[str, list[str]]]:
    """Of each entry: whose news it is, and the events of the lines that it names."""
    found = []
    for _, fields in (await redis.xrange(keys.news(PP)))[1:]:
        execution = fields[b"x"].decode()
        lines = await redis.xrange(keys.history(execution), min=fields[b"a"], max=fields[b"z"])
        found.append((execution, [line[b"l"].decode().split('"')[3] for _, line in lines]))
    return found


async def test_the_news_begin_once_and_go_on_as_long_as_they_are_asked_for(redis: Redis) -> None:
    """The first entry is a mark; asking again moves the end of the stream only."""
    news = News(redis)
    first = (await news.open())[PP]
    assert first.begun
    await redis.pexpire(keys.news(PP), 1_000)
    assert (await news.open())[PP] == Opened(begun=False, first=first.first, last=first.last)
    assert LIVES_MS - 1_000 < await redis.pttl(keys.news(PP)) <= LIVES_MS
    assert await redis.xlen(keys.news(PP)) == 1


async def test_nobody_who_follows_means_no_news(store: Twice) -> None:
    """No command begins the stream."""
    await created(store)
    await ended(store)
    assert keys.news(PP) not in await everything(store.redis)


async def test_every_command_that_writes_a_line_tells_of_it_once(store: Twice) -> None:
    """Although each is sent twice: all lines of the history, in order, and only this partition's."""
    await News(store.redis).open()
    await created(store)
    await signalled(store)
    await buried(store)
    lease = await leased(store, owner=ANN)
    await store.commit(lease, ver=lease.ver, seen=1, kept=done(), going=NONE)
    await store.commit(lease, ver=lease.ver + 1, seen=1, kept=done(1), going=leaves())
    redis: Any = store.redis
    found = await told(redis)
    assert {execution for execution, _ in found} == {EXE}
    whole = [line[b"l"].decode().split('"')[3] for _, line in await redis.xrange(keys.history(EXE))]
    assert [event for _, events in found for event in events] == whole
    assert {"execution.created", "signal.received", "message.dead", "segment.started"} <= set(whole)


async def test_a_refused_commit_tells_what_it_kept_and_a_reopen_is_told(once: Recording) -> None:
    """FLAGS: the inbox has moved. And an execution that a person opens again."""
    await News(once.redis).open()
    await created(once)
    lease = await leased(once)
    await signalled(once)
    before = len(await told(once.redis))
    await once.commit(lease, ver=lease.ver, seen=0, kept=done(), going=leaves())
    assert (await told(once.redis))[before:] == [(EXE, ["step.done"])]
    other = execution_id(2)
    await created(once, other)
    await ended(once, other)
    redis: Any = once.redis
    ver = int(await redis.hget(keys.record(other), "ver"))
    await once.reopen(other, tenant="acme", ver=ver, origins=frozenset({Status.COMPLETED}), changes=done())
    lines = [fields for _, fields in await redis.xrange(keys.history(other))]
    assert sum(len(events) for whose, events in await told(redis) if whose == other) == len(lines)


async def test_the_news_of_a_partition_are_bounded(once: Recording) -> None:
    """The latest thousand, and what Redis keeps beside them to be quick."""
    await News(once.redis).open()
    await created(once)
    redis: Any = once.redis
    pipe = redis.pipeline(transaction=False)
    for number in range(1_500):
        pipe.xadd(keys.news(PP), {"x": EXE, "a": f"{number}-0", "z": f"{number}-0"})
    await pipe.execute()
    await signalled(once)
    assert 1_000 <= await redis.xlen(keys.news(PP)) < 1_200
