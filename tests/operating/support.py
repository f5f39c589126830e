"""Snapshots of executions, built by hand."""

from typing import Any

from shared.machine.plan import Blueprint
from shared.machine.state import Execution
from shared.machine.status import Status
from shared.redisdb.snapshots import Snapshot
from tests.machine.support import NOW, blueprint, execution, header

PLAN = blueprint("a pure", "b idem a", "c idem b")


def snapshot(
    status: Status = Status.SUSPENDED,
    cells: str = "",
    *,
    plan: Blueprint = PLAN,
    head: dict[str, Any] | None = None,
    x: dict[str, Any] | None = None,
    **found: Any,
) -> Snapshot:
    """One that is due in a second, unless something else is said."""
    built: Execution = execution(plan, cells, head=header(status, **(head or {})), **(x or {}))
    known: dict[str, Any] = {"execution": built, "ver": 5, "now_ms": NOW, "due_ms": NOW + 1_000, "timed": True}
    return Snapshot(**(known | found))
