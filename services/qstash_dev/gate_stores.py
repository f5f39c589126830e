"""Queues and flow-control keys in Redis: their settings and their numbers. Raises Unavailable like the core's store."""

from typing import Any, NamedTuple

from services.qstash_dev.durations import MINUTE_MS
from services.qstash_dev.keys import Keys
from services.qstash_dev.pipe import Pipe
from shared.redisdb.lua import Script

PACKAGE = "services.qstash_dev"
FINISHED_MS = MINUTE_MS
CANCEL_AT_ONCE = 500


class Queue(NamedTuple):
    """A queue as it stands. Times in unix ms."""

    name: str
    parallelism: int
    created_at_ms: int
    updated_at_ms: int
    lag: int
    """Messages that are not finished: waiting, delivered just now, or waiting for their retry."""
    paused: bool


class Queues:
    """The commands about queues; a message joins its queue in put.lua."""

    def __init__(self, pipe: Pipe, reads: Any) -> None:
        self._pipe, self._redis = pipe, reads
        self._set, self._pause = Script(PACKAGE, "queue_set"), Script(PACKAGE, "queue_pause")
        self._delete = Script(PACKAGE, "queue_delete")

    async def set(self, keys: Keys, name: str, *, parallelism: int, paused: bool, now_ms: int) -> None:
        """Make a queue, or give it exactly these settings."""
        await self._pipe.run(self._set, keys.fixed, [keys.prefix, now_ms, name, parallelism, int(paused)])

    async def pause(self, keys: Keys, name: str, *, paused: bool, now_ms: int) -> bool:
        """Pause or resume; False when there is no such queue."""
        return bool(await self._pipe.run(self._pause, keys.fixed, [keys.prefix, now_ms, name, int(paused)]) != -1)

    async def delete(self, keys: Keys, name: str, now_ms: int) -> None:
        """Delete a queue; what is in it is cancelled."""
        args = [keys.prefix, now_ms, name, FINISHED_MS, CANCEL_AT_ONCE]
        while await self._pipe.run(self._delete, keys.fixed, args):
            pass

    async def get(self, keys: Keys, name: str) -> Queue | None:
        """One queue, if it is there."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hmget(f"{keys.prefix}q:{name}", ["parallelism", "created", "updated", "paused"])
        pipeline.zcard(f"{keys.prefix}qwait:{name}")
        pipeline.hlen(f"{keys.prefix}qopen:{name}")
        settings, waiting, started = await pipeline.execute()
        if settings[0] is None:
            return None
        parallelism, created, updated, paused = map(int, settings)
        return Queue(name, parallelism, created, updated, waiting + started, bool(paused))

    async def all(self, keys: Keys) -> list[Queue]:
        """Every queue, oldest first."""
        names = [one.decode() for one in await self._redis.zrange(f"{keys.prefix}queues", 0, -1)]
        found = [await self.get(keys, name) for name in names]
        return [one for one in found if one]


class Flow(NamedTuple):
    """A flow-control key as it stands; a limit of 0 is none."""

    key: str
    waiting: int
    parallelism: int
    in_flight: int
    rate: int
    used: int
    """Starts within the last period."""
    period_s: int
    period_start_ms: int
    paused: bool
    pinned_parallelism: bool
    pinned_rate: bool


class Flows:
    """The commands about flow-control keys; a message brings its limits in put.lua."""

    def __init__(self, pipe: Pipe, reads: Any) -> None:
        self._pipe, self._redis = pipe, reads
        self._steer = Script(PACKAGE, "flow")

    async def steer(self, keys: Keys, key: str, what: str, now_ms: int, values: tuple[str, str, str] = ("", "", "")) -> bool:
        """pause, resume, pin, unpin or reset; False when there is no such key."""
        return bool(await self._pipe.run(self._steer, keys.fixed, [keys.prefix, now_ms, key, what, *values]))

    async def get(self, keys: Keys, key: str, now_ms: int) -> Flow | None:
        """One key, if it was used within the last week."""
        prefix, fields = keys.prefix, ["parallelism", "rate", "period", "paused", "pin_p", "pin_r", "reset"]
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hmget(f"{prefix}f:{key}", fields)
        pipeline.zcard(f"{prefix}fwait:{key}")
        pipeline.scard(f"{prefix}fcalled:{key}")
        pipeline.scard(f"{prefix}fon:{key}")
        pipeline.lrange(f"{prefix}fstarts:{key}", 0, -1)
        found, waiting, called, in_flight, starts = await pipeline.execute()
        if found[0] is None:
            return None
        parallelism, rate, period_s, paused, pinned_p, pinned_r, reset_ms = (int(one or 0) for one in found)
        recent = [at_ms for at_ms in map(int, starts) if at_ms > now_ms - period_s * 1_000]
        start_ms = recent[0] if recent else max(reset_ms, now_ms - period_s * 1_000)
        numbers = (waiting + called, parallelism, in_flight, rate, len(recent), period_s, start_ms)
        return Flow(key, *numbers, bool(paused), bool(pinned_p), bool(pinned_r))

    async def all(self, keys: Keys, search: str, now_ms: int) -> list[Flow]:
        """Every key with this text in it, the one used last at the end."""
        names = [one.decode() for one in await self._redis.zrange(f"{keys.prefix}flows", 0, -1)]
        found = [await self.get(keys, name, now_ms) for name in names if search in name]
        return [one for one in found if one]
