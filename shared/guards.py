"""What stands between a decision and a call: slots under limits, pauses of tools and tenants, circuit breakers."""

from collections.abc import Collection, Mapping
from typing import Protocol

from shared.gates import Gates
from shared.machine.decision import Ask, Start
from shared.machine.events import NotSent, Outcome, Unanswered
from shared.machine.state import Header
from shared.ports import ToolRunner
from shared.slot_ports import Limit, Slot, Slots, Taken


class Guards(Protocol):
    """One for a process."""

    async def look(self) -> None:
        """Learn what is closed, if that was not done just now. Called when a segment begins."""
        ...

    def closed(self, tenant: str, tools: Collection[str], now_ms: int) -> Mapping[str, int]:
        """Which of these tools nobody calls now for this tenant, and until when, unix ms by the store's clock."""
        ...

    async def take(self, ask: Ask, header: Header) -> bool:
        """Whether the call has its slot; else it stands in line, and the grant comes as a signal."""
        ...


class NoGuards:
    """Nothing is limited, nothing closed."""

    async def look(self) -> None:
        """See the port."""

    def closed(self, tenant: str, tools: Collection[str], now_ms: int) -> Mapping[str, int]:  # noqa: ARG002 - the port's
        """See the port."""
        return {}

    async def take(self, ask: Ask, header: Header) -> bool:  # noqa: ARG002 - the port's
        """See the port."""
        return True


class SharedGuards:
    """Slots and gates that all processes share."""

    def __init__(self, slots: Slots, gates: Gates) -> None:
        """`gates` are this process's view of what is closed."""
        self._slots = slots
        self._gates = gates

    async def look(self) -> None:
        """See the port."""
        await self._gates.look()

    def closed(self, tenant: str, tools: Collection[str], now_ms: int) -> Mapping[str, int]:
        """See the port."""
        return self._gates.closed(tenant, tools, now_ms)

    async def take(self, ask: Ask, header: Header) -> bool:
        """See the port."""
        slot = Slot(member=ask.member, tenant=header.tenant, execution=header.id, step=ask.step, until_ms=ask.until_ms)
        answer = await self._slots.take(Limit(name=ask.limit, most=ask.most, period_ms=ask.per_ms), slot)
        return isinstance(answer, Taken)


class Watched:
    """A ToolRunner whose answers the circuit breakers hear of."""

    def __init__(self, tools: ToolRunner, gates: Gates) -> None:
        """`tools` makes the calls."""
        self._tools = tools
        self._gates = gates

    async def run(self, start: Start, deadline_s: float) -> Outcome:
        """See the port. A refusal is an answer; only silence counts against a tool."""
        if self._gates.to_probe(start.tool) and await self._gates.probe(start.tool):
            return NotSent(message=f"somebody else tries whether {start.tool} answers again")
        outcome = await self._tools.run(start, deadline_s)
        await self._gates.report(start.tool, ok=not isinstance(outcome, NotSent | Unanswered))
        return outcome
