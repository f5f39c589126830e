"""A few executions of a partition, for a check that runs all the time: what is listed, whether or not anything will move it."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.redisdb import keys
from shared.redisdb.connect import line_of
from shared.redisdb.line import Word

NEWEST: Final = 10
RANDOM: Final = 10
"""Of each tenant and partition: the newest are the likeliest to run, and any one may have been forgotten."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What the check needs of one execution. Times are unix ms."""

    id: str
    status: str
    lease_until_ms: int
    due_ms: int | None


class Samples:
    """Reads the tenants' listings, not the due index: what is missing there is what is looked for."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._line = line_of(redis)

    async def take(self, partition: str, tenants: Iterable[str]) -> tuple[int, list[Sample]]:
        """(now, samples). Two round trips, and a bounded number of executions."""
        names = await self._names(partition, tenants)
        asked: list[tuple[Word, ...]] = [("MULTI",)]  # a record and its due time from one moment
        for name in names:
            asked += [("HMGET", keys.record(name), "status", "lease_until"), ("ZSCORE", keys.due(partition), name)]
        *_, (*found, now) = await self._ask([*asked, ("TIME",), ("EXEC",)])
        some = [
            Sample(id=name, status=status.decode(), lease_until_ms=int(lease or 0), due_ms=None if due is None else int(due))
            for name, (status, lease), due in zip(names, found[::2], found[1::2], strict=True)
            if status is not None
        ]
        return int(now[0]) * 1000 + int(now[1]) // 1000, some

    async def _names(self, partition: str, tenants: Iterable[str]) -> list[str]:
        asked: list[tuple[Word, ...]] = []
        for tenant in tenants:
            listing = keys.listing(partition, tenant)
            asked += [("ZRANGE", listing, "+", "-", "BYLEX", "REV", "LIMIT", 0, NEWEST), ("ZRANDMEMBER", listing, RANDOM)]
        found = await self._ask(asked)
        return sorted({f"exe_{partition}_{one.decode()}" for some in found for one in some or ()})

    async def _ask(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        try:
            return await self._line.ask_all(commands)
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
