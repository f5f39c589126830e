"""What all processes share, as samples: read from Redis when it is scraped, within a bound, once a second at most."""

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from shared.errors import Unavailable
from shared.gate_ports import Gate, GateStore
from shared.quota import Book, Ledger, Limits
from shared.redisdb.gauges import Gauges, Standing
from shared.telemetry import names
from shared.telemetry.counted import Sample

WITHIN_S: Final = 2.0
FRESH_S: Final = 1.0
ALL: Final = ""
"""The tenant's label where tenants are not shown."""
_CIRCUIT: Final = "circuit:"


class Shared:
    """One for a process that shows it."""

    def __init__(
        self, gauges: Gauges, gates: GateStore, ledger: Ledger, limits: Limits, tenants: Sequence[str], *, by_tenant: bool
    ) -> None:
        """`limits`: of one tenant. `by_tenant`: show the quota of each, and not only of all."""
        self._gauges, self._gates, self._ledger = gauges, gates, ledger
        self._limits, self._tenants, self._by_tenant = limits, tenants, by_tenant
        self._turn = asyncio.Lock()
        self._read_s = float("-inf")
        self._known: list[Sample] = []

    async def samples(self) -> Sequence[Sample]:
        """Not older than a second."""
        async with self._turn:
            if time.monotonic() - self._read_s >= FRESH_S:
                self._known = await self._read()
                self._read_s = time.monotonic()
        return self._known

    async def _read(self) -> list[Sample]:
        try:
            async with asyncio.timeout(WITHIN_S):
                standing = await self._gauges.read()
                closed = await self._gates.closed()
                books = {one: await self._ledger.book(one, self._limits.offset_ms) for one in self._tenants if self._limits}
        except (Unavailable, TimeoutError):
            return [(names.STORE, (), 0.0)]
        return [(names.STORE, (), 1.0), *_stood(standing), *_closed(closed), *self._spent(books)]

    def _spent(self, books: Mapping[str, Book]) -> Iterator[Sample]:
        groups = {tenant: [book] for tenant, book in books.items()} if self._by_tenant else {ALL: list(books.values())}
        for tenant, some in groups.items():
            if some:
                yield from _quota(tenant, some, self._limits)


def _stood(found: Standing) -> Iterator[Sample]:
    yield names.OPEN, (), found.open
    yield names.OVERDUE, (), found.overdue
    yield names.OLDEST, (), found.oldest_ms / 1000
    yield names.OUTBOX, (), found.outbox
    yield names.AWAY, (), found.away
    yield names.DEAD, (), found.dead
    yield names.SHARED_LAG, (), found.lag_ms / 1000


def _closed(gates: Mapping[str, Gate]) -> Iterator[Sample]:
    yield from ((names.CIRCUIT, (name.removeprefix(_CIRCUIT),), 1.0) for name in gates if name.startswith(_CIRCUIT))
    for what in ("tool", "tenant"):
        yield names.PAUSED, (what,), _count(gates, f"{what}:")


def _count(gates: Collection[str], prefix: str) -> int:
    return sum(name.startswith(prefix) for name in gates)


def _quota(tenant: str, books: Sequence[Book], limits: Limits) -> Iterator[Sample]:
    yield names.RUNNING, (tenant,), sum(book.running for book in books)
    for window, limit in (("day", limits.day), ("month", limits.month)):
        spent = [book.day_spent if window == "day" else book.month_spent for book in books]
        yield names.SPENT, (window, tenant), sum(spent)
        if limit:
            yield names.LIMIT, (window, tenant), limit
            left = min(limit - one - book.reserved for one, book in zip(spent, books, strict=True))
            yield names.QUOTA_LEFT, (window, tenant), left
