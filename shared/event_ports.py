"""Events by key: what is published under a name and a key reaches every execution that waits for it, whichever came first."""

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from shared.errors import BadRequest, TooLarge
from shared.machine.plan import EVENT_KEY_MOST, EVENT_NAME
from shared.redisdb import keys

EARLY_MS: Final = 86_400_000
"""How long an event waits for executions that have not begun to wait for it."""
KEPT_MS: Final = 2 * EARLY_MS
"""How long its data is there for deliveries that could not be made at once."""
EVENTS_MOST: Final = 100
"""Events of one name and key within EARLY_MS."""
WAITERS_MOST: Final = 1_000
"""Executions that wait for one name and key at a time."""
DATA_MOST: Final = 65_536
"""Bytes of an event's data as JSON."""
WAIT_MOST_MS: Final = 366 * 86_400_000
"""A wait without a time-out is forgotten after a year."""
GONE_MS: Final = 86_400_000
"""How long a late subscription of a waiter that left is refused."""
RELAY_MS: Final = 2_000
"""Whoever finds a match delivers it at once; a relay does it this much later if that failed."""

NAME: Final = re.compile(EVENT_NAME)
KEY_MOST: Final = EVENT_KEY_MOST
ID_MOST: Final = 255


class NamedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored, and as an execution gets it (`payload`)."""

    id: str
    tenant: str
    name: str
    key: str
    data: Any = None

    @property
    def sid(self) -> str:
        """The id of the signal that it becomes: the same event reaches an execution once."""
        return f"event:{keys.identity(self.tenant, self.name, self.key)}:{self.id}"

    @property
    def payload(self) -> dict[str, Any]:
        """What the signal carries."""
        return {"name": self.name, "key": self.key, "data": self.data, "id": self.id}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event that has to reach one waiter. Stays pending until it is done, whoever dies."""

    mark: str
    """Its name in the store."""
    execution: str
    wait_id: str
    event: NamedEvent


class Events(Protocol):
    """Where publishing and waiting meet. Each method is one atomic command and may be sent twice.

    Every pair of a waiter and an event that it may have becomes a delivery exactly once; a delivery is made at least once.
    """

    async def publish(self, event: NamedEvent) -> list[Delivery]:
        """Durable when it returns. The deliveries of this event that are not done, also when it was published before.

        Conflict: the id stands for another event of this name and key. TooMany: EVENTS_MOST are there already.
        """
        ...

    async def subscribe(
        self, tenant: str, name: str, key: str, *, execution: str, wait_id: str, until_ms: int
    ) -> list[Delivery]:
        """Wait from now on (`until_ms`: unix ms; 0 = no time-out). The deliveries of this waiter that are not done.

        Events of the last EARLY_MS are among them. Who left for good gets nothing. TooMany: WAITERS_MOST wait already.
        """
        ...

    async def unsubscribe(
        self, tenant: str, name: str, key: str, *, execution: str, wait_id: str, stays_away: bool = True
    ) -> None:
        """Wait no longer, and drop what was not delivered. `stays_away`: a subscription of it that comes late is refused."""
        ...

    async def pending(self) -> list[str]:
        """Tags with deliveries whose relay time has come."""
        ...

    async def claim(self, tag: str, *, limit: int, claim_ms: int) -> list[Delivery]:
        """Deliveries whose relay time has come, for this relay alone until the claim lapses."""
        ...

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """These were made."""
        ...

    async def later(self, delivery: Delivery, *, in_ms: int) -> None:
        """This one could not be made: again after so long."""
        ...


def check(event: NamedEvent) -> None:
    """BadRequest or TooLarge, with the place, for what could not be stored."""
    check_address(event.name, event.key)
    if not 0 < len(event.id) <= ID_MOST or not event.id.isprintable():
        raise BadRequest(f"$.id: give 1 to {ID_MOST} printable characters", at="$.id")
    size = len(msgspec.json.encode(event.data))
    if size > DATA_MOST:
        raise TooLarge(f"$.data: {size} bytes of JSON; an event takes {DATA_MOST}", at="$.data", limit=DATA_MOST)


def check_address(name: str, key: str) -> None:
    """BadRequest for a name or a key that no event has."""
    if not NAME.match(name):
        raise BadRequest(f"{name[:40]!r} is no name of an event: up to 100 letters, digits and _ . : -", at="name")
    if len(key) > KEY_MOST or not (key.isprintable() or not key):
        raise BadRequest(f"$.key: give up to {KEY_MOST} printable characters", at="$.key")


def waiter_of(execution: str, wait_id: str) -> str:
    """How a waiter is written down; ValueError for what is no execution id."""
    keys.partition_of(execution)
    return f"{execution}/{wait_id}"
