"""A user's signing keys: the configured ones until the first rotation, then those in Redis."""

from typing import Any

from services.qstash_dev.pipe import Pipe
from services.qstash_dev.users import User
from shared.redisdb.lua import Script


class Signing:
    """Reading and rotating. Deliveries learn the current key with their lease, in claim.lua."""

    def __init__(self, pipe: Pipe, reads: Any) -> None:
        self._pipe, self._redis = pipe, reads
        self._rotate = Script("services.qstash_dev", "rotate")

    async def get(self, user: User) -> dict[str, str]:
        """Both keys, in the API's words."""
        found = await self._redis.hmget(f"{user.keys.prefix}keys", ["current", "next"])
        current, following = found
        return {
            "current": current.decode() if current else user.current_key,
            "next": following.decode() if following else user.next_key,
        }

    async def rotate(self, user: User, new_key: str) -> dict[str, str]:
        """The next key becomes the current one, and `new_key` the next."""
        keys = user.keys
        current, following = await self._pipe.run(self._rotate, keys.fixed, [keys.prefix, new_key, user.next_key])
        return {"current": current.decode(), "next": following.decode()}
