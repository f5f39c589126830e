"""Schedules on Redis or Valkey: one Lua command a method. A time that has come stays until it is settled."""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from redis.asyncio import Redis

from shared.errors import NotFound, TooMany
from shared.redisdb import keys
from shared.redisdb.base import Commanding
from shared.schedules.model import Schedule, Settled, State
from shared.schedules.timing import Due

MOST: Final = 1_000
"""Schedules of one tenant on one partition."""
WAITING_MOST: Final = 10
"""Times of one schedule that may wait for their turn."""
CLAIM_MS: Final = 30_000
_SCRIPTS: Final = ("schedule_add", "schedule_claim", "schedule_settle", "schedule_set", "schedule_drop")


class Taken(NamedTuple):
    """A scheduled time in this process's hands until the claim lapses."""

    time_ms: int
    token: str


class RedisSchedules(Commanding):
    """Each method is one atomic command on one partition and may be sent twice."""

    def __init__(self, redis: Redis, *, strict: bool = False, now_ms: int | None = None) -> None:
        """`strict`: a new schedule waits until it is on disk. `now_ms`: tests only."""
        super().__init__(redis, strict=strict, now_ms=now_ms)
        self.load(*_SCRIPTS)

    async def add(self, schedule: Schedule) -> None:
        """Durable when it returns; TooMany if the tenant has too many."""
        names = self._names(schedule.id, schedule.tenant)
        args = [schedule.id, schedule.next_ms, _member(schedule.id), MOST, *_fields(schedule)]
        reply = await self._run("schedule_add", names, args, barrier=True)
        if reply[0] == 2:
            raise TooMany(f"there are {MOST} schedules already: delete one first", code="too_many_schedules")

    async def get(self, schedule: str, tenant: str) -> Schedule:
        """One schedule; NotFound for another tenant's."""
        found = await self.find(schedule)
        if found is None or found.tenant != tenant:
            raise _not_found(schedule)
        return found

    async def find(self, schedule: str) -> Schedule | None:
        """One schedule, whoever's; None if there is none."""
        try:
            name = keys.schedule(schedule)
        except ValueError:
            return None
        return _schedule(await self._plain(self._redis.hgetall(name)))

    async def page(self, tenant: str, *, before: str = "", count: int) -> tuple[list[Schedule], str | None]:
        """A tenant's schedules, newest first, behind the id `before`; and where the next page begins."""
        top = f"({_member(before)}" if before else "+"
        pipe = self._redis.pipeline(transaction=False)
        for pp in keys.all_partitions():
            pipe.zrange(keys.schedule_listing(pp, tenant), top, "-", bylex=True, desc=True, offset=0, num=count + 1)
        found = await self._plain(pipe.execute())
        rows = [(one.decode(), pp) for pp, some in zip(keys.all_partitions(), found, strict=True) for one in some]
        ids = [f"sch_{pp}_{unique}" for unique, pp in sorted(rows, reverse=True)]
        pipe = self._redis.pipeline(transaction=False)
        for one in ids[:count]:
            pipe.hgetall(keys.schedule(one))
        records = await self._plain(pipe.execute()) if ids else []
        schedules = [schedule for record in records if (schedule := _schedule(record)) is not None]
        return schedules, ids[count - 1] if len(ids) > count else None

    async def due(self, partitions: Sequence[str], *, limit: int) -> list[str]:
        """Schedules to be looked at now, `limit` of each partition, in two round trips, one if there are none."""
        now, some = await self._now_and_any([keys.schedule_times(pp) for pp in partitions])
        if not some:
            return []
        times = (("ZRANGE", keys.schedule_times(pp), 0, now, "BYSCORE", "LIMIT", 0, limit) for pp in partitions)
        return [name.decode() for found in await self._read_all(times) for name in found]

    async def claim(self, schedule: str, *, planned_ms: int = 0, due: Due | None = None) -> Taken | None:
        """Move the next time as was decided for `planned_ms` (once, however many decided so), and take the first that waits."""
        found = due or Due(fire_ms=None, next_ms=0, missed=0)
        # Of what was seen too late one time may run all the same; then nothing is counted as skipped.
        skipped = found.missed if found.fire_ms is None else 0
        decided = planned_ms if due else -1
        return await self._claim(schedule, decided, found.next_ms, found.fire_ms or 0, skipped)

    async def claim_now(self, schedule: str, time_ms: int) -> Taken | None:
        """Put a person's run behind those that wait, and take the first; TooMany if too many wait."""
        return await self._claim(schedule, 0, 0, time_ms, 0)

    async def _claim(self, schedule: str, decided_ms: int, next_ms: int, time_ms: int, skipped: int) -> Taken | None:
        token = secrets.token_hex(8)
        args = [schedule, decided_ms, next_ms, time_ms, skipped, CLAIM_MS, token, WAITING_MOST]
        reply = await self._run("schedule_claim", self._names(schedule), args)
        if reply[0] == 4:
            raise TooMany(f"{WAITING_MOST} runs of this schedule wait already", code="too_many_waiting")
        return Taken(time_ms=int(reply[1]), token=token) if reply[0] == 0 else None

    async def settle(self, schedule: str, taken: Taken, settled: Settled) -> bool:
        """What became of a time that was taken; False if the claim had lapsed and somebody else has it, or it is settled."""
        error = msgspec.json.encode(settled.error) if settled.error else b""
        args = [schedule, taken.token, taken.time_ms, settled.what, settled.execution, error, settled.in_ms]
        reply = await self._run("schedule_settle", self._names(schedule), args)
        return bool(reply[0] == 0)

    async def set_state(self, schedule: str, tenant: str, state: State, *, next_ms: int) -> None:
        """Pause, or run from `next_ms` on; NotFound for another tenant's."""
        names = self._names(schedule)
        reply = await self._run("schedule_set", names, [schedule, tenant, state, next_ms], timed=False)
        if reply[0] != 0:
            raise _not_found(schedule)

    async def drop(self, schedule: str, tenant: str) -> None:
        """Delete it; its executions stay. NotFound for another tenant's."""
        names = self._names(schedule, tenant)
        reply = await self._run("schedule_drop", names, [schedule, tenant, _member(schedule)], timed=False)
        if reply[0] != 0:
            raise _not_found(schedule)

    def _names(self, schedule: str, tenant: str | None = None) -> list[str]:
        try:
            pp = keys.partition_of_schedule(schedule)
        except ValueError as error:
            raise _not_found(schedule) from error
        names = [keys.schedule(schedule), keys.schedule_times(pp)]
        return names if tenant is None else [*names, keys.schedule_listing(pp, tenant)]


def _not_found(schedule: str) -> NotFound:
    return NotFound(f"there is no schedule {schedule[:80]}: GET /api/schedules lists them")


def _member(schedule: str) -> str:
    return schedule.rpartition("_")[2]


_GIVEN: Final = ("id", "tenant", "user", "cron", "timezone", "text", "overlap", "missed", "state")


def _fields(schedule: Schedule) -> list[str | bytes]:
    plan = msgspec.json.encode(schedule.plan) if schedule.plan else b""
    given: dict[str, str | bytes] = {name: getattr(schedule, name) for name in _GIVEN}
    return [part for pair in (given | {"plan": plan}).items() for part in pair]


def _schedule(record: dict[bytes, bytes]) -> Schedule | None:
    """A schedule from its hash; None for one that is gone."""
    if not record:
        return None
    fields: dict[str, Any] = defaultdict(str, {name.decode(): value.decode() for name, value in record.items()})
    for name in ("plan", "last_error"):
        fields[name] = msgspec.json.decode(fields[name]) if fields[name] else None
    fields["waiting"] = [int(time) for time in fields["waiting"].split(",") if time]
    known = {name: value for name, value in fields.items() if name in Schedule.__struct_fields__}
    return msgspec.convert(known, Schedule, strict=False)
