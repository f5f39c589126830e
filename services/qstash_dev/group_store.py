"""URL groups in Redis: read, decided upon, written if nobody was faster. Raises Unavailable like the core's store."""

from collections.abc import Callable
from typing import Any

import msgspec

from services.qstash_dev.groups import Group
from services.qstash_dev.keys import Keys
from services.qstash_dev.pipe import Pipe
from shared.redisdb.lua import Script

_group = msgspec.json.Decoder(Group)


class Groups:
    """All URL groups of a user, in one hash."""

    def __init__(self, pipe: Pipe, reads: Any) -> None:
        self._pipe, self._redis = pipe, reads
        self._set = Script("services.qstash_dev", "group_set")

    async def get(self, keys: Keys, name: str) -> Group | None:
        """One group, if it is there."""
        raw = await self._redis.hget(f"{keys.prefix}groups", name)
        return _group.decode(raw) if raw else None

    async def all(self, keys: Keys) -> dict[str, Group]:
        """Every group by its name."""
        found = await self._redis.hgetall(f"{keys.prefix}groups")
        return {name.decode(): _group.decode(raw) for name, raw in found.items()}

    async def change(self, keys: Keys, name: str, change: Callable[[Group | None], Group | None]) -> None:
        """Store what `change` makes of the group as it stands; None stands for no group."""
        while True:
            raw = await self._redis.hget(f"{keys.prefix}groups", name) or b""
            wanted = change(_group.decode(raw) if raw else None)
            new = msgspec.json.encode(wanted) if wanted else b""
            if await self._pipe.run(self._set, keys.fixed, [keys.prefix, name, raw, new]):
                return
