"""How far the subscriber has come on each Ably channel, for the process that comes after it. Any replica's will do."""

from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.redisdb import keys

TTL_S: Final = 3 * 86_400
"""Ably keeps no message for longer."""


class Positions:
    """Loads and saves. A place that another replica has overwritten with an earlier one costs reading a little more."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def load(self) -> dict[str, int]:
        """Unix ms by channel; empty at the very first start. Unavailable."""
        found = await self._ask(self._redis.hgetall(keys.mesh_positions()))
        return {channel.decode(): int(at_ms) for channel, at_ms in found.items()}

    async def save(self, positions: Mapping[str, int]) -> None:
        """Unix ms by channel. Unavailable."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(keys.mesh_positions(), mapping={channel: str(at_ms) for channel, at_ms in positions.items()})
        pipeline.expire(keys.mesh_positions(), TTL_S)
        await self._ask(pipeline.execute())

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
