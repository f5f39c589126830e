"""One way to reach Redis: replies in bytes, bounded waits, and re-sends (which every script bears)."""

from typing import Any, cast
from urllib.parse import urlsplit

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
from shared.redisdb.client import Client
from shared.redisdb.cluster import Node
from shared.redisdb.line import Line
from shared.redisdb.pool import Pool


def line_of(redis: Redis) -> Line:
    """The line that a client's commands share. TypeError for a client that was not opened here."""
    if not isinstance(redis, Node):
        raise TypeError("open it with shared.redisdb.connect.connect: any other client has no line")
    return redis.line


def connect(url: str) -> Redis:
    """A client for `url`; connections are made when first used. SettingsError for a URL that is none."""
    try:
        pool = _pool(url)
    except ValueError:  # its text may quote a part of the password
        raise SettingsError("REDIS_URL is not usable: write redis://host:port/0, or rediss:// for TLS") from None
    client = cast("Client", Client.from_pool(pool))  # closing it closes the pool: with `connection_pool=` nobody would
    client.nodes.open_node = lambda host, port: cast("Node", Node.from_pool(_pool(_beside(url, host, port))))
    return client


def _pool(url: str) -> Pool:
    return Pool.from_url(
        url,
        max_connections=256,
        timeout=5,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )


def _beside(url: str, host: str, port: int) -> str:
    """The URL of another node of the same cluster: everything but the place is alike."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    host = host or parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=f"{login}{at}{name}:{port}").geturl()


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
    """Refuse data that was laid out for another number of partitions; write the number at the first start.

    If it is a cluster, its nodes are known from here on.
    """
    try:
        await line_of(redis).ask_all([("EXISTS", keys.due(partition)) for partition in keys.all_partitions()])  # or MOVED
        await redis.set(keys.LAYOUT, keys.PARTITIONS, nx=True)
        found: Any = await redis.get(keys.LAYOUT)
    except (RedisError, OSError):
        return  # not up yet; readiness says so, and the first command will fail as it should
    if found is not None and found != str(keys.PARTITIONS).encode():
        raise SettingsError(f"this Redis is laid out for {found.decode()} partitions, this release for {keys.PARTITIONS}")
