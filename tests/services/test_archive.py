"""What is finished and past its retention is archived, then deleted; everything else stays."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.archive import PAGE, PLAN_BYTES, STEPS, Archiver, batches
from shared.errors import Unavailable
from shared.machine import plan as plans
from shared.machine.decision import Changes
from shared.machine.plan import Blueprint, Contract, Effect, Plan, Retry, Step
from shared.machine.state import Header, Result
from shared.machine.status import Cell, Status
from shared.ports import RETIRING_MS, Birth, Going, Lease
from shared.redisdb import keys
from shared.redisdb.reader import Reader, Size
from shared.redisdb.store import RedisStore

RETENTION_MS = 60_000
LARGE_BYTES = 1_000
NOW = 1_000_000
OVER = "exe_00_" + "1" * 32
RUNNING = "exe_00_" + "2" * 32


class Dying(RedisStore):
    """Its process ends where the first execution would be deleted; `seen` is what the archive has then."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        """`folder`: the archive."""
        super().__init__(redis, retention_ms=RETENTION_MS, now_ms=NOW + RETENTION_MS)
        self.seen: list[str] = []
        self._folder = folder

    async def purge(self, execution: str) -> bool:
        """Not any more."""
        self.seen = [line["id"] for line in archive(self._folder)]
        raise Unavailable(f"the process ends at {execution}")


async def born(store: RedisStore, execution: str) -> Lease:
    """A new execution of one step, with its lease."""
    step = Step(name="a", tool="t", args={}, needs=(), retry=Retry(), timeout_ms=1000)
    data = plans.encode(Plan(steps=(step,), contracts={"t": Contract(version="1", effect=Effect.PURE)}))
    blueprint = Blueprint(data)
    header = Header(id=execution, tenant="ann", plan=blueprint.hash, status=Status.PLANNED)
    await store.create(Birth(header=header, plan=data, cells=blueprint.plan.first_cells(), fields={}, request_hash="h"))
    lease = await store.acquire(execution, owner="me", lease_ms=1000, segment=-1, cause="test")
    assert isinstance(lease, Lease)
    return lease


async def over(store: RedisStore, execution: str, *, output: Any = None) -> str:
    """It has ended; `output` is that of its step."""
    lease = await born(store, execution)
    result = Result(output=output, attempt=1, started_ms=1, ended_ms=2)
    kept = Changes(cells={0: Cell.DONE}, results={0: result}) if output is not None else Changes()
    ended = Header(id=execution, tenant="ann", plan="p", status=Status.FAILED)
    await store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=Going(kind="end", changes=Changes(header=ended)))
    return execution


def at_first(redis: Redis) -> RedisStore:
    """A store at the beginning."""
    return RedisStore(redis, retention_ms=RETENTION_MS, large_bytes=LARGE_BYTES, now_ms=NOW)


def archiver_of(redis: Redis, folder: Path, *, past_ms: int = 0) -> Archiver:
    """Of a process of its own, `past_ms` after the retention of what ended at the beginning."""
    store = RedisStore(redis, retention_ms=RETENTION_MS, now_ms=NOW + RETENTION_MS + past_ms)
    return Archiver(store, Reader(redis), folder)


def archive(folder: Path) -> list[Any]:
    """The archived executions."""
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


def file_of(folder: Path) -> Path:
    """This month's."""
    [file] = folder.glob("*.jsonl")
    return file


async def left(redis: Redis, execution: str = "exe_") -> list[str]:
    """The keys of an execution, or of all."""
    return [name.decode() async for name in redis.scan_iter("ie:*", count=1_000) if execution in name.decode()]


@pytest.mark.parametrize("archived", [True, False], ids=["with an archive", "without"])
async def test_only_what_is_over_and_past_its_retention_goes(redis: Redis, tmp_path: Path, *, archived: bool) -> None:
    """One line of JSON with steps and history, then no key of it is left; the running one is untouched."""
    store = at_first(redis)
    await over(store, OVER)
    await born(store, RUNNING)
    archiver = Archiver(store, Reader(redis), tmp_path if archived else None)

    assert await archiver.run_once() == 0
    store.now_ms = NOW + RETENTION_MS + 1
    assert await archiver.run_once() == 1

    assert await left(redis, OVER) == []
    assert await left(redis, RUNNING)
    lines = archive(tmp_path)
    assert [line["id"] for line in lines] == ([OVER] if archived else [])
    if archived:
        assert lines[0]["execution"]["status"] == "FAILED"
        assert lines[0]["execution"]["steps"][0]["name"] == "a"
        assert lines[0]["history"][0]["event"] == "execution.created"


async def test_a_round_takes_all_that_is_due_however_much_it_is(redis: Redis, tmp_path: Path) -> None:
    """More than a page of one partition: else a store would grow for ever under a load of more than that a round."""
    store = at_first(redis)
    many = [await over(store, f"exe_00_{number:032x}") for number in range(2 * PAGE + 5)]

    assert await archiver_of(redis, tmp_path).run_once() == len(many)

    assert [line["id"] for line in archive(tmp_path)] == many
    assert await left(redis) == []


async def test_many_are_read_and_deleted_in_few_round_trips(redis: Redis, tmp_path: Path) -> None:
    """A page of a partition: the claim, sizes, records, names and scripts of the purge, not each for every one of them."""
    store = at_first(redis)
    many = [await over(store, f"exe_00_{number:032x}") for number in range(PAGE)]
    archiver = archiver_of(redis, tmp_path)
    before = (await redis.info("stats"))["total_reads_processed"]

    assert await archiver.run_once() == len(many)

    reads = (await redis.info("stats"))["total_reads_processed"] - before
    assert reads < keys.PARTITIONS + PAGE  # a look at every partition; a read of the server may be a part of a round trip


