"""commit.lua: OK 0, FLAGS 1, LOST 2, ALREADY 3 (with the first answer's code behind it)."""

from typing import Any

import msgspec
import pytest

from shared.machine.decision import Changes, Line
from shared.machine.state import Header
from shared.machine.status import Cell, Status
from shared.ports import Going
from shared.redisdb import keys
from tests.support.executions import (
    ANN,
    EXE,
    NONE,
    NOTHING,
    NOW,
    PP,
    RETENTION_MS,
    created,
    done,
    ends,
    intends,
    leased,
    leaves,
    signalled,
    starts,
    suspends,
)
from tests.support.stores import Twice, everything


async def fields(store: Twice, *names: str) -> list[Any]:
    """Fields of the record."""
    redis: Any = store.redis
    found: list[Any] = await redis.hmget(keys.record(EXE), list(names))
    return found


KINDS = ["none", "intents", "leave", "suspend", "wait", "end"]


async def commit(store: Twice, kind: str, *, kept: Changes | None = None, seen: int = 0) -> None:
    """One commit of a fresh lease that goes on in this way."""
    lease = await leased(store)
    goings = {
        "none": NONE,
        "intents": starts(1),
        "leave": leaves(need=(0,)),
        "suspend": suspends(lease, wake_ms=NOW + 9_000),
        "wait": suspends(lease, wake_ms=NOW + 9_000, timed=False),
        "end": ends(lease),
    }
    await store.commit(lease, ver=lease.ver, seen=seen, kept=done(0) if kept is None else kept, going=goings[kind])


@pytest.mark.parametrize("kind", KINDS)
async def test_ok_then_already_with_the_same_answer(store: Twice, kind: str) -> None:
    """Version and entry of the first answer, whatever followed."""
    await created(store)
    await commit(store, kind)
    assert store.last.codes == (0, 3)
    _, ver, entry, watched = store.last.reply
    assert store.last.again == [3, 0, ver, entry, [], watched]
    assert bool(entry) is (kind in {"leave", "suspend"})


async def test_logs_of_a_step_are_stored_once(store: Twice) -> None:
    """In a list of the cell's own, whose name the record keeps (see log.lua)."""
    await created(store)
    await commit(store, "leave", kept=msgspec.structs.replace(done(0), logs={0: (b"one", b"two"), 3: (b"three",)}))
    assert store.last.codes == (0, 3)
    redis: Any = store.redis
    assert await redis.lrange(keys.step_log(EXE, 0), 0, -1) == [b"one", b"two"]
    assert await fields(store, "logs", "log_bytes", "log_full") == [b"0,3", b"11", None]


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_flags_then_already_flags(store: Twice, kind: str) -> None:
    """The kept part is stored once; both answers bring the signals."""
    await created(store)
    await signalled(store)
    await commit(store, kind)
    assert store.last.codes == (1, 3)
    assert store.last.again[1:3] == store.last.reply[:2]
    assert store.last.again[4] == store.last.reply[2]
    assert await fields(store, "segment", "owner") == [b"0", ANN.encode()]


async def test_flags_without_anything_to_keep_stays_flags(store: Twice) -> None:
    """Nothing was stored, so there is nothing to remember."""
    await created(store)
    await signalled(store)
    before = await fields(store, "ver", "last")
    await commit(store, "intents", kept=NOTHING)
    assert store.last.codes == (1, 1)
    assert await fields(store, "ver", "last") == [b"1", before[1]]


@pytest.mark.parametrize(
    "kept",
    [Changes(cells={0: Cell.DONE}), Changes(history=[Line(event="x")]), Changes(seen=1), Changes(progress=True), intends(0)],
    ids=["cells", "history", "seen", "progress", "intents"],
)
async def test_whatever_is_kept_is_kept_under_flags(store: Twice, kept: Changes) -> None:
    """However little it is: the version rises, and a repeat is recognised."""
    await created(store)
    await signalled(store, "one")
    await signalled(store, "two")
    await commit(store, "leave", kept=kept, seen=kept.seen)
    assert store.last.codes == (1, 3)
    assert await fields(store, "ver", "seen") == [b"2", str(kept.seen).encode()]


