"""How long tools' calls take, shared by all executors, for whoever asks what a plan will cost. Losing it costs a guess."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.forecast import Usual
from shared.redisdb import keys

KEPT_S: Final = 30 * 86_400

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Usual).decode


class Latencies:
    """Writes and reads them."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def note(self, usual: Mapping[str, Usual]) -> None:
        """What one executor has measured lately; the last one to speak of a tool is believed."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(keys.LATENCIES, mapping={tool: _encode(found) for tool, found in usual.items()})
        pipe.expire(keys.LATENCIES, KEPT_S)
        await self._ask(pipe.execute())

    async def all(self) -> dict[str, Usual]:
        """By tool."""
        found = await self._ask(self._redis.hgetall(keys.LATENCIES))
        return {tool.decode(): _decode(text) for tool, text in found.items()}

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
