"""What scripts share: clock.lua, outbox.lua, write.lua, letters.lua; each seen through a command that includes it.

bury.lua is seen in test_dead_letter.py, scheduled.lua in test_schedule_claim.py, delivery.lua in test_event_*.py,
slots.lua in test_slot_*.py, pay.lua in test_quota_count.py, log.lua and apart.lua in test_commit.py,
ledger.lua in test_quota_admit.py.
"""

import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.redisdb import keys
from shared.redisdb.lua import INCLUDE, read
from shared.redisdb.store import RedisStore
from tests.support.executions import ANN, EXE, NONE, NOW, PP, RETENTION_MS, created, done, intends, leased, leaves, signalled
from tests.support.stores import Twice, everything

SCRIPTS = {Path(item.name).stem for item in (resources.files("shared.redisdb") / "lua").iterdir()}
FRAGMENTS = {
    "news",
    "tally",
    "clock",
    "outbox",
    "pay",
    "write",
    "apart",
    "letters",
    "bury",
    "scheduled",
    "delivery",
    "slots",
    "ledger",
    "log",
}


def test_every_script_has_a_file_of_tests() -> None:
    """A new command brings its own."""
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert tested >= SCRIPTS - FRAGMENTS


@pytest.mark.parametrize("name", sorted(SCRIPTS - FRAGMENTS))
def test_a_script_says_what_it_does_takes_and_returns(name: str) -> None:
    """In its first lines."""
    text = read("shared.redisdb", name)
    for part in ("-- KEYS: 1 ", "-- ARGV: ", "-- Returns: "):
        assert part in text, f"{name}.lua does not name its {part}"
    assert INCLUDE not in text


async def test_without_an_override_the_servers_clock_counts(redis: Redis) -> None:
    """Unix milliseconds, not those of whoever asks."""
    before = time.time() * 1000
    store = RedisStore(redis, retention_ms=RETENTION_MS)
    await created(store)
    found: Any = await redis.hget(keys.record(EXE), "created_ms")
    assert before - 1 <= int(found) <= time.time() * 1000 + 1
    assert await store.overdue(PP, limit=9) == []
    assert await store.waiting_entries() == []
    assert await store.retire_page(PP, owner=ANN, limit=9) == []


async def test_an_entry_is_relayed_two_seconds_after_it_was_written(store: Twice) -> None:
    """Whoever wrote it sends it first."""
    entry = await created(store)
    found = await everything(store.redis)
    assert found[keys.outbox_times(PP)] == [(entry.id.encode(), NOW + 2_000.0)]
    assert b'"nonce"' not in found[keys.outbox_entries(PP)][entry.id.encode()]


async def test_an_entry_far_in_the_future_keeps_its_milliseconds(store: Twice) -> None:
    """A number of 13 digits is not rounded on its way through JSON."""
    await created(store)
    lease = await leased(store)
    at = NOW + 6 * 86_400_000 + 1
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(), going=leaves(not_before_ms=at))
    store.now_ms = NOW + 2_000
    assert at in [entry.not_before_ms for entry in await store.relay_claim(PP, limit=9, claim_ms=1)]


async def test_fields_are_overwritten_and_results_are_not(store: Twice) -> None:
    """An intent may be recorded again; an answer stands."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=intends(0), going=NONE)
    await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(0, "first"), going=NONE)
    both = done(0, "second", ended_ms=1)
    both.intents[0] = intends(1).intents[1]
    await store.commit(lease, ver=lease.ver + 2, seen=0, kept=both, going=NONE)
    record = (await everything(store.redis))[keys.record(EXE)]
    assert b"step 1" in record[b"i:0"]
    assert b"first" in record[b"r:0"]
    assert b"c:0" not in record


async def test_letters_come_from_behind_the_position_seen(store: Twice) -> None:
    """Oldest first; the tenth after the ninth."""
    await created(store)
    for number in range(11):
        await signalled(store, f"{number}")
    lease = await leased(store)
    kept = done(0)
    await store.commit(lease, ver=lease.ver, seen=8, kept=kept, going=NONE)
    store.now_ms = NOW + 60_000
    assert [one.position for one in (await leased(store)).signals] == [9, 10, 11]
