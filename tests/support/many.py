"""Very many executions of a list, written straight into Redis: to run them would take minutes."""

from typing import Any

from shared.redisdb import keys

CHUNK = 2_000


async def fill(redis: Any, tenant: str, count: int, *, user: str, from_ms: int) -> list[str]:
    """So many completed executions over all partitions, begun a millisecond after each other; their ids, oldest first.

    They have only what a list reads: a record's header, and a place in the tenant's listing.
    """
    found: list[str] = []
    for start in range(0, count, CHUNK):
        pipe = redis.pipeline(transaction=False)
        for number in range(start, min(start + CHUNK, count)):
            pp = keys.all_partitions()[number % keys.PARTITIONS]
            unique = f"{from_ms + number:012x}{number:020x}"
            execution = f"exe_{pp}_{unique}"
            fields = {
                "id": execution,
                "tenant": tenant,
                "status": "COMPLETED",
                "text": f"number {number}",
                "user": user,
                "created_ms": from_ms + number,
                "ended_ms": from_ms + number + 50,
            }
            pipe.hset(keys.record(execution), mapping=fields)
            pipe.zadd(keys.listing(pp, tenant), {unique: 0})
            found.append(execution)
        await pipe.execute()
    return found
