"""What the oracle may see of the store in memory, and the engine may not."""

from typing import NamedTuple

from shared.machine.state import Fault, Header
from shared.memory import MemoryStore
from shared.redisdb import keys, wire


class Seen(NamedTuple):
    """A record, as it stands now."""

    header: Header
    cells: bytes
    results: dict[int, bytes]
    ended_ms: dict[int, int]
    ver: int
    fence: int
    owner: str
    lease_until_ms: int
    inbox: int
    seen: int
    timed: bool
    wake_ms: int
    due_ms: int | None
    plan: bytes


def record(memory: MemoryStore, execution: str) -> Seen | None:
    """The record of an execution; None if there is none."""
    found = memory._records.get(execution)  # noqa: SLF001 - this module is the one that looks inside
    if found is None:
        return None
    part = memory._partitions[keys.partition_of(execution)]  # noqa: SLF001
    return Seen(
        header=found.header,
        cells=bytes(found.cells),
        results=found.results,
        ended_ms=found.order,
        ver=found.ver,
        fence=found.fence,
        owner=found.owner,
        lease_until_ms=found.lease_until,
        inbox=len(found.inbox),
        seen=found.seen,
        timed=found.timed,
        wake_ms=found.wake_ms,
        due_ms=part.due.at(execution),
        plan=found.plan,
    )


def faults(memory: MemoryStore, execution: str) -> dict[int, Fault]:
    """How attempts of an execution failed last, by cell."""
    return {cell: wire.fault(text) for cell, text in memory._records[execution].faults.items()}  # noqa: SLF001


def anything_due(memory: MemoryStore, now_ms: int) -> bool:
    """Whether a round of the watchdog would find something."""
    parts = memory._partitions.values()  # noqa: SLF001
    return any(part.due.until(now_ms, 1) or part.relay.until(now_ms, 1) for part in parts)
