"""`/api/gates`: what may not be called now, and a person's hand on it. Every pause and resume is on record."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared.api import operating
from shared.api.bodies import GateReason
from shared.errors import Forbidden, NotFound
from shared.gate_ports import Gate, breaker_of, circuit, tenant_gate, tool_gate
from shared.http import Json, decode
from shared.logs import get_logger
from shared.openapi.operations import on
from shared.views import moment

log = get_logger()
AUDIT_SHOWN: Final = 100


_why = msgspec.json.Decoder(GateReason)


async def list_gates(request: Request) -> Response:
    """Tools that are paused or whose circuit is open, and the caller's own pause; an operator sees every tenant's."""
    deps, tenant = edge.known(request)
    closed = await deps.between.gate_store.closed()
    lines = await deps.between.gate_store.audit(limit=AUDIT_SHOWN)
    everything = _operates(deps, tenant)
    shown = [(name, gate) for name, gate in sorted(closed.items()) if everything or _shown(name, tenant)]
    gates = tuple(_view(name, gate, all_of_it=everything) for name, gate in shown)
    audit = tuple(_line(line) for line in lines if everything or line["gate"] == tenant_gate(tenant))
    return Json(operating.Gates(gates=gates, audit=audit))


async def pause_tool(request: Request) -> Response:
    """No new call of this tool, for anybody. What runs goes on; who needs it waits."""
    deps, tenant, tool = _operator(request)
    return await _pause(deps, request, tool_gate(tool), tenant)


async def resume_tool(request: Request) -> Response:
    """Call it again; an open circuit is closed too, also by the name of the server whose tools share it."""
    deps, tenant, tool = _operator(request, servers=True)
    return await _resume(deps, request, (tool_gate(tool), circuit(tool)), tenant)


async def pause_tenant(request: Request) -> Response:
    """No new call of any tool for the caller's own executions."""
    deps, tenant = edge.known(request)
    return await _pause(deps, request, tenant_gate(tenant), tenant)


async def resume_tenant(request: Request) -> Response:
    """They go on."""
    deps, tenant = edge.known(request)
    return await _resume(deps, request, (tenant_gate(tenant),), tenant)


def _operator(request: Request, *, servers: bool = False) -> tuple[Deps, str, str]:
    """An operator's word about a tool that is there, or about a server whose tools are."""
    deps, tenant = edge.known(request)
    if not _operates(deps, tenant):
        raise Forbidden("a tool is everybody's: only a tenant of the setting OPERATORS pauses or resumes it")
    tool = request.path_params["tool"]
    if deps.registry.get(tool) is None and not (servers and tool in map(breaker_of, deps.registry.contracts())):
        raise NotFound(f"there is no tool {tool[:80]!r}: GET /api/tools lists them")
    return deps, tenant, tool


def _operates(deps: Deps, tenant: str) -> bool:
    return tenant in deps.settings.operating_tenants


async def _reason(deps: Deps, request: Request) -> str:
    return decode(_why, await edge.body(request, deps.settings.max_request_bytes) or b"{}").reason


async def _pause(deps: Deps, request: Request, name: str, tenant: str) -> Response:
    actor = edge.actor(request, tenant, "")
    gate = await deps.between.gate_store.pause(name, actor=actor, reason=await _reason(deps, request))
    log.warning("gate.paused", gate=name, actor=actor, reason=gate.reason)
    return Json(_view(name, gate, all_of_it=True))


async def _resume(deps: Deps, request: Request, names: tuple[str, ...], tenant: str) -> Response:
    actor = edge.actor(request, tenant, "")
    reason = await _reason(deps, request)
    count = await deps.between.gate_store.resume(*names, actor=actor, reason=reason)
    log.warning("gate.resumed", gates=names, actor=actor, reason=reason, were_closed=count)
    return Json(operating.GateResumed(gate=names[0], result="resumed" if count else "was not closed"))


def _shown(name: str, tenant: str) -> bool:
    return not name.startswith(tenant_gate("")) or name == tenant_gate(tenant)


def _view(name: str, gate: Gate, *, all_of_it: bool) -> operating.Gate:
    """One gate. `actor` is a tenant's name, and not for every tenant's eyes."""
    kind, _, of = name.partition(":")
    return operating.Gate(
        gate=name,
        kind="circuit" if kind == "circuit" else "pause",
        tool=of if kind != "tenant" else None,
        tenant=of if kind == "tenant" else None,
        since=moment(gate.since_ms),
        until=moment(gate.until_ms),
        reason=gate.reason or None,
        actor=(gate.actor or None) if all_of_it else None,
        times=gate.times,
        probing=bool(gate.probe),
    )


def _line(line: Mapping[str, Any]) -> operating.GateLine:
    said = {name: line[name] for name in ("what", "gate", "actor", "reason")}
    return operating.GateLine(at=moment(line["at_ms"]), **said)


_BODY: Final[dict[str, Any]] = {
    "may_take": GateReason,
    "options": ["X-Actor"],
    "example": {"reason": "the partner is being repaired"},
}
ROUTES: Final = [
    on("GET", "/api/gates", list_gates, operating.Gates),
    on("POST", "/api/tools/{tool}/pause", pause_tool, operating.Gate, errors=[403], **_BODY),
    on("POST", "/api/tools/{tool}/resume", resume_tool, operating.GateResumed, errors=[403], **_BODY),
    on("POST", "/api/tenant/pause", pause_tenant, operating.Gate, **_BODY),
    on("POST", "/api/tenant/resume", resume_tenant, operating.GateResumed, **_BODY),
]
