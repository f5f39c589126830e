"""Lease, commit and inbox are linearisable: what several processes saw of one Valkey is explained by one order of events."""

import asyncio
import json
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.redisdb import keys, wire
from shared.redisdb.store import RedisStore
from tests.store.explained import contradictions
from tests.store.observed import Record, Seen
from tests.store.working import work
from tests.support.executions import RETENTION_MS, created, execution_id
from tests.support.valkey import Valkey

PROCESSES, TURNS, SEED = 4, 120, 1
EXECUTIONS = [execution_id(number) for number in range(1, 7)]
"""Few, so that they meet; all of one partition, so that they share an outbox and a due index."""


async def record(redis: Any, execution: str) -> Record:
    """What the server holds."""
    fields = await redis.hgetall(keys.record(execution))
    inbox = await redis.hgetall(keys.inbox(execution))
    lines = await redis.xrange(keys.history(execution))
    return Record(
        execution=execution,
        ver=int(fields[b"ver"]),
        fence=int(fields[b"fence"]),
        inbox={int(name): json.loads(text)["payload"] for name, text in inbox.items() if not name.startswith(b"id:")},
        history=[{"detail": {}} | wire.anything(line[b"l"]) for _, line in lines],
    )


async def observed(url: str) -> list[Seen]:
    """All calls of all processes, which run at the same time."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        seeds = range(SEED, SEED + PROCESSES)
        parts = await asyncio.gather(*(loop.run_in_executor(pool, work, url, EXECUTIONS, seed, TURNS) for seed in seeds))
    return [call for part in parts for call in part]


@pytest.mark.usefixtures("documented_keys")
async def test_what_many_processes_saw_is_explained_by_one_order_of_events(redis: Redis, valkey: Valkey) -> None:
    """Takeovers, repeats, late commits, signals in between; and nothing that one order of events would not allow."""
    store = RedisStore(redis, retention_ms=RETENTION_MS)
    for execution in EXECUTIONS:
        await created(store, execution)

    calls = await observed(valkey.url)

    records = [await record(redis, execution) for execution in EXECUTIONS]
    assert [wrong for one in records for wrong in contradictions(calls, one)] == []
    entries = [call.entry for call in calls if call.entry and not call.again]
    assert len(entries) == len(set(entries))
    _everything_happened(calls)


def _everything_happened(calls: list[Seen]) -> None:
    """A run in which nobody met anybody would prove nothing."""
    answers = Counter((call.kind, call.answer, call.again) for call in calls)
    for kind, answer, again in [
        ("acquire", "lease", False), ("acquire", "HELD", False), ("commit", "committed", False), ("commit", "flags", False),
        ("commit", "lost", False), ("commit", "committed", True), ("signal", "accepted", False), ("signal", "duplicate", True),
        ("acquire", "TERMINAL", False), ("signal", "terminal", False),
    ]:  # fmt: skip
        assert answers[kind, answer, again] > 0, f"no {kind} was answered {answer} (again: {again}): {answers}"
    taken = {(call.execution, call.after) for call in calls if call.answer == "lease"}
    assert any((call.execution, call.ver + 1) in taken for call in calls if call.answer == "lost"), "nobody was taken over"
