"""How a tenant's executions stand, from counts that the commands keep. Nothing is searched, however many there are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from redis.asyncio import Redis

from shared.redisdb import keys
from shared.redisdb.base import Commanding

MINUTES: Final = 30
SWEPT_MS: Final = 3 * 86_400_000


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """What one minute brought. `failed` are some of those that `ended`."""

    at_ms: int
    begun: int = 0
    ended: int = 0
    failed: int = 0


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """All of one tenant. Times are unix ms by the server's clock."""

    now_ms: int
    statuses: Mapping[str, int]
    minutes: tuple[Minute, ...]
    """The latest MINUTES, oldest first; the last one is not over yet."""
    waiting: int
    oldest: tuple[str, int] | None
    """Who waits longest, and since when."""
    away: int
    """Messages of all tenants that wait for a channel to come back."""
    swept_ms: int | None
    """When a watchdog last began a round."""
    heard_ms: int | None
    """Up to when everything on the engine's Ably channels was heard."""


class Tallies(Commanding):
    """Reads the tallies, and notes the watchdog's rounds."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        super().__init__(redis)

    async def of(self, tenant: str) -> Tally:
        """Of all partitions. Two round trips; Unavailable without Redis.

        Maps and scores come as lists from a server that speaks RESP2 only.
        """
        now_ms = await self.now()
        swept, heard, *found = await self._read_all(
            [("GET", keys.swept()), ("HVALS", keys.mesh_positions())]
            + [command for partition in keys.all_partitions() for command in _commands(partition, tenant)]
        )
        counts = [one if isinstance(one, dict) else dict(zip(one[::2], one[1::2], strict=True)) for one in found[0::4]]
        first = [one[0] if isinstance(one[0], list) else one for one in found[2::4] if one]
        oldest = min(first, key=lambda one: float(one[1]), default=None)
        return Tally(
            now_ms=now_ms,
            statuses=_statuses(counts),
            minutes=_minutes(counts, now_ms),
            waiting=sum(found[1::4]),
            oldest=(oldest[0].decode(), int(oldest[1])) if oldest else None,
            away=sum(found[3::4]),
            swept_ms=int(swept) if swept else None,
            heard_ms=max(map(int, heard), default=None),
        )

    async def sweep(self) -> int:
        """A watchdog begins a round. See `shared.watchdog.Rounds`: this moves nothing."""
        await self._plain(self._line.ask("SET", keys.swept(), await self.now(), "PX", SWEPT_MS))
        return 0

    async def look(self, partition: str) -> int:  # noqa: ARG002 - a look at one partition is no round
        """Nothing to do."""
        return 0


def _commands(partition: str, tenant: str) -> list[tuple[str | int, ...]]:
    waiting = keys.waiting(partition, tenant)
    return [
        ("HGETALL", keys.tally(partition, tenant)),
        ("ZCARD", waiting),
        ("ZRANGE", waiting, 0, 0, "WITHSCORES"),
        ("ZCARD", keys.outbox_away(partition)),
    ]


def _statuses(found: Iterable[Mapping[bytes, bytes]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for fields in found:
        counts.update({name.decode(): int(value) for name, value in fields.items() if not name.startswith(b"m")})
    return dict(sorted(counts.items()))


def _minutes(found: Iterable[Mapping[bytes, bytes]], now_ms: int) -> tuple[Minute, ...]:
    latest = now_ms // 60_000
    sums: dict[int, list[int]] = {at: [0, 0, 0] for at in range(latest - MINUTES + 1, latest + 1)}
    for fields in found:
        for name, value in fields.items():
            at, *counts = map(int, value.split(b":")) if name.startswith(b"m") else (0,)
            if at in sums:
                sums[at] = [one + more for one, more in zip(sums[at], counts, strict=True)]
    return tuple(Minute(at_ms=at * 60_000, begun=b, ended=e, failed=f) for at, (b, e, f) in sums.items())
