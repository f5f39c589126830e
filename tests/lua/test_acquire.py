"""acquire.lua: OK 0, TERMINAL 1, STALE 2, PAUSED 3, WAITING 4, NOT_DUE 5, HELD 6, ABSENT 7; asked in that order."""

from typing import Any

import pytest

from shared.ports import No
from shared.redisdb import keys
from tests.support.executions import ANN, BOB, EXE, LEASE_MS, NOW, PP, ask, created, leased
from tests.support.stores import Recording, Twice, everything

SOON, FAR = str(NOW + 5_000), str(NOW + LEASE_MS)
REASONS: dict[No, dict[str, str]] = {
    No.TERMINAL: {"status": "COMPLETED"},
    No.STALE: {"segment": "4"},
    No.PAUSED: {"status": "PAUSED"},
    No.WAITING: {"status": "SUSPENDED", "wake_ms": SOON, "timed": "0"},
    No.NOT_DUE: {"status": "SUSPENDED", "wake_ms": SOON, "armed_ms": SOON, "timed": "1"},
    No.HELD: {"owner": BOB, "lease_until": FAR},
}
"""What makes a record refuse a message of segment 3."""


async def record(store: Recording, **fields: str) -> None:
    """A record in segment 3 with these fields."""
    await created(store)
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), mapping={"segment": "3"} | fields)


@pytest.mark.parametrize("why", REASONS, ids=lambda why: why.name)
async def test_each_refusal_has_its_code_and_writes_nothing(store: Twice, why: No) -> None:
    """Asked once or twice; what rests may only become due later."""
    await record(store, **REASONS[why])
    before = await everything(store.redis)
    await ask(store, segment=3)
    assert store.last.codes == (why, why)
    after = await everything(store.redis)
    assert {name for name in after if after[name] != before[name]} <= {keys.due(PP)}
    assert (after == before) is (why not in {No.PAUSED, No.WAITING, No.NOT_DUE})


async def test_an_unknown_execution_is_absent(store: Twice) -> None:
    """Nothing comes into being by asking."""
    await ask(store)
    assert store.last.codes == (No.ABSENT, No.ABSENT)
    assert await everything(store.redis) == {}


async def test_a_tombstone_is_absent(store: Twice) -> None:
    """There is no status to run."""
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "buried", "1")
    await ask(store)
    assert store.last.codes == (No.ABSENT, No.ABSENT)


EARLIER = [(first, second) for first in REASONS for second in REASONS if first < second]


@pytest.mark.parametrize(("first", "second"), EARLIER, ids=lambda why: why.name)
async def test_the_earlier_reason_is_given(store: Twice, first: No, second: No) -> None:
    """Each refusal is answered differently, so the order is part of the promise."""
    await record(store, **(REASONS[second] | REASONS[first]))
    await ask(store, segment=3)
    assert store.last.codes == (first, first)


@pytest.mark.parametrize("why", [No.PAUSED, No.WAITING, No.NOT_DUE], ids=lambda why: why.name)
async def test_an_unseen_signal_lifts_every_wait(store: Twice, why: No) -> None:
    """It may be what the wait is for."""
    await record(store, **REASONS[why], inbox="2", seen="1")
    await leased(store)
    assert store.last.codes == (0, 0)


@pytest.mark.parametrize("why", [No.WAITING, No.NOT_DUE], ids=lambda why: why.name)
async def test_a_wait_ends_with_its_time(store: Twice, why: No) -> None:
    """At that millisecond."""
    await record(store, **REASONS[why] | {"wake_ms": str(NOW)})
    await leased(store)
    assert store.last.codes == (0, 0)


async def test_how_long_is_said(store: Twice) -> None:
    """Until the wait ends, until the holder's lease does; and which segment is current, which status it ended in."""
    await record(store, **REASONS[No.NOT_DUE])
    await ask(store, segment=3)
    assert store.last.reply == [No.NOT_DUE, 5_000, b""]
    await ask(store, segment=2)
    assert store.last.reply == [No.STALE, 3]


async def test_held_until(store: Twice) -> None:
    """The rest of the lease."""
    await record(store, **REASONS[No.HELD])
    await ask(store)
    assert store.last.reply == [No.HELD, LEASE_MS]


async def test_a_lease_given_twice_to_its_owner_is_one(store: Twice) -> None:
    """The same reply, to the byte; the fence counts one."""
    await created(store)
    await leased(store, owner=ANN)
    assert store.last.codes == (0, 0)
    assert store.last.again == store.last.reply
    redis: Any = store.redis
    assert await redis.hmget(keys.record(EXE), ["fence", "ver", "stalled"]) == [b"1", b"1", b"1"]


async def test_an_owner_that_left_is_nobody(store: Twice) -> None:
    """An empty owner holds nothing: the lease must be live too."""
    await record(store, owner=ANN, lease_until=str(NOW))
    await leased(store, owner=ANN)
    redis: Any = store.redis
    assert await redis.hget(keys.record(EXE), "fence") == b"1"


async def test_a_segment_that_starts_is_told_once(store: Twice) -> None:
    """With its number, its fence and what woke it."""
    await created(store)
    await leased(store)
    lines = (await everything(store.redis))[keys.history(EXE)]
    assert len(lines) == 2
    assert b'"cause":"test"' in lines[1][b"l"]


async def test_a_field_that_an_older_release_did_not_write_has_its_default(store: Twice) -> None:
    """The header does not need all of them."""
    await created(store, timeout_ms=60_000)
    redis: Any = store.redis
    await redis.hdel(keys.record(EXE), "trace", "deadline_ms")
    header = (await leased(store)).header
    assert (header.trace, header.deadline_ms, header.created_ms) == ("", 0, NOW)
