"""A few executions of a partition, for a check that runs all the time: what is listed, whether or not anything will move it."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.redisdb import keys

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
        self._redis = redis

    async def take(self, partition: str, tenants: Iterable[str]) -> tuple[int, list[Sample]]:
        """(now, samples). Three round trips, and a bounded number of executions."""
        names = await self._names(partition, tenants)
        pipe = self._redis.pipeline(transaction=True)  # a record and its due time from one moment
        for name in names:
            pipe.hmget(keys.record(name), ["status", "lease_until"])
            pipe.zscore(keys.due(partition), name)
        found = await self._ask(pipe.execute()) if names else []
        now = await self._ask(self._redis.time())
        some = [
            Sample(id=name, status=status.decode(), lease_until_ms=int(lease or 0), due_ms=None if due is None else int(due))
            for name, (status, lease), due in zip(names, found[::2], found[1::2], strict=True)
            if status is not None
        ]
        return int(now[0]) * 1000 + int(now[1]) // 1000, some

    async def _names(self, partition: str, tenants: Iterable[str]) -> list[str]:
        pipe = self._redis.pipeline(transaction=False)
        for tenant in tenants:
            pipe.zrange(keys.listing(partition, tenant), "+", "-", bylex=True, desc=True, offset=0, num=NEWEST)
            pipe.zrandmember(keys.listing(partition, tenant), RANDOM)
        found = await self._ask(pipe.execute())
        return sorted({f"exe_{partition}_{one.decode()}" for some in found for one in some or ()})

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
