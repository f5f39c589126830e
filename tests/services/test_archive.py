"""What is finished and past its retention is archived, then deleted; everything else stays."""

import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.archive import PAGE, Archiver
from shared.machine import plan as plans
from shared.machine.decision import Changes
from shared.machine.plan import Blueprint, Contract, Effect, Plan, Retry, Step
from shared.machine.state import Header
from shared.machine.status import Status
from shared.ports import Birth, Going, Lease
from shared.redisdb.reader import Reader
from shared.redisdb.store import RedisStore

RETENTION_MS = 60_000
OVER = "exe_00_" + "1" * 32
RUNNING = "exe_00_" + "2" * 32


async def born(store: RedisStore, execution: str) -> Lease:
    """A new execution of one step, with its lease."""
    step = Step(name="a", tool="t", args={}, needs=(), retry=Retry(), timeout_ms=1000)
    data = plans.encode(Plan(steps=(step,), contracts={"t": Contract(version="1", effect=Effect.PURE)}))
    blueprint = Blueprint(data)
    header = Header(id=execution, tenant="ann", plan=blueprint.hash, status=Status.PLANNED)
    await store.create(Birth(header=header, plan=data, cells=blueprint.first_cells(), fields={}, request_hash="h"))
    lease = await store.acquire(execution, owner="me", lease_ms=1000, segment=-1, cause="test")
    assert isinstance(lease, Lease)
    return lease


def archive(folder: Path) -> list[Any]:
    """The archived executions."""
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


@pytest.mark.parametrize("archived", [True, False], ids=["with an archive", "without"])
async def test_only_what_is_over_and_past_its_retention_goes(redis: Redis, tmp_path: Path, *, archived: bool) -> None:
    """One line of JSON with steps and history, then no key of it is left; the running one is untouched."""
    store = RedisStore(redis, retention_ms=RETENTION_MS, now_ms=1_000_000)
    lease = await born(store, OVER)
    ended = Header(id=OVER, tenant="ann", plan="p", status=Status.FAILED)
    await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(), going=Going(kind="end", changes=Changes(header=ended)))
    await born(store, RUNNING)
    archiver = Archiver(store, Reader(redis), tmp_path if archived else None)

    assert await archiver.run_once() == 0
    store.now_ms = 1_000_000 + RETENTION_MS + 1
    assert await archiver.run_once() == 1

    left = {name.decode() async for name in redis.scan_iter("ie:*")}
    assert not [name for name in left if OVER in name]
    assert [name for name in left if RUNNING in name]
    lines = archive(tmp_path)
    assert [line["id"] for line in lines] == ([OVER] if archived else [])
    if archived:
        assert lines[0]["execution"]["status"] == "FAILED"
        assert lines[0]["execution"]["steps"][0]["name"] == "a"
        assert lines[0]["history"][0]["event"] == "execution.created"


async def test_a_round_takes_all_that_is_due_however_much_it_is(redis: Redis, tmp_path: Path) -> None:
    """More than a page of one partition: else a store would grow for ever under a load of more than that a round."""
    store = RedisStore(redis, retention_ms=RETENTION_MS, now_ms=1_000_000)
    many = [f"exe_00_{number:032x}" for number in range(2 * PAGE + 5)]
    for execution in many:
        lease = await born(store, execution)
        ended = Header(id=execution, tenant="ann", plan="p", status=Status.FAILED)
        await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(), going=Going(kind="end", changes=Changes(header=ended)))
    store.now_ms = 1_000_000 + RETENTION_MS + 1

    assert await Archiver(store, Reader(redis), tmp_path).run_once() == len(many)

    assert sorted(line["id"] for line in archive(tmp_path)) == many
    assert [name async for name in redis.scan_iter("ie:*exe_*")] == []
