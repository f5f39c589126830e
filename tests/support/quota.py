"""Ledgers that a test holds the clock of, and accounts as records have them."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from shared.quota import Account, Limits
from shared.redisdb.quota import RedisLedger
from tests.support.executions import EXE
from tests.support.stores import Call, everything

TENANT = "acme"
LIMITS = Limits(day=100, month=1_000, concurrent=3)


def account(*, used: int = 0, held: int = 0, ver: int = 1, over: bool = False, held_ms: int = 0, **more: Any) -> Account:
    """What a record says."""
    facts = {"tenant": TENANT, "allow": 20, **more}
    return Account(used=used, held=held, ver=ver, over=over, held_ms=held_ms, **facts)


class TwiceLedger(RedisLedger):
    """Sends every command twice with the same arguments: nothing may change by it."""

    def __init__(self, redis: Redis, *, now_ms: int) -> None:
        """As the ledger's own, with the clock in the test's hands."""
        super().__init__(redis, now_ms=now_ms)
        self.redis = redis
        self.log: list[Call] = []

    @property
    def codes(self) -> tuple[int, int]:
        """The latest command's return codes."""
        return self.log[-1].codes

    async def _run(self, name: str, names: list[str], args: Sequence[Any], *, barrier: bool = False, timed: bool = True) -> Any:
        reply = await super()._run(name, names, args, barrier=barrier, timed=timed)
        once = await everything(self.redis)
        again = await super()._run(name, names, args, barrier=barrier, timed=timed)
        assert await everything(self.redis) == once, f"{name}, sent twice, changed what is stored"
        self.log.append(Call(name, [], list(args), reply, again))
        return reply


__all__ = ["EXE", "LIMITS", "TENANT", "TwiceLedger", "account"]
