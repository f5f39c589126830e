"""What is remembered of a schedule, and what a firing came to. Times are unix ms."""

from typing import Any, Literal, TypeAlias

import msgspec

from shared.machine.plan import PlanDraft

Overlap: TypeAlias = Literal["skip", "queue", "parallel"]
"""What happens when its last execution still runs: not this time; after that one; at once."""
Missed: TypeAlias = Literal["skip", "once"]
"""What happens to times at which nobody ran: nothing; or one run for all of them."""
State: TypeAlias = Literal["active", "paused"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is stored."""

    id: str
    tenant: str
    user: str
    cron: str
    timezone: str
    text: str = ""
    """The words; empty where there is a plan."""
    plan: PlanDraft | None = None
    overlap: Overlap = "skip"
    missed: Missed = "skip"
    state: State = "active"
    created_ms: int = 0
    next_ms: int = 0
    """The next time by the cron expression; 0 while paused."""
    waiting: tuple[int, ...] = ()
    """Times that have come and are not settled, the oldest first: one is being started, or waits for the last execution."""
    until_ms: int = 0
    """The first of them is in somebody's hands, or not to be looked at, until then."""
    last_ms: int = 0
    """The scheduled time of the latest execution."""
    last_execution: str = ""
    runs: int = 0
    skipped: int = 0
    """Times that were not run: the last execution was running, nobody ran in time, or too many were waiting."""
    failures: int = 0
    last_error: dict[str, Any] | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What a scheduled time came to."""

    what: Literal["started", "skipped", "failed", "later"]
    execution: str = ""
    error: dict[str, Any] | None = None
    """Of a skipped or failed one: code, message, and when it was for."""
    in_ms: int = 0
    """Of a later one."""
