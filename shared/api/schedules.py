"""What is told of schedules."""

from typing import Any

import msgspec

from shared.api.base import Links, Moment, Told
from shared.machine.plan import PlanDraft
from shared.planner.model import Source


class Scheduled(Told, frozen=True, kw_only=True):
    """A schedule, with what came of it lately. One of `intent` and `plan` is there."""

    id: str
    status: str
    cron: str
    timezone: str
    user_id: str
    intent: str | None
    plan: PlanDraft | None
    overlap: str
    missed: str
    created_at: Moment | None
    next_at: Moment | None
    waiting: tuple[Moment | None, ...]
    last_scheduled_for: Moment | None
    last_execution: str | None
    last_error: dict[str, Any] | None
    runs: int
    skipped: int
    failures: int
    links: Links


class ScheduledByWords(Scheduled, frozen=True, kw_only=True):
    """201: words that are to be repeated became a schedule."""

    summary: str
    sources: tuple[Source, ...]
    repeated: bool


class Schedules(Told, frozen=True, kw_only=True):
    """A page of them, newest first; `next` is the `before` of the next page."""

    schedules: tuple[Scheduled, ...]
    next: str | None


class ScheduleDeleted(Told, frozen=True, kw_only=True):
    """It is gone; its executions go on."""

    id: str
    result: str


class ScheduleRun(Told, frozen=True, kw_only=True):
    """What came of running it now."""

    id: str
    result: str
    execution_id: str | None
    links: Links = msgspec.field(default_factory=dict)
