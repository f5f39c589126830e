"""When a channel is back: the entries that waited for it go at once, and not when their own next try would come.

What waits stands in the store, so that a process that has just begun does this as well as one that saw the outage. While QStash
or Ably is away, one of those entries a second tries whether it is back.
"""

import asyncio
import random
from collections.abc import Sequence

from shared.background import Background
from shared.circuit import Breaker
from shared.ports import Store
from shared.relay import Relay


class Returns:
    """See `shared.watchdog.Rounds`. One for a process; what one round sends is bounded as a relay's is, by partition."""

    def __init__(self, store: Store, relay: Relay, background: Background, *, queue: Breaker, channel: Breaker | None) -> None:
        """`queue` and `channel`: how it stands with QStash and with Ably (None: there is none), as this process knows it."""
        self._store = store
        self._relay = relay
        self._background = background
        self._queue = queue
        self._channel = channel
        self._trying = False
        self._hinted_at: float | None = None
        """Since when Ably worked when everything that had waited before was hinted at."""

    async def sweep(self) -> int:
        """All partitions; how many entries went, or were tried again."""
        partitions = await self._store.away_entries()
        if not partitions:
            return 0
        if self._queue.there:
            return await self._bring(partitions)
        if self._channel and self._channel.back_at is not None and self._channel.back_at != self._hinted_at:
            return await self._hint(partitions, self._channel)
        if self._queue.probe_due or (self._channel and self._channel.probe_due):
            self._try(random.choice(partitions))
        return 0

    async def look(self, partition: str) -> int:
        """One partition, if QStash is there."""
        return await self._bring([partition]) if self._queue.there else 0

    async def _bring(self, partitions: Sequence[str]) -> int:
        """The first alone while nobody here knows whether QStash works: thousands need not find out that it does not."""
        first = 0 if self._queue.back_at is not None else 1
        moved = sum([await self._relay.run_back(one) for one in partitions[:first]])
        if not self._queue.there:
            return moved
        return moved + sum(await asyncio.gather(*(self._relay.run_back(one) for one in partitions[first:])))

    async def _hint(self, partitions: Sequence[str], channel: Breaker) -> int:
        """Only Ably is back: what was put off before that is tried once more, and so hinted at."""
        since = channel.back_at
        ago = max(0, int(channel.now() - since)) if since is not None else 0
        moved = sum(await asyncio.gather(*(self._relay.run_back(one, least_ms=ago) for one in partitions)))
        if not moved:
            self._hinted_at = since
        return moved

    def _try(self, partition: str) -> None:
        """Behind the sweep: a far side that hangs must not hold it up."""
        if not self._trying:
            self._trying = True
            self._background.start(self._tried(partition))

    async def _tried(self, partition: str) -> None:
        try:
            await self._relay.run_back(partition, limit=1)
        finally:
            self._trying = False
