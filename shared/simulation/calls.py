"""The wire between an executor and a tool: a request lands although its caller died, an answer gets lost, a partner is busy."""

import asyncio
from collections.abc import Callable
from typing import Final

from shared.machine.decision import Start
from shared.machine.events import NotSent, Outcome, Refused, Unanswered
from shared.machine.plan import Contract
from shared.ports import ToolRunner
from shared.simulation import processes
from shared.simulation.faults import Fault, Faults
from shared.simulation.noise import Noise
from shared.simulation.timeline import Timeline

BUSY_FOR_LONG_MS: Final = 20_000
LATE_MS: Final = 1_000
_SPEAKS: Final[dict[str, Outcome]] = {
    "refused": Refused(code="simulated", message="the partner will not"),
    "busy": Refused(code="busy", message="the partner is busy", retryable=True),
    "busy_for_long": Refused(code="busy", message="the partner is closed", retryable=True, retry_after_ms=BUSY_FOR_LONG_MS),
    "not_sent": NotSent(message="no way to the partner"),
}
"""Faults that are an answer, or none was asked for: the tool itself is not called."""


class Wire:
    """A ToolRunner around another: requests travel, and what is on the wire belongs to nobody."""

    def __init__(
        self, inner: ToolRunner, *, contract_of: Callable[[str], Contract], faults: Faults, noise: Noise, timeline: Timeline
    ) -> None:
        """`inner` is the partner: it does what is asked whenever a request lands."""
        self.before: Callable[[Start], None] = lambda _: None
        """Told of each call before it is sent."""
        self.ended: Callable[[Start], None] = lambda _: None
        """Told when nobody waits for the answer any more."""
        self.told: Callable[[Start, Outcome], None] = lambda *_: None
        """Told what a caller was told."""
        self.on_the_way = 0
        self._inner = inner
        self._contract_of = contract_of
        self._faults = faults
        self._noise = noise
        self._timeline = timeline

    async def run(self, start: Start, deadline_s: float) -> Outcome:
        """See `shared.ports.ToolRunner`."""
        processes.must_live()
        self.before(start)
        fault = self._faults.one("call")
        what = f"{'undo of ' if start.undo else 'probe of ' if start.intent.probe else ''}{start.step}"
        self._timeline.say("call", f"{what}, attempt {start.intent.attempt}{f': {fault.kind}' if fault else ''}")
        try:
            outcome = await self._run(start, deadline_s, fault)
        finally:
            self.ended(start)
        self.told(start, outcome)
        self._timeline.say("call", f"{what}, attempt {start.intent.attempt}: {type(outcome).__name__}")
        return outcome

    async def _run(self, start: Start, deadline_s: float, fault: Fault | None) -> Outcome:
        kind = fault.kind if fault else ""
        if kind in _SPEAKS:
            await asyncio.sleep(min(self._noise.net_s(), deadline_s))
            return _SPEAKS[kind]
        silent = kind in {"lost", "landed", "late", "very_late"}
        answer: asyncio.Future[Outcome] | None = None
        if kind != "lost":
            delay_s = self._travel_s(start, kind, fault.ms if fault else 0)
            answer = self._send(start, deadline_s, delay_s)
        if silent or answer is None:
            await asyncio.sleep(
                deadline_s if kind == "lost" or fault is None or not fault.ms else min(fault.ms / 1000, deadline_s)
            )
            return Unanswered(message=f"simulated: {kind}")
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.shield(answer)
        except TimeoutError:
            return Unanswered(message=f"no answer within {deadline_s:.1f} s")

    def _travel_s(self, start: Start, kind: str, slow_ms: int) -> float:
        settle_s = self._contract_of(start.tool).settle_ms / 1000
        way_s = self._noise.net_s()
        match kind:
            case "late":
                return min(way_s + LATE_MS / 1000, settle_s * 0.99)
            case "very_late":
                return settle_s * 0.999
            case "slow":
                return min(slow_ms / 1000, settle_s * 0.99)
            case _:
                return min(way_s, settle_s)

    def _send(self, start: Start, deadline_s: float, delay_s: float) -> "asyncio.Future[Outcome]":
        self.on_the_way += 1
        return processes.outside(self._land(start, deadline_s, delay_s))

    async def _land(self, start: Start, deadline_s: float, delay_s: float) -> Outcome:
        """The request arrives, whoever still cares."""
        try:
            await asyncio.sleep(delay_s)
            outcome = await self._inner.run(start, deadline_s)
            await asyncio.sleep(self._noise.net_s())
            return outcome
        finally:
            self.on_the_way -= 1
