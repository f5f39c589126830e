"""Starts what is scheduled. Any number may run: a time is claimed by one, and its Idempotency-Key makes it once in any case."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from shared.accepting import Acceptor
from shared.errors import IntentionError, NotFound, TooMany, Unavailable
from shared.logs import get_logger
from shared.redisdb import keys
from shared.redisdb.reader import Reader
from shared.redisdb.schedules import RedisSchedules, Taken
from shared.requests import Context, Execute
from shared.schedules import timing
from shared.schedules.model import Schedule, Settled

log = get_logger()

PER_PARTITION: Final = 20
AT_ONCE: Final = 8
LAZY: Final = 2
WAIT_MS: Final = 5_000
"""How long until it is looked again whether the execution before is over."""
RETRY_MS: Final = 5_000
"""How long until a start is tried again that a neighbour's absence prevented."""
ROUNDS: Final = 20
"""Waiting times of one schedule that are settled in one go."""


class Firing:
    """One for a process. See `shared.watchdog.Rounds`."""

    def __init__(self, schedules: RedisSchedules, acceptor: Acceptor, reader: Reader) -> None:
        """`acceptor` plans and creates; `reader` tells whether the execution before still runs."""
        self._schedules = schedules
        self._acceptor = acceptor
        self._reader = reader

    async def sweep(self) -> int:
        """Everything that is due; how many times were settled."""
        return await self._all(await self._schedules.due(keys.all_partitions(), limit=PER_PARTITION))

    async def look(self, partition: str) -> int:
        """A little of one partition."""
        return await self._all(await self._schedules.due([partition], limit=LAZY))

    async def _all(self, schedules: list[str]) -> int:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(schedule: str) -> int:
            async with gate:
                try:
                    return await self.fire(schedule)
                except Unavailable as error:
                    log.warning("schedule.not_fired", schedule=schedule, error=error.message)
                except Exception:  # one odd schedule must not stop the others
                    log.exception("schedule.odd", schedule=schedule)
                return 0

        return sum(await asyncio.gather(*map(one, schedules)))

    async def fire(self, schedule: str) -> int:
        """Settle the times of one schedule that have come; how many."""
        for count in range(ROUNDS):
            taken = await self._claim(schedule)
            if taken is None or (await self._settle(schedule, taken)).what == "later":
                return count
        return ROUNDS

    async def run_now(self, schedule: Schedule) -> Settled:
        """A person's run, behind those that wait; `later` if it has to wait too."""
        time_ms = await self._schedules.now()
        taken = await self._schedules.claim_now(schedule.id, time_ms)
        while taken is not None:
            settled = await self._settle(schedule.id, taken)
            if settled.what == "later" or taken.time_ms == time_ms:
                return settled
            taken = await self._claim(schedule.id)
        return Settled(what="later", in_ms=WAIT_MS)

    async def _claim(self, name: str) -> Taken | None:
        schedule = await self._schedules.find(name)
        now = await self._schedules.now()
        if schedule is None or not 0 < schedule.next_ms <= now:
            return await self._schedules.claim(name)
        zone = timing.zone_of(schedule.timezone, "timezone")
        due = timing.due(schedule.cron, zone, planned_ms=schedule.next_ms, now_ms=now, missed=schedule.missed)
        if due.missed:
            log.warning("schedule.missed", schedule=name, planned=timing.moment(schedule.next_ms), run=due.fire_ms is not None)
        return await self._schedules.claim(name, planned_ms=schedule.next_ms, due=due)

    async def _settle(self, name: str, taken: Taken) -> Settled:
        schedule = await self._schedules.find(name)
        if schedule is None:  # deleted since it was claimed
            return Settled(what="skipped")
        settled = await self._start(schedule, taken.time_ms)
        kept = await self._schedules.settle(name, taken, settled)
        facts = {"schedule": name, "scheduled_for": timing.moment(taken.time_ms), "execution": settled.execution, "kept": kept}
        tell = log.warning if settled.error else (log.debug if settled.what == "later" else log.info)
        tell(f"schedule.{settled.what}", **facts, error=settled.error)
        return settled

    async def _start(self, schedule: Schedule, time_ms: int) -> Settled:
        match timing.overlapping(schedule.overlap, await self._last_status(schedule)):
            case "skip":
                return Settled(what="skipped")
            case "wait":
                return Settled(what="later", in_ms=WAIT_MS)
            case _:
                return await self._create(schedule, time_ms)

    async def _last_status(self, schedule: Schedule) -> str | None:
        if schedule.overlap == "parallel" or not schedule.last_execution:
            return None
        try:
            return (await self._reader.header(schedule.last_execution, schedule.tenant))["status"]
        except NotFound:
            return None  # over for so long that it was purged

    async def _create(self, schedule: Schedule, time_ms: int) -> Settled:
        key = f"{schedule.id}@{timing.moment(time_ms)}"
        when = datetime.fromtimestamp(time_ms / 1000, UTC)
        try:
            taken = await self._acceptor.take(schedule.tenant, request_of(schedule), key, at=when)
        except Unavailable:
            return Settled(what="later", in_ms=RETRY_MS)
        except IntentionError as error:
            if isinstance(error, TooMany) and error.error_code != "quota_exhausted":
                return Settled(what="later", in_ms=RETRY_MS)
            return Settled(what="failed", error=_error(error.error_code, error.message, time_ms, **error.details))
        except Exception:
            log.exception("schedule.crashed", schedule=schedule.id)
            text = "something broke here; the log of this service has the details"
            return Settled(what="failed", error=_error("internal", text, time_ms))
        return Settled(what="started", execution=taken.execution)


def request_of(schedule: Schedule) -> Execute:
    """What is asked for at each time; the same each time, so that its hash is."""
    return Execute(
        intent=schedule.text or None,
        plan=schedule.plan,
        user_id=schedule.user,
        context=Context(timezone=schedule.timezone),
    )


def _error(code: str, message: str, time_ms: int, **details: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "details": details, "scheduledFor": timing.moment(time_ms)}
