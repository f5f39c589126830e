"""One way to reach Redis: replies in bytes, bounded waits, and re-sends (which every script bears)."""

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import SettingsError
from shared.redisdb import keys


def connect(url: str) -> Redis:
    """A client for `url`; connections are made when first used. SettingsError for a URL that is none."""
    try:
        pool = ConnectionPool.from_url(
            url,
            max_connections=256,
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL is not usable: {error}") from error
    return Redis(connection_pool=pool)


async def check_layout(redis: Redis) -> None:
    """Refuse data that was laid out for another number of partitions; write the number at the first start."""
    try:
        await redis.set(keys.LAYOUT, keys.PARTITIONS, nx=True)
        found = await redis.get(keys.LAYOUT)
    except (RedisError, OSError):
        return  # not up yet; readiness says so, and the first command will fail as it should
    if found is not None and int(found) != keys.PARTITIONS:
        raise SettingsError(f"this Redis is laid out for {int(found)} partitions, this release for {keys.PARTITIONS}")
