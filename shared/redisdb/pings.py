"""Pings: what `intention doctor` sends through QStash, noted where the doctor can read it. A key lives two minutes."""

from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.redisdb import keys

TTL_S: Final = 120


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """How a ping arrived."""

    caller: str
    """`qstash` or `internal`, as the signature proved it."""
    signed_with: str
    """`current`, `next` or `internal`: which key of the executor's own settings made the signature."""
    message: str = ""
    """QStash's id of the message."""
    retried: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ping).decode


class Pings:
    """Notes and finds pings; knows nothing of HTTP."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def note(self, nonce: str, ping: Ping) -> None:
        """Remember how it arrived. The first arrival stays: QStash may deliver twice."""
        await self._ask(self._redis.set(keys.ping(nonce), _encode(ping), ex=TTL_S, nx=True))

    async def find(self, nonce: str) -> Ping | None:
        """The ping, or None while it has not arrived."""
        found = await self._ask(self._redis.get(keys.ping(nonce)))
        return None if found is None else _decode(found)

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
