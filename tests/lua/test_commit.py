"""commit.lua: OK 0, FLAGS 1, LOST 2, ALREADY 3 (with the first answer's code behind it)."""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

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
from tests.support.stores import Recording, Twice, everything


async def fields(store: Recording, *names: str) -> list[Any]:
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


class TheLongWay(Twice):
    """Says how many there are of everything in four bytes each, as a commit of hundreds does: those never go the short way."""

    async def _run(self, name: str, names: list[str], args: Sequence[Any], *, barrier: bool = False, timed: bool = True) -> Any:
        if name in {"begin", "commit"}:
            args = [*args[:5], struct.pack(">B12I", 255, *args[5]), *args[6:]]
        return await super()._run(name, names, args, barrier=barrier, timed=timed)


SHORT: dict[str, Changes] = {
    "nothing": NOTHING,
    "a result": done(0),
    "a long result": done(0, "x" * 2_000),
    "a result, and its neighbour is ready": msgspec.structs.replace(done(0), cells={0: Cell.DONE, 1: Cell.READY}),
    "a result behind what goes on": done(2),
    "a result far away": done(5),
    "two results": msgspec.structs.replace(done(0), results=done(0).results | done(1).results),
    "no result, no line": Changes(cells={3: Cell.BACKOFF}),
    "seen": Changes(seen=1, progress=True),
    "cells with gaps": Changes(cells={0: Cell.DONE, 4: Cell.LEFT}),
}


async def what_is_left(store: Twice, kept: Changes, kind: str) -> tuple[Any, Any]:
    """What the second commit of a lease leaves behind and answers, and all that is stored."""
    await store.redis.flushall()
    await created(store)
    if kept.seen:
        await signalled(store)
    lease = await leased(store)
    await store.begin(lease, ver=lease.ver, seen=0, kept=intends(0), going=NONE)
    going = starts(1) if kind == "intents" else NONE
    await store.commit(lease, ver=lease.ver + 1, seen=kept.seen, kept=kept, going=going)
    stored = await everything(store.redis)
    for entries in (keys.outbox_times(PP), keys.outbox_entries(PP)):  # of create: they have its nonce
        stored.pop(entries)
    stored[keys.record(EXE)].pop(b"queued")
    return store.last.reply, stored


@pytest.mark.parametrize("kind", ["none", "intents"])
@pytest.mark.parametrize("what", SHORT)
async def test_the_short_way_stores_what_the_long_way_does(redis: Redis, what: str, kind: str) -> None:
    """Field by field, line by line, cell by cell; and answers alike."""
    ways = [way(redis, retention_ms=RETENTION_MS, now_ms=NOW) for way in (Twice, TheLongWay)]
    short, long = [await what_is_left(way, SHORT[what], kind) for way in ways]
    assert short == long


async def test_a_result_that_is_there_stays_whichever_way_a_commit_goes(once: Recording) -> None:
    """The short way gives way to the long one."""
    await created(once)
    lease = await leased(once)
    await once.commit(lease, ver=lease.ver, seen=0, kept=done(0, "first"), going=starts(1))
    await once.commit(lease, ver=lease.ver + 1, seen=0, kept=done(0, "second"), going=starts(2))
    assert await once.load_results(EXE, [0]) == {0: "first"}
    found = await everything(once.redis)
    assert found[keys.cells(EXE)] == b"dii..."
    assert found[keys.record(EXE)][b"ver"] == str(lease.ver + 2).encode()


async def test_a_commit_of_hundreds_is_counted_in_more_than_a_byte(store: Twice) -> None:
    """Lines, fields and runs beyond 255 of each."""
    await created(store, cells="r" * 1_200)
    lease = await leased(store)
    cells = range(0, 1_200, 2)
    kept = Changes(
        cells=dict.fromkeys(cells, Cell.DONE),
        results={cell: done(0).results[0] for cell in cells},
        history=[Line(event=f"line.{number}") for number in range(300)],
    )
    await store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=starts(1))
    found = await everything(store.redis)
    assert found[keys.cells(EXE)][:4] == b"didr"
    assert len(found[keys.history(EXE)]) == 302
    assert len(await store.load_results(EXE, cells)) == 600


async def test_the_servers_clock_stands_in_the_record_behind_a_commit(redis: Redis) -> None:
    """Whichever way it went, and whether or not it wrote a line."""
    store = Recording(redis, retention_ms=RETENTION_MS, now_ms=NOW)
    store.now_ms = None
    await created(store)
    lease = await leased(store)
    for number, kept in enumerate([done(0), Changes(progress=True), Changes(header=lease.header)]):
        before = await store.now()
        await store.commit(lease, ver=lease.ver + number, seen=0, kept=kept, going=NONE)
        (updated,) = await fields(store, "updated_ms")
        assert before <= int(updated) <= await store.now()
