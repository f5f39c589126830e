"""The ledger on Redis or Valkey: one Lua command a method, all keys of a tenant under its own hash tag."""

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis

from shared.ports import Birth
from shared.quota import LOOK_MS, PENDING_MS, TAIL_MS, Account, Answer, Book, Full, Limits
from shared.redisdb import keys
from shared.redisdb.base import Commanding

_FULL: Final[tuple[Full, ...]] = ("", "day", "month", "concurrent")
_SCRIPTS: Final = ("quota_admit", "quota_top_up", "quota_settle", "quota_book")


class RedisLedger(Commanding):
    """See `shared.quota.Ledger` for what each method promises."""

    def __init__(self, redis: Redis, *, strict: bool = False, now_ms: int | None = None) -> None:
        """`strict`: what is reserved is on disk, so that a failover does not give it twice. `now_ms`: tests only."""
        super().__init__(redis, strict=strict, now_ms=now_ms)
        self.load(*_SCRIPTS)

    async def admit(self, tenant: str, execution: str, units: int, lines: Limits) -> Answer:
        """See the port."""
        return answer_of(await self._run("quota_admit", _names(tenant), _wanted(execution, units, lines), barrier=True))

    async def top_up(self, tenant: str, execution: str, *, ver: int, used: int, want: int, limits: Limits) -> Answer:
        """See the port. What was settled since gets nothing, and says so as a full day."""
        args = [execution, ver, used, want, limits.day, limits.month, LOOK_MS]
        reply = await self._ask("quota_top_up", tenant, limits.offset_ms, args, barrier=True)
        return answer_of([1, *reply[1:]] if reply[0] == 3 else reply)

    async def settle(self, execution: str, account: Account, offset_ms: int) -> Book:
        """See the port."""
        state = "over" if account.over else "live"
        args = [execution, state, account.ver, account.used, account.held, account.held_ms, TAIL_MS, LOOK_MS]
        return answer_of(await self._ask("quota_settle", account.tenant, offset_ms, args)).book

    async def forget(self, tenant: str, execution: str, offset_ms: int) -> Book:
        """See the port."""
        return answer_of(await self._ask("quota_settle", tenant, offset_ms, [execution, "gone", 0, 0, 0, 0, 0, 0])).book

    async def book(self, tenant: str, offset_ms: int) -> Book:
        """See the port."""
        return answer_of(await self._ask("quota_book", tenant, offset_ms, [])).book

    async def to_look_at(self, tenants: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
        """See the port."""
        now = await self.now()
        found = await self._read_all(
            ("ZRANGE", keys.quota_looks(tenant), 0, now, "BYSCORE", "LIMIT", 0, limit) for tenant in tenants
        )
        return [(tenant, name.decode()) for tenant, some in zip(tenants, found, strict=True) for name in some]

    async def _ask(self, name: str, tenant: str, offset_ms: int, args: Sequence[Any], *, barrier: bool = False) -> Any:
        return await self._run(name, _names(tenant), [offset_ms, *args], barrier=barrier)


def _names(tenant: str) -> list[str]:
    return [keys.quota_sums(tenant), keys.quota_accounts(tenant), keys.quota_tails(tenant), keys.quota_looks(tenant)]


def _wanted(execution: str, units: int, lines: Limits) -> list[Any]:
    return [lines.offset_ms, execution, units, lines.day, lines.month, lines.concurrent, PENDING_MS]


def admission(birth: Birth, lines: Limits) -> tuple[list[str], list[Any]]:
    """Keys and arguments of `quota_admit.lua` for what is to be created; `answer_of` reads its reply."""
    units = birth.allowance.units if birth.allowance else 0
    return _names(birth.header.tenant), _wanted(birth.header.id, units, lines)


def answer_of(reply: Sequence[int]) -> Answer:
    """What a script of the ledger says."""
    code, now, day, month, reserved, running, waiting = reply
    book = Book(now_ms=now, day_spent=day, month_spent=month, reserved=reserved, running=running, waiting=waiting)
    return Answer(full=_FULL[code], book=book)
