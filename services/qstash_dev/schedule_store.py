"""Schedules in Redis. Raises Unavailable like the core's store."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from services.qstash_dev.keys import Keys
from services.qstash_dev.pipe import Pipe
from services.qstash_dev.schedules import Schedule
from shared.redisdb.lua import Script

PACKAGE = "services.qstash_dev"
_schedule = msgspec.json.Decoder(Schedule)
FIELDS = ["rec", "body", "version", "created", "next", "last", "paused", "error"]


class Standing(NamedTuple):
    """A schedule as it stands. Times in unix ms."""

    schedule: Schedule
    body: bytes
    version: str
    created_at_ms: int
    next_ms: int
    last_ms: int
    """0 before the first time."""
    paused: bool
    error: str
    states: dict[str, str]
    """The messages of the last time: IN_PROGRESS, SUCCESS or FAIL."""


class Schedules:
    """The commands about schedules; how a message of one ended is noted by finish.lua and cancel.lua."""

    def __init__(self, pipe: Pipe, reads: Any) -> None:
        self._pipe, self._redis = pipe, reads
        self._set, self._pause = Script(PACKAGE, "schedule_set"), Script(PACKAGE, "schedule_pause")
        self._delete, self._fire = Script(PACKAGE, "schedule_delete"), Script(PACKAGE, "schedule_fire")

    async def set(self, keys: Keys, schedule: Schedule, body: bytes, *, next_ms: int, version: str, now_ms: int) -> None:
        """Make a schedule or replace one."""
        rec = msgspec.json.encode(schedule)
        args = [keys.prefix, now_ms, schedule.schedule_id, rec, body, next_ms, version]
        await self._pipe.run(self._set, keys.fixed, args)

    async def pause(self, keys: Keys, schedule_id: str, *, paused: bool) -> bool:
        """Pause or resume; False when there is no such schedule."""
        return bool(await self._pipe.run(self._pause, keys.fixed, [keys.prefix, schedule_id, int(paused)]))

    async def delete(self, keys: Keys, schedule_id: str) -> None:
        """Delete a schedule, if it is there."""
        await self._pipe.run(self._delete, keys.fixed, [keys.prefix, schedule_id])

    async def fire(
        self, keys: Keys, boot: int, one: Standing, *, next_ms: int, now_ms: int, error: str, put: Sequence[Any]
    ) -> int:
        """Make the messages of the schedule's time and set the next one; how many, or -1 when another process delivers.

        `put` is put.lua's seven arguments for each message."""
        found = one.schedule.schedule_id
        args = [keys.prefix, boot, now_ms, found, one.version, one.next_ms, next_ms, error, *put]
        return int(await self._pipe.run(self._fire, keys.fixed, args))

    async def get(self, keys: Keys, schedule_id: str) -> Standing | None:
        """One schedule, if it is there."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hmget(f"{keys.prefix}s:{schedule_id}", FIELDS)
        pipeline.hgetall(f"{keys.prefix}sstates:{schedule_id}")
        row, states = await pipeline.execute()
        if row[0] is None:
            return None
        named = {name.decode(): state.decode() for name, state in states.items()}
        numbers = (int(row[3]), int(row[4]), int(row[5] or 0))
        error = (row[7] or b"").decode()
        return Standing(_schedule.decode(row[0]), row[1], row[2].decode(), *numbers, row[6] == b"1", error, named)

    async def all(self, keys: Keys) -> list[Standing]:
        """Every schedule, the one that is due first at the start."""
        ids = await self._redis.zrange(f"{keys.prefix}schedules", 0, -1)
        found = [await self.get(keys, one.decode()) for one in ids]
        return [one for one in found if one]

    async def due(self, keys: Keys, now_ms: int, count: int) -> list[str]:
        """Ids of schedules whose time has come."""
        found = await self._redis.zrangebyscore(f"{keys.prefix}schedules", "-inf", now_ms, start=0, num=count)
        return [one.decode() for one in found]
