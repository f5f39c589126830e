"""Every execution that is not over, in pages: for checks that people start, never on the engine's path."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.deploys import InFlight
from shared.errors import Unavailable
from shared.machine.plan import Plan
from shared.machine.status import Phase
from shared.redisdb import keys

PAGE: Final = 100
_plan = msgspec.json.Decoder(Plan)


class Flights:
    """Reads the due index: what is not over stands in it."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def all(self) -> AsyncIterator[InFlight]:
        """Each of them once, of all tenants; what begins or ends meanwhile may be missed. One page is in memory at a time."""
        for partition in keys.all_partitions():
            cursor, seen = 0, set[str]()
            while True:
                cursor, rows = await self._ask(self._redis.zscan(keys.due(partition), cursor, count=PAGE))
                fresh = [name for name in (row[0].decode() for row in rows) if name not in seen]
                seen.update(fresh)  # a scan may show one twice
                for found in await self._page(fresh):
                    yield found
                if not cursor:
                    break

    async def _page(self, names: list[str]) -> list[InFlight]:
        pipe = self._redis.pipeline(transaction=True)  # plan, cells and phase from one moment
        for name in names:
            pipe.hmget(keys.record(name), ["tenant", "status", "phase"])
            pipe.mget(keys.plan(name), keys.cells(name))
        found = await self._ask(pipe.execute()) if names else []
        return [
            InFlight(
                id=name,
                tenant=tenant.decode(),
                status=status.decode(),
                phase=Phase(phase.decode()),
                plan=_plan.decode(plan),
                cells=cells.decode(),
            )
            for name, (tenant, status, phase), (plan, cells) in zip(names, found[::2], found[1::2], strict=True)
            if plan is not None and cells is not None and status is not None
        ]

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
