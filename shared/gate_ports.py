"""Gates: what may not be called now. A person pauses a tool or a tenant; failures open a tool's circuit breaker.

A gate is closed while it is stored; what is not stored is open.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

AUDIT_MOST: Final = 1_000


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Something closed."""

    since_ms: int
    until_ms: int = 0
    """Unix ms; 0: until a person opens it. A circuit whose time has come lets one call probe the tool."""
    reason: str = ""
    actor: str = ""
    """Who paused it; empty for a circuit."""
    times: int = 0
    """How often a circuit has opened without a good call in between."""
    probe: str = ""
    """Whose call probes the tool until `until_ms`; empty if nobody's."""


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """What counts against a tool whose circuit is closed."""

    row: int = 0
    """Calls that failed since the latest good one that was told."""
    calls: int = 0
    """Calls of the window that began with a failure; good ones are told with the next failure."""
    bad: int = 0
    """How many of these failed."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands at one moment of the store's clock."""

    now_ms: int
    closed: Mapping[str, Gate]
    failures: Mapping[str, Failures]
    """By tool, of those that were asked about."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """When a circuit opens, and for how long."""

    in_a_row: int = 5
    """So many failures without a good call in between, or"""
    calls: int = 20
    """of at least so many calls"""
    percent: int = 50
    """so many failed,"""
    window_ms: int = 30_000
    """within so long."""
    open_ms: int = 10_000
    """Doubled with each probe that fails,"""
    open_most_ms: int = 300_000
    """up to this."""
    probe_ms: int = 30_000
    """How long a probe is waited for; then another call may try."""


class GateStore(Protocol):
    """What all processes see. Each method is one atomic command and may be sent twice."""

    async def closed(self) -> Mapping[str, Gate]:
        """All that is closed, by the names below."""
        ...

    async def standing(self, tools: Sequence[str]) -> Standing:
        """All that is closed, and what counts against these (names of `breaker_of`)."""
        ...

    async def failed(self, tool: str, *, report: str, successes: int) -> Gate | None:
        """A call failed (the tool did not answer, or is broken): counted once for a `report`. The circuit, if it is open now.

        `successes`: good calls of this process since its last report; they count with it.
        """
        ...

    async def succeeded(self, tool: str) -> None:
        """A call went well: closes a circuit that was probed, and ends the row of failures."""
        ...

    async def probe(self, tool: str, *, token: str) -> int:
        """0: call it now (the circuit lets this one probe, or is closed again). Else unix ms: not before that."""
        ...

    async def pause(self, name: str, *, actor: str, reason: str) -> Gate:
        """Close it until somebody resumes it; audited."""
        ...

    async def resume(self, *names: str, actor: str, reason: str) -> int:
        """Open these; how many were closed. Audited. A circuit forgets its failures."""
        ...

    async def audit(self, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """Who paused and resumed what (at_ms, what, gate, actor, reason), the latest first."""
        ...

    async def trips(self, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """Which circuits opened and closed by themselves (at_ms, what, gate, reason), the latest first.

        A record of its own: a partner that fails all day must not push out what people did.
        """
        ...


def tool_gate(tool: str) -> str:
    """The name of a tool's pause, for everybody."""
    return f"tool:{tool}"


def tenant_gate(tenant: str) -> str:
    """The name of a tenant's pause."""
    return f"tenant:{tenant}"


def breaker_of(tool: str) -> str:
    """Whose failures count together: the tools of one server, `server.tool`, are away together."""
    return tool.partition(".")[0]


def circuit(tool: str) -> str:
    """The name of a tool's circuit breaker."""
    return f"circuit:{breaker_of(tool)}"
