"""The ledger in memory and the one on Valkey give the same answers to any commands at any times, and keep the invariant."""

from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.quota import DAY_MS, TAIL_MS, Account, Answer, Book, Ledger, Limits
from shared.quota_memory import MemoryLedger
from shared.redisdb.quota import RedisLedger
from tests.support.drawn import drawn
from tests.support.executions import NOW, execution_id

IDS = [execution_id(number) for number in range(4)]
LIMITS = Limits(day=40, month=120, concurrent=3, offset_ms=3_600_000)
LINES = Limits(day=36, month=108, concurrent=3, offset_ms=3_600_000)
TIMES = [1, 60_000, TAIL_MS, 300_000, DAY_MS // 3, DAY_MS, 31 * DAY_MS]


def holds(book: Book) -> None:
    """The invariant, of the day and of the month."""
    assert book.day_spent + book.reserved <= LIMITS.day, book
    assert book.month_spent + book.reserved <= LIMITS.month, book
    assert book.running <= LIMITS.concurrent, book


def _command(draw: st.DrawFn, granted: dict[str, int], vers: dict[str, int]) -> Callable[[Ledger], Awaitable[Any]]:
    """One command, as an engine may send it: nobody has used more than what was reserved for it."""
    execution = draw(st.sampled_from(IDS))
    used = draw(st.integers(0, granted.get(execution, 0)))
    held = draw(st.integers(0, granted.get(execution, 0) - used))
    units, over = draw(st.integers(1, 30)), draw(st.booleans())
    ver = max(0, vers.get(execution, 0) + draw(st.integers(-1, 2)))
    vers[execution] = max(vers.get(execution, 0), ver)
    account = Account(tenant="acme", ver=ver, over=over, allow=0, used=used, held=held, held_ms=NOW)
    match draw(st.sampled_from(["admit", "admit", "top_up", "settle", "settle", "forget", "book", "look"])):
        case "admit":
            return lambda ledger: ledger.admit("acme", execution, units, LINES)
        case "top_up" if execution in granted:
            return lambda ledger: ledger.top_up("acme", execution, ver=ver, used=used, want=used + units, limits=LIMITS)
        case "settle":
            return lambda ledger: ledger.settle(execution, account, LIMITS.offset_ms)
        case "forget":
            return lambda ledger: ledger.forget("acme", execution, LIMITS.offset_ms)
        case "look":
            return lambda ledger: ledger.to_look_at(["acme", "globex"], limit=2)
        case _:
            return lambda ledger: ledger.book("acme", LIMITS.offset_ms)


@drawn(80)
@given(data=st.data())
async def test_both_ledgers_do_the_same_and_never_pass_a_limit(redis: Redis, data: st.DataObject) -> None:
    """With midnights and ends of months between the commands."""
    await redis.flushall()
    memory, real = MemoryLedger(now_ms=NOW), RedisLedger(redis, now_ms=NOW)
    granted: dict[str, int] = {}
    vers: dict[str, int] = {}
    for _ in range(data.draw(st.integers(5, 60))):
        if data.draw(st.integers(0, 3)) == 0:
            memory.now_ms = real.now_ms = (real.now_ms or NOW) + data.draw(st.sampled_from(TIMES))
        command = data.draw(st.composite(_command)(granted, vers))
        ours, theirs = await command(memory), await command(real)
        assert ours == theirs
        granted = {name: one.granted for name, one in memory._tenants["acme"].accounts.items()}
        if isinstance(ours, Answer):
            holds(ours.book)
        if isinstance(ours, Book):
            holds(ours)
