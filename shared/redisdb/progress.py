"""What watchers of an execution have not been told yet. Only executions that somebody watches are ever asked for."""

from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from shared.redisdb import keys
from shared.redisdb.base import Commanding
from shared.redisdb.reader import lines

PAGE: Final = 500


class Untold(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a history behind what was told, oldest first, as its readers see them."""

    events: list[dict[str, Any]]
    status: str
    """Where the execution stands, not before the last of these lines."""
    more: bool
    """There are lines behind these."""


class RedisProgress(Commanding):
    """How far each watched history was told. The record keeps it, so another process goes on where one stopped."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        super().__init__(redis)
        self.load("told")

    async def untold(self, execution: str) -> Untold:
        """A page of what was not told; Unavailable when Redis is away."""
        name = keys.record(execution)
        told = await self._plain(self._redis.hget(name, "told"))
        pipe = self._redis.pipeline(transaction=False)
        pipe.xrange(keys.history(execution), min=f"({told.decode()}" if told else "-", count=PAGE)
        pipe.hget(name, "status")  # behind the lines: a status that they have not reached yet is better than an old one
        found, status = await self._plain(pipe.execute())
        return Untold(events=lines(found), status=(status or b"").decode(), more=len(found) == PAGE)

    async def told(self, execution: str, line: str) -> None:
        """Everything up to this line was told. A repeat, or an earlier line, changes nothing."""
        await self._run("told", [keys.record(execution)], [line], timed=False)
