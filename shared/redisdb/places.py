"""Counts the processes that listened in one place."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.logs import get_logger
from shared.redisdb import keys

log = get_logger()

TTL_MS = 7 * 86_400_000
"""A lease lives for seconds. What nobody listened in for a week is a place of its own again."""


async def next_number(redis: Redis, place: str) -> int:
    """Of the process that listens there now: 1, 2, ...; 0 when Redis is away, or nobody knows the place."""
    if not place:
        return 0
    pipe = redis.pipeline(transaction=True)
    pipe.incr(keys.place(place))
    pipe.pexpire(keys.place(place), TTL_MS)
    try:
        number, _ = await pipe.execute()
    except (RedisError, OSError) as error:
        log.info("place.unknown", error=type(error).__name__, message="leases of an earlier process here run out by themselves")
        return 0
    return int(number)