async def test_lost_stays_lost_and_writes_nothing(store: Twice) -> None:
    """Another version, another owner, no record."""
    await created(store)
    lease = await leased(store)
    before = await everything(store.redis)
    for ver in (lease.ver - 1, lease.ver + 1):
        await store.commit(lease, ver=ver, seen=0, kept=done(0), going=leaves())
        assert store.last.codes == (2, 2)
    assert await everything(store.redis) == before
    await store.redis.flushall()
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=ends(lease))
    assert store.last.codes == (2, 2)
    assert await everything(store.redis) == {}


async def test_an_owner_alone_is_not_enough_nor_is_a_version(store: Twice) -> None:
    """After a failover two holders may know the same version: the owner is random, so one of them has lost."""
    await created(store)
    lease = await leased(store)
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "owner", "c" * 32)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=NONE)
    assert store.last.codes == (2, 2)


async def test_a_later_commit_makes_an_earlier_one_lost(store: Twice) -> None:
    """Only the latest is recognised: the one before it was answered long ago."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=NONE)
    await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(1), going=NONE)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=NONE)
    assert store.last.codes == (2, 2)


async def test_what_leaving_writes(store: Twice) -> None:
    """Segment up, epoch and lease off, what the next segment needs, due, one entry."""
    await created(store)
    await commit(store, "leave")
    assert await fields(store, "segment", "epoch", "owner", "lease_until", "need", "stalled", "tries") == [
        b"1", b"0", b"", b"0", b"0", b"0", b"0",
    ]  # fmt: skip
    found = await everything(store.redis)
    assert found[keys.due(PP)] == [(EXE.encode(), float(NOW + 2_000))]
    assert len(found[keys.outbox_entries(PP)]) == len(found[keys.outbox_times(PP)]) == 2


async def test_what_suspending_writes(store: Twice) -> None:
    """When it ends, whether time ends it, and that the watchdog looks two seconds after that."""
    await created(store)
    await commit(store, "suspend")
    assert await fields(store, "status", "wake_ms", "timed") == [b"SUSPENDED", str(NOW + 9_000).encode(), b"1"]
    assert (await everything(store.redis))[keys.due(PP)] == [(EXE.encode(), float(NOW + 11_000))]


async def test_what_ending_writes(store: Twice) -> None:
    """Off the due index, onto the list of what is to be deleted one day."""
    await created(store)
    await commit(store, "end")
    found = await everything(store.redis)
    assert keys.due(PP) not in found
    assert found[keys.retire(PP)] == [(EXE.encode(), float(NOW + RETENTION_MS))]
    assert await fields(store, "ended_ms", "owner", "status") == [str(NOW).encode(), b"", b"COMPLETED"]


async def test_begin_is_the_same_command(store: Twice) -> None:
    """Its intents and its answers."""
    await created(store)
    lease = await leased(store)
    await store.begin(lease, ver=lease.ver, seen=0, kept=NOTHING, going=starts(0))
    assert (store.last.name, store.last.codes) == ("begin", (0, 3))
    assert (await everything(store.redis))[keys.cells(EXE)] == b"i....."


async def test_an_older_inbox_position_does_not_unsee(store: Twice) -> None:
    """What was seen stays seen."""
    await created(store)
    await signalled(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=1, kept=Changes(seen=1), going=NONE)
    await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(0), going=NONE)
    assert await fields(store, "seen") == [b"1"]


async def test_one_commit_writes_everything_of_its_two_parts(store: Twice) -> None:
    """Fields, results once, cells in runs, lines in order."""
    await created(store, cells="r" * 6)
    lease = await leased(store)
    header: Header = lease.header
    kept = Changes(
        header=header,
        cells={0: Cell.DONE, 1: Cell.DONE, 4: Cell.LEFT},
        results=done(0).results | done(1).results,
        history=[Line(event="one"), Line(event="two")],
    )
    going = Going(kind="intents", changes=Changes(cells={2: Cell.INTENDED}, history=[Line(event="three")]))
    await store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=going)
    found = await everything(store.redis)
    assert found[keys.cells(EXE)] == b"ddirlr"
    lines = [line[b"l"] for line in found[keys.history(EXE)][2:]]
    assert lines == [b'{"event":"one"}', b'{"event":"two"}', b'{"event":"three"}']
    assert found[keys.record(EXE)][b"status"] == Status.EXECUTING.value.encode()
