"""quota_book.lua: how a tenant stands."""

from shared.quota import Book
from tests.support.executions import EXE, NOW
from tests.support.quota import LIMITS, TENANT, TwiceLedger, account


async def test_an_unknown_tenant_has_spent_nothing(ledger: TwiceLedger) -> None:
    """All zeros, and the server's time."""
    assert await ledger.book("globex", 0) == Book(now_ms=NOW)
    assert ledger.codes == (0, 0)


async def test_it_tells_what_was_spent_reserved_and_asked_for(ledger: TwiceLedger) -> None:
    """Of the tenant alone."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    await ledger.settle(EXE, account(used=4), 0)
    await ledger.top_up(TENANT, EXE, ver=1, used=4, want=200, limits=LIMITS)
    assert await ledger.book(TENANT, 0) == Book(now_ms=NOW, day_spent=4, month_spent=4, reserved=16, running=1, waiting=180)


async def test_accounts_are_looked_at_when_their_time_has_come(ledger: TwiceLedger) -> None:
    """The longest due first, no more than asked for."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    assert await ledger.to_look_at([TENANT], limit=9) == []
    ledger.now_ms = NOW + 120_000
    assert await ledger.to_look_at([TENANT], limit=9) == [(TENANT, EXE)]
    assert await ledger.to_look_at(["globex", TENANT], limit=9) == [(TENANT, EXE)]
    assert await ledger.to_look_at(["globex"], limit=9) == []
