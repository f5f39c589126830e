"""Very many overdue executions, written straight into Redis: `create` would take minutes for what is looked at for seconds."""

from collections.abc import Mapping
from typing import Any

from shared.redisdb import keys

CHUNK = 5_000


async def fill(redis: Any, tenants: Mapping[str, int], *, due_ms: int) -> list[str]:
    """So many executions of each tenant over all partitions, due a millisecond after each other from `due_ms` on; their ids.

    They have only what the watchdog reads: a record's header, and a place in the due index.
    """
    found: list[str] = []
    for tenant, count in tenants.items():
        for start in range(0, count, CHUNK):
            pipe = redis.pipeline(transaction=False)
            for number in range(start, min(start + CHUNK, count)):
                pp = keys.all_partitions()[number % keys.PARTITIONS]
                execution = f"exe_{pp}_{tenant.encode().hex()[:12]:0<12}{number:020x}"
                fields = {
                    "id": execution,
                    "tenant": tenant,
                    "status": "EXECUTING",
                    "segment": 0,
                    "epoch": 0,
                    "inbox": 0,
                    "seen": 0,
                }
                pipe.hset(keys.record(execution), mapping=fields)
                pipe.zadd(keys.due(pp), {execution: due_ms + number})
                found.append(execution)
            await pipe.execute()
    return found
