"""quota_settle.lua: SETTLED 0, ABSENT 1, OLD 2."""

from shared.quota import LOOK_MS, TAIL_MS
from shared.redisdb import keys
from tests.support.executions import EXE, NOW
from tests.support.quota import LIMITS, TENANT, TwiceLedger, account
from tests.support.stores import everything


async def test_what_a_running_one_has_used_is_spent(ledger: TwiceLedger) -> None:
    """The rest stays reserved; it is looked at again later."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    book = await ledger.settle(EXE, account(used=7, held=5), 0)
    assert ledger.codes == (0, 0)
    assert (book.day_spent, book.reserved, book.running) == (7, 13, 1)
    assert (await everything(ledger.redis))[keys.quota_looks(TENANT)] == [(EXE.encode(), NOW + LOOK_MS)]


async def test_used_is_counted_from_the_beginning(ledger: TwiceLedger) -> None:
    """So that an older look at the record takes nothing back, and nothing is counted twice."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    await ledger.settle(EXE, account(used=7), 0)
    await ledger.settle(EXE, account(used=9), 0)
    assert (await ledger.settle(EXE, account(used=7), 0)).day_spent == 9


async def test_one_that_is_over_keeps_what_its_messages_may_still_cost(ledger: TwiceLedger) -> None:
    """For two minutes from when the latest of them is delivered; then all is free."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    book = await ledger.settle(EXE, account(used=2, held=5, over=True, held_ms=NOW + 1_000), 0)
    assert (book.day_spent, book.reserved, book.running) == (2, 5, 0)
    ledger.now_ms = NOW + 1_000 + TAIL_MS - 1
    assert (await ledger.book(TENANT, 0)).reserved == 5
    ledger.now_ms = NOW + 1_000 + TAIL_MS
    assert (await ledger.book(TENANT, 0)).reserved == 0
    assert set(await everything(ledger.redis)) == {keys.quota_sums(TENANT)}


async def test_one_that_is_over_and_owes_nothing_goes_at_once(ledger: TwiceLedger) -> None:
    """Nothing is left of it but what it spent."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    book = await ledger.settle(EXE, account(used=2, over=True), 0)
    assert (book.day_spent, book.reserved, book.running) == (2, 0, 0)
    await ledger.settle(EXE, account(used=2, over=True), 0)
    assert ledger.codes == (1, 1)


async def test_a_retry_after_the_end_is_spent_from_what_was_kept(ledger: TwiceLedger) -> None:
    """The sum of both does not change."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    await ledger.settle(EXE, account(used=2, held=5, over=True), 0)
    book = await ledger.settle(EXE, account(used=3, held=4, over=True), 0)
    assert (book.day_spent, book.reserved) == (3, 4)


async def test_more_than_was_reserved_is_told_truly(ledger: TwiceLedger) -> None:
    """It cannot be (a late retry after its two minutes, say); if it is, the sum says so."""
    await ledger.admit(TENANT, EXE, 5, LIMITS)
    book = await ledger.settle(EXE, account(used=7), 0)
    assert (book.day_spent, book.reserved) == (7, 0)


async def test_an_older_look_changes_nothing(ledger: TwiceLedger) -> None:
    """Who looked at the record before it was reopened does not free what it got since."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    await ledger.top_up(TENANT, EXE, ver=9, used=2, want=30, limits=LIMITS)
    before = await everything(ledger.redis)
    await ledger.settle(EXE, account(used=2, ver=8, over=True), 0)
    assert ledger.codes == (2, 2)
    assert await everything(ledger.redis) == before


async def test_what_never_came_to_be_is_forgotten(ledger: TwiceLedger) -> None:
    """Nothing was spent, and nothing is reserved."""
    await ledger.admit(TENANT, EXE, 20, LIMITS)
    book = await ledger.forget(TENANT, EXE, 0)
    assert ledger.codes == (0, 1)
    assert (book.day_spent, book.reserved, book.running) == (0, 0, 0)
