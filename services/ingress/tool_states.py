"""`/api/tools/state`: how each tool does: how long its calls take, how its circuit breaker stands, whether it is paused."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge, gate_record
from shared.api.operating import ToolBreaker, ToolLatency, ToolPause, ToolState, ToolStates
from shared.forecast import Usual
from shared.gate_ports import Failures, Gate, Standing, breaker_of, circuit, tenant_gate, tool_gate
from shared.http import Json
from shared.openapi.operations import on
from shared.views import moment


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


def _latency(usual: Usual | None) -> ToolLatency | None:
    if usual is None:
        return None
    p95 = usual.p95_ms if usual.calls else None
    return ToolLatency(
        p50_ms=usual.typical_ms, p95_ms=p95, p99_ms=usual.p99_ms or None, calls=usual.calls, at=moment(usual.at_ms)
    )


def _breaker(name: str, standing: Standing, closed: Mapping[str, int]) -> ToolBreaker:
    gate, counts = standing.closed.get(circuit(name)), standing.failures.get(name, Failures())
    state = _state(gate, standing.now_ms)
    since_ms = gate.since_ms if gate else closed.get(circuit(name))
    return ToolBreaker(
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


def _pause(gate: Gate | None, *, named: bool) -> ToolPause | None:
    if gate is None:
        return None
    return ToolPause(since=moment(gate.since_ms), reason=gate.reason or None, actor=(gate.actor or None) if named else None)


ROUTES: Final = [on("GET", "/api/tools/state", list_states, ToolStates)]
