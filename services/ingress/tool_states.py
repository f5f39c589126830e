"""`/api/tools/state`: how each tool does: how long its calls take, how its circuit breaker stands, whether it is paused."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge, gate_record
from shared.forecast import Usual
from shared.gate_ports import Failures, Gate, Standing, breaker_of, circuit, tenant_gate, tool_gate
from shared.http import Json
from shared.views import moment


class Latency(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of the latest answered calls (a hundred at most) of the executor that told last. `p99Ms` needs twenty of them."""

    p50_ms: int
    p95_ms: int | None
    p99_ms: int | None
    calls: int
    at: str | None


class Breaker(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The tools of one server share one. `since` is null where nothing is on record; `until` while it is not open."""

    name: str
    state: Literal["closed", "open", "half-open"]
    since: str | None
    until: str | None
    reason: str | None
    times: int
    """How often it has opened without a good call in between."""
    failures_in_a_row: int
    failed: int
    of_calls: int
    """Calls of the present window that were counted: with its first failure it begins."""


class Pause(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who paused is for operators; a tenant sees who paused all its calls."""

    since: str | None
    reason: str | None
    actor: str | None


class ToolState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One tool."""

    name: str
    latency: Latency | None
    breaker: Breaker
    paused: Pause | None


class ToolStates(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of them. `operates`: whether the caller may pause and resume tools; `paused`: all calls of the caller are."""

    at: str | None
    operates: bool
    paused: Pause | None
    tools: tuple[ToolState, ...]


async def list_states(request: Request) -> Response:
    """Every tool that steps can call, from what executors have told: nothing is measured for this answer."""
    deps, tenant = edge.known(request)
    names, store = sorted(deps.registry.contracts()), deps.between.gate_store
    standing = await store.standing(sorted({breaker_of(name) for name in names}))
    lines = gate_record.ordered(await gate_record.whole(store))
    usual, operates = await deps.latencies.all(), tenant in deps.settings.operating_tenants
    closed = _closed_since([line for _, line in lines])
    tools = (
        ToolState(
            name=name,
            latency=_latency(usual.get(name)),
            breaker=_breaker(breaker_of(name), standing, closed),
            paused=_pause(standing.closed.get(tool_gate(name)), named=operates),
        )
        for name in names
    )
    paused = _pause(standing.closed.get(tenant_gate(tenant)), named=True)
    return Json(ToolStates(at=moment(standing.now_ms), operates=operates, paused=paused, tools=tuple(tools)))


def _latency(usual: Usual | None) -> Latency | None:
    if usual is None:
        return None
    p95 = usual.p95_ms if usual.calls else None
    return Latency(p50_ms=usual.typical_ms, p95_ms=p95, p99_ms=usual.p99_ms or None, calls=usual.calls, at=moment(usual.at_ms))


def _breaker(name: str, standing: Standing, closed: Mapping[str, int]) -> Breaker:
    gate, counts = standing.closed.get(circuit(name)), standing.failures.get(name, Failures())
    state = _state(gate, standing.now_ms)
    since_ms = gate.since_ms if gate else closed.get(circuit(name))
    return Breaker(
        name=name,
        state=state,
        since=moment(since_ms),
        until=moment(gate.until_ms) if gate and state == "open" else None,
        reason=(gate.reason or None) if gate else None,
        times=gate.times if gate else 0,
        failures_in_a_row=counts.row,
        failed=counts.bad,
        of_calls=counts.calls,
    )


def _state(gate: Gate | None, now_ms: int) -> Literal["closed", "open", "half-open"]:
    """Half-open: one call tries the tool, or the next one may."""
    if gate is None:
        return "closed"
    return "half-open" if gate.probe or gate.until_ms <= now_ms else "open"


def _closed_since(lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """By circuit, when it was last closed."""
    found: dict[str, int] = {}
    for line in lines:
        if line["what"] in {"closed", "resumed"}:
            found.setdefault(line["gate"], int(line["at_ms"]))
    return found


def _pause(gate: Gate | None, *, named: bool) -> Pause | None:
    if gate is None:
        return None
    return Pause(since=moment(gate.since_ms), reason=gate.reason or None, actor=(gate.actor or None) if named else None)


ROUTES: Final = [Route("/api/tools/state", list_states, methods=["GET"])]
