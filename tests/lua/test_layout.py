"""The cost of a command is that of its change, whatever the size of the plan: counted in bytes and in server commands."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from shared.machine.decision import Changes, Line
from shared.machine.status import Cell
from shared.redisdb import keys, wire
from shared.redisdb.line import Word
from tests.support.executions import EXE, NONE, NOTHING, created, done, intends, leased, leaves, starts
from tests.support.stores import Recording

LARGE = 10_000
CELLS = 7
"""Where acquire's reply holds the cells, the one part that is as long as the plan: two bytes a step."""


def size(value: Any) -> int:
    """Bytes of a reply or of arguments."""
    if isinstance(value, list | tuple):
        return sum(size(part) for part in value)
    return len(value) if isinstance(value, bytes) else len(str(value).encode())


async def server_commands(store: Recording, since: dict[str, int] | None = None) -> dict[str, int]:
    """How often the server ran each command, those inside scripts too."""
    found = await store.redis.info("commandstats")
    counts = {name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in found.items()}
    before = since or {}
    return {
        name: count - before.get(name, 0) for name, count in counts.items() if count > before.get(name, 0) and name != "info"
    }


async def one_step(store: Recording, steps: int) -> tuple[dict[str, int], dict[str, int]]:
    """A segment that does one step in a chain of so many: bytes by command, server commands by name."""
    await store.redis.flushall()
    store.log.clear()
    await created(store, cells="r" + "." * (2 * steps - 1))
    since = await server_commands(store)
    lease = await leased(store)
    await store.begin(lease, ver=lease.ver, seen=0, kept=NOTHING, going=starts(0))
    kept = done(0)
    kept.cells[1] = Cell.READY
    await store.commit(lease, ver=lease.ver + 1, seen=0, kept=kept, going=leaves(need=(0,)))
    again = await leased(store)
    counts = await server_commands(store, since)
    assert again.results == {0: "done"}
    bytes_by = {}
    for number, call in enumerate(store.log[1:]):
        reply: Sequence[Any] = call.reply if isinstance(call.reply, list) else []
        if call.name == "acquire":
            assert len(reply[CELLS]) == 2 * steps
            reply = [*reply[:CELLS], *reply[CELLS + 1 :]]
        bytes_by[f"{number} {call.name} sent"] = size(call.args)
        bytes_by[f"{number} {call.name} got"] = size(reply)
    return bytes_by, counts


async def test_one_step_costs_the_same_in_a_plan_of_ten_and_of_ten_thousand(once: Recording) -> None:
    """To the byte and to the server command, and both are small."""
    await one_step(once, 10)  # the server knows the scripts from here on
    small = await one_step(once, 10)
    large = await one_step(once, LARGE)
    assert large == small
    bytes_by, counts = large
    assert {name.split()[1] for name in bytes_by} == {"acquire", "begin", "commit"}
    assert max(bytes_by.values()) < 1_000, bytes_by
    assert counts["evalsha"] == 4
    assert sum(counts.values()) < 70, counts


async def test_a_commit_that_goes_on_is_seven_commands_to_the_server(once: Recording) -> None:
    """One to read, one for all fields, one for neighbouring cells, a line each, and whether somebody follows."""
    await created(once)
    lease = await leased(once)
    await once.begin(lease, ver=lease.ver, seen=0, kept=NOTHING, going=starts(0))
    await once.commit(lease, ver=lease.ver + 1, seen=0, kept=done(0), going=starts(1))
    kept = msgspec.structs.replace(done(1), cells={1: Cell.DONE, 2: Cell.READY})
    going = msgspec.structs.replace(
        starts(2), changes=msgspec.structs.replace(intends(2), history=[Line(event="step.intended")])
    )
    since = await server_commands(once)
    await once.commit(lease, ver=lease.ver + 2, seen=0, kept=kept, going=going)
    counts = await server_commands(once, since)
    assert counts == {"evalsha": 1, "hmget": 1, "hset": 1, "setrange": 1, "xadd": 2, "exists": 1}
    assert sum(len(name) for name in once.last.keys) < 5 * 64


async def test_what_is_done_is_not_loaded(once: Recording) -> None:
    """A lease in the middle of a large plan brings its busy steps only."""
    await created(once, cells="r" * LARGE + "." * LARGE)
    lease = await leased(once)
    results = Changes(
        cells=dict.fromkeys(range(2_000), Cell.DONE), results={cell: done(cell).results[cell] for cell in range(2_000)}
    )
    await once.commit(lease, ver=lease.ver, seen=0, kept=results, going=NONE)
    await once.commit(lease, ver=lease.ver + 1, seen=0, kept=intends(2_000, 2_001), going=leaves())
    taken = await leased(once)
    assert set(taken.intents) == {2_000, 2_001}
    reply = once.last.reply
    assert size([*reply[:CELLS], *reply[CELLS + 1 :]]) < 1_500


async def test_a_fan_out_of_ten_thousand_is_one_write_to_the_cells(once: Recording) -> None:
    """Neighbours are one run of bytes."""
    fan_out = Changes(cells={0: Cell.DONE} | dict.fromkeys(range(1, LARGE), Cell.READY), results=done(0).results)
    await created(once, cells="r" + "." * (2 * LARGE - 1))
    lease = await leased(once)
    since = await server_commands(once)
    await once.commit(lease, ver=lease.ver, seen=0, kept=fan_out, going=leaves())
    assert (await server_commands(once, since))["setrange"] == 1
    assert size(once.last.args) < LARGE + 1_000
    stored: Any = await once.redis.get(keys.cells(EXE))
    assert stored == b"d" + b"r" * (LARGE - 1) + b"." * LARGE


@pytest.mark.parametrize(
    ("cells", "runs"),
    [
        ({}, []),
        ({5: Cell.DONE}, [(5, "d")]),
        ({3: Cell.READY, 1: Cell.DONE, 2: Cell.INTENDED}, [(1, "dir")]),
        ({0: Cell.DONE, 2: Cell.READY, 3: Cell.READY, 9: Cell.FAILED}, [(0, "d"), (2, "rr"), (9, "f")]),
    ],
    ids=["none", "one", "neighbours in any order", "gaps"],
)
def test_cells_are_written_in_runs(cells: dict[int, Cell], runs: list[tuple[int, str]]) -> None:
    """A gap ends one and begins the next."""
    flat: list[Word] = [part for run in runs for part in run]
    assert wire.written(Changes(cells=cells)) == wire.NOTHING._replace(runs=flat)
