"""Store, logs of steps: stored with the result that they belong to, once; bounded; gone with their execution."""

from typing import Any

import msgspec
import pytest

from shared.machine.decision import Changes
from shared.memory import MemoryStore
from shared.ports import Committed, Flags, Lost
from shared.redisdb import keys
from shared.redisdb.store import RedisStore
from shared.step_log import MOST_ATTEMPTS, MOST_OF_EXECUTION
from tests.support.executions import (
    BOB,
    EXE,
    LEASE_MS,
    NONE,
    NOTHING,
    RETENTION_MS,
    Clocked,
    created,
    done,
    ends,
    later,
    leased,
    leaves,
    signalled,
)


def logging(cell: int, *texts: bytes, **other: Any) -> Changes:
    """A step is done, and this is what its calls logged."""
    return msgspec.structs.replace(done(cell), logs={cell: texts}, **other)


async def kept(store: Clocked, cell: int) -> list[bytes]:
    """What is kept of a cell."""
    if isinstance(store, MemoryStore):
        return store.logs(EXE, cell)
    assert isinstance(store, RedisStore)
    redis: Any = store._redis
    return list(await redis.lrange(keys.step_log(EXE, cell), 0, -1))


async def fields(store: Clocked) -> dict[str, str]:
    """The fields that tell of logs."""
    if isinstance(store, MemoryStore):
        found = store.fields(EXE)
    else:
        assert isinstance(store, RedisStore)
        redis: Any = store._redis
        found = {name.decode(): value.decode() for name, value in (await redis.hgetall(keys.record(EXE))).items()}
    return {name: value for name, value in found.items() if name.startswith("log")}


async def test_what_was_logged_is_there_with_its_result(store: Clocked) -> None:
    """Of each cell its own; a commit without any changes nothing."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=logging(0, b"one", b"two"), going=NONE)
    await store.commit(lease, ver=lease.ver + 1, seen=0, kept=logging(2, b"three"), going=NONE)
    await store.commit(lease, ver=lease.ver + 2, seen=0, kept=done(1), going=NONE)

    assert [await kept(store, cell) for cell in range(3)] == [[b"one", b"two"], [], [b"three"]]
    assert await fields(store) == {"logs": "0,2", "log_bytes": "11"}


async def test_a_commit_that_is_sent_again_logs_nothing_twice(store: Clocked) -> None:
    """The client repeats what was not answered."""
    await created(store)
    lease = await leased(store)
    for _ in range(2):
        answer = await store.commit(lease, ver=lease.ver, seen=0, kept=logging(0, b"one"), going=NONE)
        assert isinstance(answer, Committed)

    assert await kept(store, 0) == [b"one"]


async def test_logs_are_kept_where_the_continuation_is_dropped(store: Clocked) -> None:
    """They belong to the result."""
    await created(store)
    lease = await leased(store)
    await signalled(store)
    assert isinstance(await store.commit(lease, ver=lease.ver, seen=0, kept=logging(0, b"one"), going=leaves()), Flags)

    assert await kept(store, 0) == [b"one"]


async def test_a_lost_commit_logs_nothing(store: Clocked) -> None:
    """Another one owns the execution."""
    await created(store)
    late = await leased(store)
    later(store, LEASE_MS)
    await leased(store, owner=BOB)
    assert isinstance(await store.commit(late, ver=late.ver, seen=0, kept=logging(0, b"one"), going=NONE), Lost)

    assert await kept(store, 0) == []
    assert await fields(store) == {}


async def test_the_latest_attempts_stay_and_one_that_tells_of_more(store: Clocked) -> None:
    """A step that is tried for days does not fill the store."""
    await created(store)
    lease = await leased(store)
    texts = [b"%d" % number for number in range(30)]
    await store.commit(lease, ver=lease.ver, seen=0, kept=logging(0, *texts), going=NONE)

    assert await kept(store, 0) == texts[-MOST_ATTEMPTS - 1 :]


@pytest.mark.parametrize("beyond", [0, 1])
async def test_an_execution_keeps_so_much_and_says_that_there_was_more(store: Clocked, beyond: int) -> None:
    """To the byte."""
    await created(store)
    lease = await leased(store)
    half = b"x" * (MOST_OF_EXECUTION // 2)
    more = half + b"x" * beyond
    await store.commit(lease, ver=lease.ver, seen=0, kept=logging(0, half, more), going=NONE)

    assert await kept(store, 0) == ([half] if beyond else [half, half])
    assert ("log_full" in await fields(store)) is bool(beyond)


async def test_a_purged_execution_leaves_no_logs(store: Clocked) -> None:
    """They go with its record."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=logging(0, b"one"), going=NONE)
    await store.commit(lease, ver=lease.ver + 1, seen=0, kept=logging(4, b"two"), going=ends(lease))
    later(store, RETENTION_MS)
    assert await store.purge(EXE)

    if isinstance(store, RedisStore):
        redis: Any = store._redis
        assert await redis.exists(keys.step_log(EXE, 0), keys.step_log(EXE, 4)) == 0
    assert NOTHING.logs == {}
