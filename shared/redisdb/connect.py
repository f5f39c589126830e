"""One way to reach Redis: replies in bytes, bounded waits, and re-sends (which every script bears)."""

from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.durability import Fsync
from shared.errors import SettingsError
from shared.redisdb import keys
from shared.redisdb.line import Line
from shared.redisdb.pool import Pool


class Client(Redis):
    """redis-py's client, whose scripts share one line; all else has a connection of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.line = Line(self.connection_pool.make_connection)

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """See redis-py. May be sent twice."""
        return await self.line.ask("EVALSHA", sha, numkeys, *keys_and_args)

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """See redis-py. May be sent twice."""
        return await self.line.ask("EVAL", script, numkeys, *keys_and_args)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's
        """See redis-py; waits for what is under way."""
        await self.line.aclose()
        await super().aclose(close_connection_pool)


def line_of(redis: Redis) -> Line:
    """The line that a client's commands share. TypeError for a client that was not opened here."""
    if not isinstance(redis, Client):
        raise TypeError("open it with shared.redisdb.connect.connect: any other client has no line")
    return redis.line


def connect(url: str) -> Redis:
    """A client for `url`; connections are made when first used. SettingsError for a URL that is none."""
    try:
        pool = Pool.from_url(
            url,
            max_connections=256,
            timeout=5,
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        )
    except ValueError:  # its text may quote a part of the password
        raise SettingsError("REDIS_URL is not usable: write redis://host:port/0, or rediss:// for TLS") from None
    return Client.from_pool(pool)  # closing the client closes the pool: with `connection_pool=` nobody would


async def fsync_of(redis: Redis) -> Fsync:
    """When this Redis syncs its append-only file."""
    try:
        found = await redis.config_get("appendonly", "appendfsync")
    except (RedisError, OSError):
        return "unknown"  # hosted Redis hides its configuration; or it is not up yet
    if found.get("appendonly") != "yes":
        return "off" if found else "unknown"
    fsync: Fsync = msgspec.convert(found.get("appendfsync", "unknown"), Fsync)
    return fsync


async def check_layout(redis: Redis) -> None:
    """Refuse data that was laid out for another number of partitions; write the number at the first start."""
    try:
        await redis.set(keys.LAYOUT, keys.PARTITIONS, nx=True)
        found: Any = await redis.get(keys.LAYOUT)
    except (RedisError, OSError):
        return  # not up yet; readiness says so, and the first command will fail as it should
    if found is not None and found != str(keys.PARTITIONS).encode():
        raise SettingsError(f"this Redis is laid out for {found.decode()} partitions, this release for {keys.PARTITIONS}")
