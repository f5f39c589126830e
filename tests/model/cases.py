"""The configurations that the amended protocol is searched in: those of every test run, and the long ones."""

from typing import NamedTuple

from tests.model.protocol import NO_FAULTS, Protocol
from tests.model.state import Budget

CANCEL, EVENT, BOTH = ("cancel",), ("event",), ("cancel", "event")


class Case(NamedTuple):
    """A plan, the faults it may meet, what clients send to it, and how many states that makes (0: not counted)."""

    plan: str
    budget: Budget = NO_FAULTS
    clients: tuple[str, ...] = ()
    states: int = 0

    def __str__(self) -> str:
        faults = (f"{n} {name}" for name, n in self.budget._asdict().items() if n)
        return f"{self.plan}: {', '.join([*faults, *self.clients]) or 'no faults'}"

    def protocol(self) -> Protocol:
        """Return the model, with every guard."""
        return Protocol(self.plan, self.budget, self.clients)


SHORT = (
    Case("II", states=390),
    Case("IU", Budget(crash=2, drop=2), states=36_866),
    Case("U", Budget(crash=2, duplicate=2, drop=2), states=23_715),
    Case("II", Budget(duplicate=1, drop=1), states=3_220),
    Case("I", Budget(crash=1, refuse=2), states=1_190),
    Case("IF", Budget(refuse=1), states=9_617),
    Case("I", Budget(crash=1, expire=1, resend=1), states=28_042),
    Case("U", Budget(crash=1, expire=1, resend=1), states=20_601),
    Case("P", Budget(crash=1, expire=1, resend=1), states=23_306),
    Case("I", Budget(crash=1, expire=1), CANCEL, states=56_927),
    Case("P", Budget(crash=1), CANCEL, states=9_018),
    Case("U", Budget(crash=1), CANCEL, states=8_109),
    Case("II", clients=CANCEL, states=7_117),
    Case("W", Budget(crash=1), BOTH, states=32_667),
    Case("IW", clients=BOTH, states=13_551),
    Case("IWI", Budget(crash=1, drop=1), EVENT, states=27_670),
    Case("IU", Budget(failover=1), states=6_015),
    Case("I", Budget(failover=1), CANCEL, states=8_838),
    Case("U", Budget(failover=1), CANCEL, states=8_242),
    Case("P", Budget(failover=1), CANCEL, states=8_834),
    Case("W", Budget(failover=1, expire=1), EVENT, states=24_574),
    Case("U", Budget(expire=1, resend=1, failover=1), states=48_885),
)
LONG = (
    Case("PF", Budget(crash=1, expire=1)),
    Case("W", Budget(crash=1, duplicate=1), BOTH),
    Case("IF", Budget(crash=2)),
    Case("IF", Budget(crash=1, refuse=2)),
    Case("IIF", Budget(crash=1)),
    Case("IU", Budget(crash=2, duplicate=2)),
    Case("IUI", Budget(crash=1, duplicate=1, drop=1)),
    Case("II", Budget(crash=1, expire=1, resend=1)),
    Case("IP", Budget(crash=1, expire=1, resend=1)),
    Case("II", Budget(crash=1), CANCEL),
    Case("IW", Budget(crash=1), BOTH),
    Case("I", Budget(crash=1, expire=1, resend=1), CANCEL),
    Case("P", Budget(crash=1, expire=1, resend=1), CANCEL),
    Case("U", Budget(crash=1, expire=1, resend=1), CANCEL),
    Case("I", Budget(expire=1, failover=1), CANCEL),
    Case("IM", Budget(failover=1)),
    Case("W", Budget(failover=1), BOTH),
    Case("II", Budget(failover=1), CANCEL),
    Case("PI", Budget(failover=1), CANCEL),
    Case("IW", Budget(failover=1), BOTH),
)
