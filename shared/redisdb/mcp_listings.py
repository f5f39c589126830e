"""What MCP servers said of their tools: kept for all processes, so that plans are checked, and tools called, without asking."""

from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.redisdb import keys

KEPT_S: Final = 30 * 86_400
"""Much longer than a listing is believed: a process may start, and plans go on, while a server is away."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One tool, as its server describes it."""

    name: str
    summary: str = ""
    takes: dict[str, Any] = {}
    """JSON Schema of its arguments."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All tools of a server."""

    source: str
    """Identifies what was asked: a server that has moved is asked anew."""
    at_ms: int
    """When, unix ms."""
    tools: tuple[Listed, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Listing).decode


class Listings:
    """Writes and reads them, one a server."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def keep(self, server: str, listing: Listing) -> None:
        """The latest is believed."""
        await self._ask(self._redis.set(keys.mcp_listing(server), _encode(listing), ex=KEPT_S))

    async def find(self, server: str) -> Listing | None:
        """None if nobody has asked this server for a long time, or if another release wrote it."""
        found = await self._ask(self._redis.get(keys.mcp_listing(server)))
        try:
            return None if found is None else _decode(found)
        except msgspec.DecodeError:
            return None

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error
