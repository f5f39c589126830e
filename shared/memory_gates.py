"""Gates without a server: every answer as the Lua commands give them. Nothing survives the process."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.gate_ports import AUDIT_MOST, Failures, Gate, Policy, Standing, circuit


@dataclass
class _Failures:
    start_ms: int
    last_ms: int
    row: int = 0
    calls: int = 0
    bad: int = 0
    reports: list[str] = field(default_factory=list)


class MemoryGates:
    """See `shared.gate_ports.GateStore` for what each method promises."""

    def __init__(self, policy: Policy, *, now_ms: int | None = None) -> None:
        """`now_ms` replaces the clock while it is set."""
        self.now_ms = now_ms
        self._policy = policy
        self._closed: dict[str, Gate] = {}
        self._failures: dict[str, _Failures] = {}
        self._audit: list[dict[str, Any]] = []
        self._trips: list[dict[str, Any]] = []

    def _now(self) -> int:
        return self.now_ms if self.now_ms is not None else time.time_ns() // 1_000_000

    async def closed(self) -> Mapping[str, Gate]:
        """See the port."""
        return dict(self._closed)

    async def standing(self, tools: Sequence[str]) -> Standing:
        """See the port."""
        return Standing(now_ms=self._now(), closed=dict(self._closed), failures={tool: self._against(tool) for tool in tools})

    def _against(self, tool: str) -> Failures:
        found, now = self._failures.get(tool), self._now()
        if found is None or now - found.last_ms >= self._policy.window_ms:
            return Failures()
        if now - found.start_ms >= self._policy.window_ms:
            return Failures(row=found.row)
        return Failures(row=found.row, calls=found.calls, bad=found.bad)

    async def failed(self, tool: str, *, report: str, successes: int) -> Gate | None:
        """See the port."""
        now, gate = self._now(), self._closed.get(circuit(tool))
        if gate and gate.until_ms > now and not gate.probe:
            return gate
        if gate:
            return self._open(tool, gate.since_ms, gate.times + 1, gate.reason)
        found = self._failures.get(tool)
        if found is None or now - found.last_ms >= self._policy.window_ms:
            found = self._failures[tool] = _Failures(start_ms=now, last_ms=now)
        if report in found.reports:
            return None
        found.row = 1 if successes else found.row + 1
        if now - found.start_ms >= self._policy.window_ms:
            found.calls, found.bad, found.start_ms = 0, 0, now
        found.calls, found.bad = found.calls + successes + 1, found.bad + 1
        found.last_ms = now
        found.reports.append(report)
        return self._judged(tool, found)

    def _judged(self, tool: str, found: _Failures) -> Gate | None:
        if found.row >= self._policy.in_a_row:
            return self._open(tool, self._now(), 1, f"{found.row} calls in a row failed")
        if found.calls >= self._policy.calls and found.bad * 100 >= found.calls * self._policy.percent:
            return self._open(tool, self._now(), 1, f"{found.bad} of {found.calls} calls failed")
        return None

    def _open(self, tool: str, since_ms: int, times: int, reason: str) -> Gate:
        ms = min(self._policy.open_most_ms, self._policy.open_ms * 2 ** (times - 1))
        gate = Gate(since_ms=since_ms, until_ms=self._now() + ms, times=times, reason=reason)
        self._closed[circuit(tool)] = gate
        self._failures.pop(tool, None)
        if times == 1:
            self._trip("opened", tool, reason)
        return gate

    async def succeeded(self, tool: str) -> None:
        """See the port."""
        gate = self._closed.get(circuit(tool))
        if gate and gate.until_ms > self._now() and not gate.probe:
            return
        if gate:
            del self._closed[circuit(tool)]
            self._failures.pop(tool, None)
            self._trip("closed", tool, "a call went well")
        elif tool in self._failures:
            self._failures[tool].row = 0

    async def probe(self, tool: str, *, token: str) -> int:
        """See the port."""
        now, gate = self._now(), self._closed.get(circuit(tool))
        if gate is None or (gate.until_ms > now and gate.probe == token):
            return 0
        if gate.until_ms > now:
            return gate.until_ms
        self._closed[circuit(tool)] = msgspec.structs.replace(gate, probe=token, until_ms=now + self._policy.probe_ms)
        return 0

    async def pause(self, name: str, *, actor: str, reason: str) -> Gate:
        """See the port."""
        known = self._closed.get(name)
        if known and (known.actor, known.reason) == (actor, reason):
            return known
        self._closed[name] = Gate(since_ms=known.since_ms if known else self._now(), actor=actor, reason=reason)
        self._tell("paused", name, actor, reason)
        return self._closed[name]

    async def resume(self, *names: str, actor: str, reason: str) -> int:
        """See the port."""
        gone = [name for name in names if self._closed.pop(name, None)]
        for name in gone:
            self._tell("resumed", name, actor, reason)
        for name in names:
            self._failures.pop(name.removeprefix(circuit("")), None)
        return len(gone)

    async def audit(self, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        return self._audit[: -limit - 1 : -1]

    async def trips(self, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        return self._trips[: -limit - 1 : -1]

    def _trip(self, what: str, tool: str, reason: str) -> None:
        self._trips.append({"at_ms": self._now(), "what": what, "gate": circuit(tool), "reason": reason})
        del self._trips[:-AUDIT_MOST]

    def _tell(self, what: str, gate: str, actor: str, reason: str) -> None:
        self._audit.append({"at_ms": self._now(), "what": what, "gate": gate, "actor": actor, "reason": reason})
        del self._audit[:-AUDIT_MOST]
