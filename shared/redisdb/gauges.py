"""How the whole system stands, for whoever measures: sizes of indexes, read in two round trips; no execution's record is."""

from collections.abc import Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.redisdb import keys


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all partitions; times in ms."""

    open: int
    overdue: int
    oldest_ms: int
    """How long the longest overdue has been; 0 if none is."""
    outbox: int
    away: int
    dead: int
    lag_ms: int


class Gauges:
    """Reads them."""

    def __init__(self, redis: Redis, tenants: Sequence[str]) -> None:
        """`redis` answers bytes. `tenants`: whose dead letters are counted."""
        self._redis = redis
        self._tenants = tenants

    async def read(self) -> Standing:
        """Two round trips, whatever there is; Unavailable when Redis is away."""
        seconds, micros = await self._ask(self._redis.time())
        now = int(seconds) * 1000 + int(micros) // 1000
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(keys.delivery_lag())
        for partition in keys.all_partitions():
            pipe.zcard(keys.due(partition))
            pipe.zcount(keys.due(partition), "-inf", now)
            pipe.zrange(keys.due(partition), 0, 0, withscores=True)
            pipe.zcard(keys.outbox_times(partition))
            pipe.zcard(keys.outbox_away(partition))
        for partition in keys.all_partitions():
            for tenant in self._tenants:
                pipe.zcard(keys.dead_times(partition, tenant))
        lag, *found = await self._ask(pipe.execute())
        most = 5 * keys.PARTITIONS
        first = [now - int(rows[0][1]) for rows in found[2:most:5] if rows]
        return Standing(
            open=sum(found[0:most:5]),
            overdue=sum(found[1:most:5]),
            oldest_ms=max(0, *first, 0),
            outbox=sum(found[3:most:5]),
            away=sum(found[4:most:5]),
            dead=sum(found[most:]),
            lag_ms=int(lag or 0),
        )

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
