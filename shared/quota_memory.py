"""The ledger without a server: every answer as the Lua commands give it. `tests/contract` holds the two against each other."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.quota import LOOK_MS, PENDING_MS, TAIL_MS, Account, Answer, Book, Full, Limits, day_of, month_of


@dataclass
class _One:
    granted: int
    charged: int = 0
    ver: int = 0
    asked: int = 0


@dataclass
class _Tenant:
    day: int = -1
    month: int = -1
    day_spent: int = 0
    month_spent: int = 0
    accounts: dict[str, _One] = field(default_factory=dict)
    tails: dict[str, int] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)

    @property
    def reserved(self) -> int:
        return sum(one.granted - one.charged for one in self.accounts.values())

    @property
    def waiting(self) -> int:
        return sum(one.asked for one in self.accounts.values())

    @property
    def running(self) -> int:
        return len(self.accounts) - len(self.tails)

    def open(self, now: int, offset_ms: int) -> None:
        if day_of(now, offset_ms) > self.day:
            self.day, self.day_spent = day_of(now, offset_ms), 0
        if month_of(now, offset_ms) > self.month:
            self.month, self.month_spent = month_of(now, offset_ms), 0
        for execution in [name for name, at in self.tails.items() if at <= now]:
            self.forget(execution)

    def forget(self, execution: str) -> None:
        for some in (self.accounts, self.tails, self.looks):
            some.pop(execution, None)

    def charge(self, one: _One, used: int) -> None:
        fresh = max(0, used - one.charged)
        self.day_spent += fresh
        self.month_spent += fresh
        one.charged += fresh
        one.granted = max(one.granted, one.charged)

    def full(self, units: int, bounds: Limits) -> Full:
        if bounds.month and self.month_spent + units > bounds.month:
            return "month"
        return "day" if bounds.day and self.day_spent + units > bounds.day else ""


class MemoryLedger:
    """See `shared.quota.Ledger` for what each method promises."""

    def __init__(self, *, now_ms: int | None = None) -> None:
        """`now_ms` replaces the clock while it is set."""
        self.now_ms = now_ms
        self._tenants: dict[str, _Tenant] = defaultdict(_Tenant)

    async def admit(self, tenant: str, execution: str, units: int, lines: Limits) -> Answer:
        """See the port."""
        now, book = self._open(tenant, lines.offset_ms)
        if execution in book.accounts:
            return self._answer("", now, book)
        if lines.concurrent and book.running >= lines.concurrent:
            return self._answer("concurrent", now, book)
        full = book.full(book.reserved + book.waiting + units, lines)
        if not full:
            book.accounts[execution] = _One(granted=units)
            book.looks[execution] = now + PENDING_MS
        return self._answer(full, now, book)

    async def top_up(self, tenant: str, execution: str, *, ver: int, used: int, want: int, limits: Limits) -> Answer:
        """See the port."""
        now, book = self._open(tenant, limits.offset_ms)
        one = book.accounts.get(execution)
        if one and ver < one.ver:
            return self._answer("day", now, book)
        if one is None:
            one = book.accounts[execution] = _One(granted=used, charged=used)
            book.looks[execution] = now + LOOK_MS
        if book.tails.pop(execution, None) is not None:
            book.looks[execution] = now + LOOK_MS
        book.charge(one, used)
        one.ver, one.asked = ver, 0
        more = want - one.granted
        full: Full = book.full(book.reserved + more, limits) if more > 0 else ""
        if full:
            one.asked = more
        else:
            one.granted = max(one.granted, want)
        return self._answer(full, now, book)

    async def settle(self, execution: str, account: Account, offset_ms: int) -> Book:
        """See the port."""
        now, book = self._open(account.tenant, offset_ms)
        one = book.accounts.get(execution)
        if one is None or account.ver < one.ver:
            return self._answer("", now, book).book
        book.charge(one, account.used)
        one.ver = account.ver
        if account.over:
            one.granted, one.asked = min(one.granted, one.charged + account.held), 0
            book.looks.pop(execution, None)
            if one.granted == one.charged:
                book.forget(execution)
            else:
                book.tails.setdefault(execution, max(now, account.held_ms) + TAIL_MS)
        else:
            book.tails.pop(execution, None)
            book.looks[execution] = now + LOOK_MS
        return self._answer("", now, book).book

    async def forget(self, tenant: str, execution: str, offset_ms: int) -> Book:
        """See the port."""
        now, book = self._open(tenant, offset_ms)
        book.forget(execution)
        return self._answer("", now, book).book

    async def book(self, tenant: str, offset_ms: int) -> Book:
        """See the port."""
        now, book = self._open(tenant, offset_ms)
        return self._answer("", now, book).book

    async def to_look_at(self, tenants: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
        """See the port."""
        now, found = self._now(), []
        for tenant in tenants:
            due = sorted((at, name) for name, at in self._tenants[tenant].looks.items() if at <= now)
            found += [(tenant, name) for _, name in due[:limit]]
        return found

    def _now(self) -> int:
        return self.now_ms if self.now_ms is not None else time.time_ns() // 1_000_000

    def _open(self, tenant: str, offset_ms: int) -> tuple[int, _Tenant]:
        now, book = self._now(), self._tenants[tenant]
        book.open(now, offset_ms)
        return now, book

    def _answer(self, full: Full, now: int, book: _Tenant) -> Answer:
        found = Book(
            now_ms=now,
            day_spent=book.day_spent,
            month_spent=book.month_spent,
            reserved=book.reserved,
            running=book.running,
            waiting=book.waiting,
        )
        return Answer(full=full, book=found)
