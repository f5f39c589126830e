"""Runs in production: a bounded sample of executions, one partition a round; what is broken is counted, and logged."""

from collections import Counter
from collections.abc import Callable, Collection
from itertools import cycle
from typing import Any

from shared.logs import get_logger
from shared.redisdb import keys
from shared.redisdb.samples import Samples
from shared.why import broken

log = get_logger()


class Invariant:
    """One for a process; the watchdog takes it along."""

    def __init__(self, samples: Samples, tenants: Collection[str], late_ms: Callable[[], int] = lambda: 0) -> None:
        """`tenants`: whose executions are looked at. `late_ms`: how much longer than its due time anything may take now."""
        self._late_ms = late_ms
        self._samples = samples
        self._tenants = tenants
        self._partitions = cycle(keys.all_partitions())
        self._counts: Counter[str] = Counter()
        self._broken: dict[str, int] = {}
        """How many were broken when the partition was last looked at."""

    async def sweep(self) -> int:
        """The next partition; moves nothing."""
        return await self.look(next(self._partitions))

    async def look(self, partition: str) -> int:
        """One partition; moves nothing."""
        now_ms, some = await self._samples.take(partition, self._tenants)
        late_ms = self._late_ms()
        wrong = 0
        for one in some:
            due_ms = None if one.due_ms is None else one.due_ms + late_ms
            told = broken(status=one.status, lease_until_ms=one.lease_until_ms, due_ms=due_ms, now_ms=now_ms)
            if told:
                wrong += 1
                log.error("invariant.broken", alert=True, execution=one.id, status=one.status, message=told)
        self._counts.update(rounds=1, checked=len(some), found=wrong)
        self._broken[partition] = wrong
        return 0

    def report(self) -> dict[str, Any]:
        """How it stands since this process began; `broken` is what the latest look at each partition found."""
        standing = sum(self._broken.values())
        return {"ok": standing == 0, "broken": standing, "partitions": len(self._broken), **self._counts}
