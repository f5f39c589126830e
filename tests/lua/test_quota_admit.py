"""quota_admit.lua: ADMITTED 0, DAY 1, MONTH 2, CONCURRENT 3; and ledger.lua, which all of the ledger's commands share."""

from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from shared.quota import DAY_MS, PENDING_MS, Limits, month_of
from shared.redisdb import keys
from shared.redisdb.quota import RedisLedger
from tests.support.executions import EXE, NOW, execution_id
from tests.support.quota import LIMITS, TENANT, TwiceLedger, account
from tests.support.stores import everything

OTHER = execution_id(2)


async def test_what_is_admitted_is_reserved_once(ledger: TwiceLedger) -> None:
    """And looked at before long: it may never be created."""
    answer = await ledger.admit(TENANT, EXE, 12, LIMITS)
    assert (answer.full, ledger.codes) == ("", (0, 0))
    assert (answer.book.reserved, answer.book.running, answer.book.day_spent) == (12, 1, 0)
    found = await everything(ledger.redis)
    assert found[keys.quota_accounts(TENANT)] == {EXE.encode(): b"12:0:0:0"}
    assert found[keys.quota_looks(TENANT)] == [(EXE.encode(), NOW + PENDING_MS)]


async def test_admitted_again_it_keeps_what_it_has(ledger: TwiceLedger) -> None:
    """Also with other numbers, and when nobody else would be admitted."""
    await ledger.admit(TENANT, EXE, 100, LIMITS)
    assert (await ledger.admit(TENANT, EXE, 50, LIMITS)).book.reserved == 100


async def test_a_full_day_refuses_and_stores_nothing(ledger: TwiceLedger) -> None:
    """Up to the line it fits, and not one more."""
    await ledger.admit(TENANT, EXE, 60, LIMITS)
    before = await everything(ledger.redis)
    assert (await ledger.admit(TENANT, OTHER, 41, LIMITS)).full == "day"
    assert ledger.codes == (1, 1)
    assert await everything(ledger.redis) == before
    assert (await ledger.admit(TENANT, OTHER, 40, LIMITS)).full == ""


async def test_a_full_month_is_told_before_a_full_day(ledger: TwiceLedger) -> None:
    """It is the one that takes longer."""
    assert (await ledger.admit(TENANT, EXE, 11, Limits(day=10, month=10))).full == "month"
    assert ledger.codes == (2, 2)


async def test_no_more_run_at_once_than_may(ledger: TwiceLedger) -> None:
    """Those that are over do not count, though their messages may still cost something."""
    for number in range(3):
        await ledger.admit(TENANT, execution_id(number), 5, LIMITS)
    assert (await ledger.admit(TENANT, execution_id(3), 1, LIMITS)).full == "concurrent"
    assert ledger.codes == (3, 3)
    book = await ledger.settle(execution_id(0), account(used=1, held=2, over=True), 0)
    assert (book.running, book.reserved) == (2, 12)
    assert (await ledger.admit(TENANT, execution_id(3), 1, LIMITS)).full == ""


async def test_no_limit_refuses_nothing(ledger: TwiceLedger) -> None:
    """But all is counted."""
    assert (await ledger.admit(TENANT, EXE, 10**6, Limits())).book.reserved == 10**6


async def test_what_others_wait_for_is_not_given_to_new_work(ledger: TwiceLedger) -> None:
    """A refused top-up comes first."""
    await ledger.admit(TENANT, EXE, 50, LIMITS)
    assert (await ledger.top_up(TENANT, EXE, ver=1, used=0, want=101, limits=LIMITS)).book.waiting == 51
    assert (await ledger.admit(TENANT, OTHER, 1, LIMITS)).full == "day"


async def test_each_tenant_has_its_own(ledger: TwiceLedger) -> None:
    """Another's full day is no concern."""
    await ledger.admit(TENANT, EXE, 100, LIMITS)
    assert (await ledger.admit("globex", OTHER, 100, LIMITS)).full == ""


async def test_a_new_day_begins_with_what_is_reserved(ledger: TwiceLedger) -> None:
    """What was spent yesterday is over; what may still be spent is not. The month goes on."""
    await ledger.admit(TENANT, EXE, 60, LIMITS)
    await ledger.settle(EXE, account(used=40), 0)
    ledger.now_ms = NOW + DAY_MS
    answer = await ledger.admit(TENANT, OTHER, 81, LIMITS)
    assert (answer.full, answer.book.day_spent, answer.book.month_spent, answer.book.reserved) == ("day", 0, 40, 20)
    assert (await ledger.admit(TENANT, OTHER, 80, LIMITS)).full == ""


async def test_a_clock_that_goes_back_begins_no_day(ledger: TwiceLedger) -> None:
    """A replica's clock may be behind: what is spent stays spent."""
    await ledger.admit(TENANT, EXE, 60, LIMITS)
    await ledger.settle(EXE, account(used=40), 0)
    ledger.now_ms = NOW - DAY_MS
    assert (await ledger.book(TENANT, 0)).day_spent == 40


@pytest.mark.parametrize("offset_ms", [0, 5 * 3_600_000, -11 * 3_600_000])
async def test_days_and_months_are_the_calendars(redis: Redis, offset_ms: int) -> None:
    """Of forty years: the script's month is that of the calendar, leap years and all."""
    ledger = RedisLedger(redis)
    for day in range(0, 40 * 365, 29):
        ledger.now_ms = NOW + day * DAY_MS
        await ledger.book(TENANT, offset_ms)
        sums: Any = await cast("Any", redis).hgetall(keys.quota_sums(TENANT))
        assert int(sums[b"month"]) == month_of(ledger.now_ms, offset_ms)
        at = datetime.fromtimestamp((ledger.now_ms + offset_ms) / 1000, UTC)
        assert int(sums[b"day"]) == (at - datetime(1970, 1, 1, tzinfo=UTC)).days


async def test_the_day_begins_where_the_setting_says(ledger: TwiceLedger) -> None:
    """At NOW it is eight in the morning in UTC; with an offset of 16 hours the new day has just begun."""
    bounds = msgspec.structs.replace(LIMITS, offset_ms=16 * 3_600_000 - 1)
    await ledger.admit(TENANT, EXE, 60, bounds)
    await ledger.settle(EXE, account(used=40), bounds.offset_ms)
    assert (await ledger.book(TENANT, bounds.offset_ms)).day_spent == 40
    ledger.now_ms = NOW + 1
    assert (await ledger.book(TENANT, bounds.offset_ms)).day_spent == 0
