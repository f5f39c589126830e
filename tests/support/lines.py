"""Builders for slots."""

from typing import Any, Protocol

from shared.slot_ports import Answer, Grant, Limit, Slot, Slots, Taken
from tests.support.executions import EXE, NOW

CALL_MS = 40_000
TWO = Limit(name="tool/book_ride", most=2)
RATE = Limit(name="tool/send_message", most=2, period_ms=1_000)


class ClockedSlots(Slots, Protocol):
    """Slots whose clock the test holds."""

    now_ms: int | None


def slot(member: str, *, until_ms: int, execution: str = EXE, **other: Any) -> Slot:
    """A call of the step `ride`."""
    facts: dict[str, Any] = {"tenant": "acme", "step": "ride"} | other
    return Slot(member=member, execution=execution, until_ms=until_ms, **facts)


async def asks(slots: ClockedSlots, member: str, limit: Limit = TWO, *, ms: int = CALL_MS, execution: str = EXE) -> Answer:
    """A member asks for a slot for so long."""
    return await slots.take(limit, slot(member, until_ms=(slots.now_ms or NOW) + ms, execution=execution))


async def fill(slots: ClockedSlots, limit: Limit = TWO, *, ms: int = CALL_MS) -> None:
    """`a` and `b` have the two slots, `c` and `d` wait."""
    for member in "ab":
        assert isinstance(await asks(slots, member, limit, ms=ms), Taken)
    for member in "cd":
        assert not isinstance(await asks(slots, member, limit, ms=ms), Taken)


def members(grants: list[Grant]) -> list[str]:
    """Who was granted a slot."""
    return [grant.member for grant in grants]
