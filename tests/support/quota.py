"""Ledgers that a test holds the clock of, and accounts as records have them."""

from typing import Any

from shared.quota import Account, Limits
from shared.redisdb.quota import RedisLedger
from tests.support.executions import EXE
from tests.support.stores import Doubled

TENANT = "acme"
LIMITS = Limits(day=100, month=1_000, concurrent=3)


def account(*, used: int = 0, held: int = 0, ver: int = 1, over: bool = False, held_ms: int = 0, **more: Any) -> Account:
    """What a record says."""
    facts = {"tenant": TENANT, "allow": 20, **more}
    return Account(used=used, held=held, ver=ver, over=over, held_ms=held_ms, **facts)


class TwiceLedger(Doubled, RedisLedger):
    """The ledger, every command twice."""


__all__ = ["EXE", "LIMITS", "TENANT", "TwiceLedger", "account"]
