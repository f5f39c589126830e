"""The channels' logs in Redis: the one source of what subscribers, history and webhooks get."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.ably_dev import keys, messages, serials
from services.ably_dev.messages import Entry
from services.ably_dev.serials import Position
from shared.errors import Unavailable
from shared.redisdb.lua import Script

KEEP_MS = 86_400_000
"""How long a log is kept after its last use, and an entry at most: what Ably keeps with its "persist messages" rule."""
MAX_ENTRIES = 10_000
ONCE_MS = 120_000
"""How long a message id counts, as at Ably."""
PAGE = 100


class Placed(NamedTuple):
    """An entry and where it stands."""

    at: Position
    entry: Entry


class Published(NamedTuple):
    """Where a publish stands; not `fresh` when it was there already."""

    at: Position
    fresh: bool


class After(NamedTuple):
    """What follows a place: the entries, the log's end, and whether anything between is missing."""

    head: Position
    entries: list[Placed]
    broken: bool


class Log:
    """All logs. Every method raises Unavailable while Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis
        self._publish = Script("services.ably_dev", "publish")
        self._after = Script("services.ably_dev", "after")

    async def ping(self) -> None:
        """Redis answers."""
        await self._do(self._redis.ping())

    async def publish(self, app: str, channel: str, entry: Entry, now_ms: int, hooks: Sequence[str]) -> Published:
        """Append, once for each id of a first message; `hooks` are the webhook rules that are to hand it on."""
        names = [keys.head(app, channel), keys.log(app, channel), keys.once(app, channel, entry.messages[0].id)]
        names += [keys.hook(app, rule) for rule in hooks]
        args = [now_ms, serials.new_epoch(now_ms), messages.encode(entry), ONCE_MS, MAX_ENTRIES, KEEP_MS, channel]
        fresh, epoch, ms, seq = await self._do(self._publish.run(self._redis, names, args))
        return Published(Position(epoch.decode(), int(ms), int(seq)), bool(fresh))

    async def head(self, app: str, channel: str, now_ms: int) -> Position:
        """The log's end: nothing of what is published from now on is before it."""
        return (await self._ask(app, channel, now_ms, "")).head

    async def after(self, app: str, channel: str, at: Position, now_ms: int) -> After:
        """At most PAGE entries behind `at`; `broken` when some that should be there are gone, or the log is another one."""
        found = await self._ask(app, channel, now_ms, at.entry_id)
        return found._replace(broken=_broken(at, found))

    async def last(self, app: str, channel: str, count: int) -> list[Placed]:
        """The newest entries that hold so many messages together, oldest first."""
        rows = await self._do(self._redis.xrevrange(keys.log(app, channel), count=count))
        epoch = await self._epoch(app, channel)
        found: list[Placed] = []
        for placed in _placed(rows, epoch):
            if sum(len(one.entry.messages) for one in found) >= count:
                break
            found.append(placed)
        return found[::-1]

    async def since(self, app: str, channel: str, ms: int, count: int) -> list[Placed]:
        """The newest entries of this time or later, oldest first."""
        rows = await self._do(self._redis.xrevrange(keys.log(app, channel), min=f"{ms}-0", count=count))
        return list(_placed(rows, await self._epoch(app, channel)))[::-1]

    async def between(self, app: str, channel: str, low: str, high: str, count: int, *, forwards: bool) -> list[Placed]:
        """A page of entries between two entry ids (both included, `-` and `+` are the ends)."""
        name = keys.log(app, channel)
        if forwards:
            rows = await self._do(self._redis.xrange(name, low, high, count=count))
        else:
            rows = await self._do(self._redis.xrevrange(name, high, low, count=count))
        return list(_placed(rows, await self._epoch(app, channel)))

    async def forget(self, app: str, channel: str) -> None:
        """Delete the log: whoever was in it has lost continuity."""
        await self._do(self._redis.delete(keys.head(app, channel), keys.log(app, channel)))

    async def remember(self, app: str, connection_id: str, key: str, ttl_ms: int) -> None:
        """This connection can be resumed with this key for so long."""
        await self._do(self._redis.set(keys.connection(app, connection_id), key, px=max(1, ttl_ms)))

    async def recall(self, app: str, connection_id: str) -> str | None:
        """The key with which a connection can be resumed."""
        found = await self._do(self._redis.get(keys.connection(app, connection_id)))
        return found.decode() if found else None

    async def end(self, app: str, connection_id: str) -> None:
        """This connection cannot be resumed any more."""
        await self._do(self._redis.delete(keys.connection(app, connection_id)))

    async def waiting(self, app: str, rule: str, count: int) -> list[tuple[str, str, Placed]]:
        """What a webhook rule has to hand on, oldest first: (id in its queue, channel, entry)."""
        rows = await self._do(self._redis.xrange(keys.hook(app, rule), count=count))
        return [(name.decode(), row[b"c"].decode(), _queued(row)) for name, row in rows]

    async def handed_on(self, app: str, rule: str, ids: Sequence[str]) -> None:
        """These need not be handed on any more."""
        if ids:
            await self._do(self._redis.xdel(keys.hook(app, rule), *ids))

    async def _ask(self, app: str, channel: str, now_ms: int, behind: str) -> After:
        args = [serials.new_epoch(now_ms), behind, PAGE, KEEP_MS]
        names = [keys.head(app, channel), keys.log(app, channel)]
        epoch, ms, seq, rows = await self._do(self._after.run(self._redis, names, args))
        head = Position(epoch.decode(), int(ms), int(seq))
        found = [(name, dict(zip(row[::2], row[1::2], strict=True))) for name, row in rows]
        return After(head, list(_placed(found, head.epoch)), broken=False)

    async def _epoch(self, app: str, channel: str) -> str:
        return (await self._do(self._redis.hget(keys.head(app, channel), "epoch")) or b"").decode()

    async def _do(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})") from error


def _broken(at: Position, found: After) -> bool:
    if at.epoch != found.head.epoch or at.seq > found.head.seq:
        return True
    following = found.entries[0].at.seq if found.entries else found.head.seq + 1
    return following != at.seq + 1


def _placed(rows: Any, epoch: str) -> Iterator[Placed]:
    for name, row in rows:
        ms, _, seq = name.decode().partition("-")
        yield Placed(Position(epoch, int(ms), int(seq)), messages.decode(row[b"e"]))


def _queued(row: dict[bytes, bytes]) -> Placed:
    epoch, ms, seq = row[b"p"].decode().split()
    return Placed(Position(epoch, int(ms), int(seq)), messages.decode(row[b"e"]))
