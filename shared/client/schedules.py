"""Schedules."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from shared.api.bodies import NewSchedule
from shared.api.schedules import Scheduled, ScheduleDeleted, ScheduleRun
from shared.api.schedules import Schedules as Page
from shared.client.pages import paged
from shared.client.transport import Transport
from shared.machine.plan import PlanDraft
from shared.schedules.model import Missed, Overlap


class Schedules:
    """`/api/schedules`."""

    def __init__(self, transport: Transport) -> None:
        """Of one client."""
        self._transport = transport

    async def create(
        self,
        cron: str,
        *,
        intent: str | None = None,
        plan: PlanDraft | Mapping[str, Any] | None = None,
        timezone: str = "",
        user_id: str = "anonymous",
        overlap: Overlap = "skip",
        missed: Missed = "skip",
    ) -> Scheduled:
        """Words or a plan, at the times of a cron expression."""
        body = NewSchedule(
            cron=cron,
            timezone=timezone,
            intent=intent,
            plan=plan if isinstance(plan, PlanDraft | None) else msgspec.convert(plan, PlanDraft),
            user_id=user_id,
            overlap=overlap,
            missed=missed,
        )
        return await self._transport.ask("POST", "/api/schedules", Scheduled, body=body)

    async def page(self, *, before: str = "", limit: int = 50) -> Page:
        """A page, newest first."""
        return await self._transport.ask("GET", "/api/schedules", Page, params={"before": before, "limit": limit})

    async def list(self) -> AsyncIterator[Scheduled]:
        """All of them, newest first."""
        async for page in paged(lambda before: self.page(before=before)):
            for one in page.schedules:
                yield one

    async def get(self, schedule: str) -> Scheduled:
        """One."""
        return await self._transport.ask("GET", f"/api/schedules/{schedule}", Scheduled)

    async def delete(self, schedule: str) -> ScheduleDeleted:
        """Its executions go on."""
        return await self._transport.ask("DELETE", f"/api/schedules/{schedule}", ScheduleDeleted)

    async def pause(self, schedule: str) -> Scheduled:
        """No run comes of it until it is resumed."""
        return await self._transport.ask("POST", f"/api/schedules/{schedule}/pause", Scheduled)

    async def resume(self, schedule: str) -> Scheduled:
        """On from the next time."""
        return await self._transport.ask("POST", f"/api/schedules/{schedule}/resume", Scheduled)

    async def run(self, schedule: str) -> ScheduleRun:
        """Now, by its overlap policy."""
        return await self._transport.ask("POST", f"/api/schedules/{schedule}/run", ScheduleRun)