def test_what_is_read_together_is_bounded() -> None:
    """By steps and by the bytes of plans, in their order."""
    sizes = {"a": Size(plan_bytes=1, steps=STEPS), "b": Size(plan_bytes=1, steps=1), "c": Size(plan_bytes=1, steps=STEPS - 1)}
    assert list(batches(sizes)) == [["a"], ["b", "c"]]
    plans_of = {name: Size(plan_bytes=PLAN_BYTES // 2, steps=1) for name in "abc"}
    assert list(batches(plans_of)) == [["a", "b"], ["c"]]
    assert list(batches({})) == []


async def test_outputs_apart_that_are_too_much_together_are_left_to_pages(redis: Redis) -> None:
    """And what is small behind them is not."""
    store = at_first(redis)
    large = [await over(store, f"exe_00_{number:032x}", output="x" * 2 * LARGE_BYTES) for number in range(2)]
    small = await over(store, OVER)
    first, second, third = await Reader(redis).whole([*large, small], apart=3 * LARGE_BYTES)
    assert first is not None
    assert first.apart == {"a": b'"%s"' % (b"x" * 2 * LARGE_BYTES)}
    assert second is None
    assert third is not None


async def test_two_archivers_at_once_share_the_work(redis: Redis, tmp_path: Path) -> None:
    """Nothing is archived twice, and nothing is left."""
    store = at_first(redis)
    many = [await over(store, f"exe_{part:02x}_{number:032x}") for part in range(4) for number in range(PAGE + 6)]

    archivers = [archiver_of(redis, tmp_path) for _ in range(2)]
    went = await asyncio.gather(*(archiver.run_once() for archiver in archivers))

    assert sum(went) == len(many)
    assert sorted(line["id"] for line in archive(tmp_path)) == many
    assert await left(redis) == []


async def test_what_an_archiver_died_with_is_on_disk_and_the_next_one_deletes_it(redis: Redis, tmp_path: Path) -> None:
    """Between the flush and the delete: the line comes twice, a minute later, and nothing is lost."""
    await over(at_first(redis), OVER)
    dying = Dying(redis, tmp_path)
    before = await left(redis, OVER)

    with pytest.raises(Unavailable):
        await Archiver(dying, Reader(redis), tmp_path).run_once()
    assert dying.seen == [OVER]
    assert await left(redis, OVER) == before

    assert await archiver_of(redis, tmp_path).run_once() == 0  # it may only be slow
    assert await archiver_of(redis, tmp_path, past_ms=RETIRING_MS).run_once() == 1
    first, second = archive(tmp_path)
    assert first | {"exportedAt": ""} == second | {"exportedAt": ""}
    assert await left(redis, OVER) == []


async def test_a_line_that_a_full_disk_cut_spoils_no_other(redis: Redis, tmp_path: Path) -> None:
    """The next one begins on a line of its own."""
    await over(at_first(redis), OVER)
    assert await archiver_of(redis, tmp_path).run_once() == 1
    file = file_of(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"export":1,"expor')
    await over(at_first(redis), RUNNING)

    assert await archiver_of(redis, tmp_path).run_once() == 1

    kept, cut, new = file.read_bytes().splitlines(keepends=True)
    assert kept == whole
    assert cut == b'{"export":1,"expor\n'
    assert json.loads(new)["id"] == RUNNING


async def test_nothing_is_deleted_that_is_not_in_the_archive(redis: Redis, tmp_path: Path) -> None:
    """A folder that cannot be written, as a full disk."""
    await over(at_first(redis), OVER)
    before = await left(redis, OVER)
    folder = tmp_path / "archive"
    folder.write_text("no folder")

    with pytest.raises(OSError, match="archive"):
        await archiver_of(redis, folder).run_once()

    assert await left(redis, OVER) == before


async def test_what_cannot_be_exported_whole_stays(redis: Redis, tmp_path: Path) -> None:
    """An output that is stored apart is missing: for a person. Its neighbours go."""
    store = at_first(redis)
    await over(store, OVER, output="x" * 2 * LARGE_BYTES)
    await over(store, RUNNING, output="y" * 2 * LARGE_BYTES)
    await redis.delete(keys.large_value(OVER, 0))

    assert await archiver_of(redis, tmp_path).run_once() == 1

    assert [line["id"] for line in archive(tmp_path)] == [RUNNING]
    assert archive(tmp_path)[0]["execution"]["steps"][0]["output"] == "y" * 2 * LARGE_BYTES
    assert keys.record(OVER) in await left(redis, OVER)
    assert await left(redis, RUNNING) == []


async def test_what_runs_stays_whatever_the_index_says(redis: Redis, tmp_path: Path) -> None:
    """After a failover it may be there: it leaves the index, and is not archived with every round."""
    await born(at_first(redis), RUNNING)
    before = await left(redis, RUNNING)
    await redis.zadd(keys.retire("00"), {RUNNING: 1})

    assert [await archiver_of(redis, tmp_path).run_once() for _ in range(2)] == [0, 0]

    assert await left(redis, RUNNING) == before
    assert await redis.zcard(keys.retire("00")) == 0


async def test_a_name_without_an_execution_leaves_the_index(redis: Redis, tmp_path: Path) -> None:
    """Another archiver was faster, or a crash left it: no line, and it is offered no more."""
    await redis.zadd(keys.retire("00"), {OVER: 1})
    assert await archiver_of(redis, tmp_path).run_once() == 0
    assert archive(tmp_path) == []
    assert await redis.zcard(keys.retire("00")) == 0
