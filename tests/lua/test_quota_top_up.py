"""quota_top_up.lua: GRANTED 0, DAY 1, MONTH 2, OLD 3."""

from shared.quota import Limits
from shared.redisdb import keys
from tests.support.executions import EXE, execution_id
from tests.support.quota import LIMITS, TENANT, TwiceLedger, account
from tests.support.stores import everything


async def test_more_is_reserved(ledger: TwiceLedger) -> None:
    """Up to what is wanted altogether, and what was used is spent."""
    await ledger.admit(TENANT, EXE, 10, LIMITS)
    book = (await ledger.top_up(TENANT, EXE, ver=3, used=9, want=20, limits=LIMITS)).book
    assert ledger.codes == (0, 0)
    assert (book.day_spent, book.month_spent, book.reserved) == (9, 9, 11)


async def test_what_it_has_already_is_granted_again(ledger: TwiceLedger) -> None:
    """The process that asked may have died before it told the record."""
    await ledger.admit(TENANT, EXE, 30, LIMITS)
    assert (await ledger.top_up(TENANT, EXE, ver=3, used=9, want=20, limits=LIMITS)).book.reserved == 21


async def test_a_refusal_is_noted_until_it_is_granted(ledger: TwiceLedger) -> None:
    """It waits, before new work."""
    await ledger.admit(TENANT, EXE, 10, LIMITS)
    await ledger.admit(TENANT, execution_id(2), 90, LIMITS)
    refused = await ledger.top_up(TENANT, EXE, ver=3, used=9, want=20, limits=LIMITS)
    assert (refused.full, ledger.codes) == ("day", (1, 1))
    assert (refused.book.waiting, refused.book.reserved) == (10, 91)
    await ledger.settle(execution_id(2), account(over=True), 0)
    granted = await ledger.top_up(TENANT, EXE, ver=3, used=9, want=20, limits=LIMITS)
    assert (granted.full, granted.book.waiting, granted.book.reserved) == ("", 0, 11)


async def test_a_full_month_refuses_too(ledger: TwiceLedger) -> None:
    """Whatever the day would give."""
    await ledger.admit(TENANT, EXE, 10, LIMITS)
    assert (await ledger.top_up(TENANT, EXE, ver=3, used=0, want=20, limits=Limits(month=19))).full == "month"
    assert ledger.codes == (2, 2)


async def test_new_works_line_is_not_that_of_the_old(ledger: TwiceLedger) -> None:
    """The last tenth of the limit is for what was accepted."""
    await ledger.admit(TENANT, EXE, 90, Limits(day=90))
    assert (await ledger.top_up(TENANT, EXE, ver=1, used=0, want=100, limits=LIMITS)).full == ""


async def test_who_is_settled_gets_nothing(ledger: TwiceLedger) -> None:
    """A late question of an owner that lost its lease."""
    await ledger.admit(TENANT, EXE, 10, LIMITS)
    await ledger.settle(EXE, account(used=2, held=3, ver=7, over=True), 0)
    before = await everything(ledger.redis)
    assert (await ledger.top_up(TENANT, EXE, ver=6, used=2, want=20, limits=LIMITS)).full == "day"
    assert ledger.codes == (3, 3)
    assert await everything(ledger.redis) == before


async def test_who_is_reopened_runs_again(ledger: TwiceLedger) -> None:
    """Its last messages' reserve becomes a part of the new one, and does not lapse."""
    await ledger.admit(TENANT, EXE, 10, LIMITS)
    await ledger.settle(EXE, account(used=2, held=3, ver=7, over=True), 0)
    book = (await ledger.top_up(TENANT, EXE, ver=8, used=2, want=20, limits=LIMITS)).book
    assert (book.running, book.reserved) == (1, 18)
    assert keys.quota_tails(TENANT) not in await everything(ledger.redis)


async def test_who_was_settled_long_ago_opens_a_new_account(ledger: TwiceLedger) -> None:
    """What it used then was counted then."""
    book = (await ledger.top_up(TENANT, EXE, ver=8, used=2, want=20, limits=LIMITS)).book
    assert (book.running, book.reserved, book.day_spent) == (1, 18, 0)
