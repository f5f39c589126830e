"""Slots: at most so many calls under a limit at a time, or so many in any period, over all executions and processes.

A slot belongs to a *member*: one attempt of one step (`<effect key>.<attempt>`), so that a late repeat of giving one back never
frees the slot of the next attempt.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import msgspec

GRANT_MS: Final = 120_000
"""How long a slot is kept for a member that waited, until its execution is awake and takes it."""
RELAY_MS: Final = 2_000
"""Whoever frees a slot tells the next member at once; a relay does it this much later if that failed."""
NAME_MOST: Final = 512


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How many members may have a slot. The latest that was asked under counts for those who wait."""

    name: str
    """Scoped by whoever declares it: `of_tenant` for a plan's, `of_tool` for a tool's."""
    most: int
    period_ms: int = 0
    """0: as many at a time. Else as many in any period of so long: a slot comes back then and cannot be given back."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a slot, and whom to tell if it must wait."""

    member: str
    tenant: str
    execution: str
    step: str
    until_ms: int
    """Unix ms by the store's clock: when the call has happened or never will (an intent's `settle_at_ms`). A dead holder's slot
    comes back then and not before. Of no account under a limit by period."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The member has a slot until `until_ms`."""

    until_ms: int


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """None is free: first come, first served. The grant comes as a signal; the member takes the slot again then."""

    position: int
    """1 is next."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A slot was kept for a member that waited; its execution has to be told. Stays pending until it is done."""

    mark: str
    """Its name in the store."""
    identity: str
    """The limit's."""
    name: str
    member: str
    tenant: str
    execution: str
    step: str
    at_ms: int
    until_ms: int
    """Until when the slot is kept for it."""

    @property
    def sid(self) -> str:
        """The id of the signal that it becomes: a member that is granted a slot again is told again."""
        return f"slot:{self.member}:{self.at_ms}"

    @property
    def payload(self) -> dict[str, Any]:
        """What the signal carries."""
        return {"step": self.step, "key": self.name, "member": self.member}


Answer: TypeAlias = Taken | Queued


class Slots(Protocol):
    """Each method is one atomic command on one limit and may be sent twice. More than `most` members never have a slot."""

    async def take(self, limit: Limit, slot: Slot) -> Answer:
        """A slot, or a place in the queue. Who has one, or was granted one, keeps it for `until_ms` from now on.

        Under a limit by period it keeps it for a whole period from now on. Conflict: `until_ms` is over.
        """
        ...

    async def give(self, limit: Limit, member: str, *, until_ms: int = 0) -> list[Grant]:
        """Give the slot back, or leave the queue; who gets it. `until_ms`: only what was taken for no longer than that."""
        ...

    async def sweep(self, tag: str, *, limit: int) -> list[Grant]:
        """Free what has run out at limits where somebody waits; who gets it."""
        ...

    async def pending(self) -> list[str]:
        """Tags with slots that have run out while somebody waits, or with grants whose relay time has come."""
        ...

    async def claim(self, tag: str, *, limit: int, claim_ms: int) -> list[Grant]:
        """Grants whose relay time has come, for this relay alone until the claim lapses."""
        ...

    async def refuse(self, grant: Grant) -> list[Grant]:
        """The member's execution is over: its slot goes to the next."""
        ...

    async def done(self, grants: Sequence[Grant]) -> None:
        """Their executions know."""
        ...

    async def later(self, grant: Grant, *, in_ms: int) -> None:
        """Tell this one again after so long."""
        ...


def of_tenant(tenant: str, name: str) -> str:
    """The name of a limit that a plan declares: no tenant waits for another's."""
    return f"tenant/{tenant}/{name}"


def of_tool(tool: str) -> str:
    """The name of a tool's own limit: over all tenants."""
    return f"tool/{tool}"


def check(limit: Limit) -> None:
    """ValueError for what is no limit."""
    if not 0 < len(limit.name) <= NAME_MOST or limit.most < 1 or limit.period_ms < 0:
        raise ValueError(f"{limit} is no limit: a name of up to {NAME_MOST} characters, most >= 1, period_ms >= 0")
