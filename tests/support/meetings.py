"""Builders for events by key."""

from typing import Any, Protocol

from shared.event_ports import Delivery, Events, NamedEvent
from tests.support.executions import EXE, NOW


class ClockedEvents(Events, Protocol):
    """Events whose clock the test holds."""

    now_ms: int | None


def event(number: int | str = 1, **other: Any) -> NamedEvent:
    """An order is paid."""
    facts: dict[str, Any] = {"tenant": "acme", "name": "order.paid", "key": "17", "data": {"number": number}}
    return NamedEvent(id=f"evt_{number}", **(facts | other))


async def waits(
    events: Events,
    execution: str = EXE,
    wait_id: str = "w",
    *,
    until_ms: int = 0,
    tenant: str = "acme",
    name: str = "order.paid",
    key: str = "17",
) -> list[Delivery]:
    """An execution begins to wait for that order."""
    return await events.subscribe(tenant, name, key, execution=execution, wait_id=wait_id, until_ms=until_ms)


async def leaves(events: Events, execution: str = EXE, wait_id: str = "w", *, stays_away: bool = True) -> None:
    """It waits no longer."""
    await events.unsubscribe("acme", "order.paid", "17", execution=execution, wait_id=wait_id, stays_away=stays_away)


def told(deliveries: list[Delivery]) -> list[tuple[str, str, str]]:
    """Who gets what."""
    return [(one.execution, one.wait_id, one.event.id) for one in deliveries]


def pass_time(clocked: Any, ms: int) -> None:
    """Let `ms` pass."""
    clocked.now_ms = (clocked.now_ms or NOW) + ms
