"""`GET /api/executions/{id}/why`: what it waits for."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared.api import executions
from shared.gate_ports import Gate, circuit, tenant_gate, tool_gate
from shared.http import Json
from shared.openapi.operations import on
from shared.redisdb.snapshots import Snapshot
from shared.views import moment
from shared.why import Wait, Why, why

LETTERS: Final = 3


async def get_why(request: Request) -> Response:
    """What the execution waits for, who moves it and when; and whether anything would."""
    deps, tenant = edge.known(request)
    execution = request.path_params["id"]
    return Json(shown(*await explained(deps, tenant, execution)))


def shown(found: Snapshot, told: Why) -> executions.Why:
    """The answer, for whoever reads it."""
    header = found.execution.header
    return executions.Why(
        id=header.id,
        why=told.text,
        status=told.status,
        reason=header.reason or None,
        phase=header.phase,
        cause=header.cause or None,
        waits=tuple(_wait(one) for one in told.waits),
        more=told.more,
        due_at=moment(told.due_ms),
        lease_until=moment(told.lease_until_ms),
        last_message_id=told.message or None,
        unseen_signals=told.unseen,
        broken=told.broken or None,
    )


async def explained(deps: Deps, tenant: str, execution: str) -> tuple[Snapshot, Why]:
    """An execution, and what it waits for."""
    found = await deps.snapshots.load(execution, tenant)
    if not found.terminal:
        page = await deps.store.letters(tenant, limit=LETTERS, execution=execution)
        outbox = await deps.snapshots.outbox(execution)
        found = msgspec.structs.replace(found, letters=page.letters, outbox=outbox)
    return found, why(found, await _closed(deps, tenant, found), direct=deps.settings.resume_direct)


async def _closed(deps: Deps, tenant: str, found: Snapshot) -> dict[str, str]:
    """What may be said of the plan's tools that must not be called now."""
    gates = {} if found.terminal else await deps.between.gate_store.closed()
    tools = {step.tool for step in found.execution.blueprint.plan.steps if step.tool}
    told = {tool: _said(gates, tenant, tool) for tool in tools} if gates else {}
    return {tool: text for tool, text in told.items() if text}


def _said(gates: Mapping[str, Gate], tenant: str, tool: str) -> str:
    """Nobody's name: who paused a tool for everybody is shown to operators only."""
    if tenant_gate(tenant) in gates:
        return "calls of this tenant are paused, and somebody must resume them"
    if tool_gate(tool) in gates:
        return "it is paused for everybody, and somebody must resume it"
    gate = gates.get(circuit(tool))
    return f"it fails so often that nobody calls it before {moment(gate.until_ms)}" if gate else ""


def _wait(one: Wait) -> executions.Wait:
    return executions.Wait(
        kind=one.kind,
        owner=one.owner,
        text=one.text,
        step=one.step or None,
        until=moment(one.until_ms),
        detail=one.detail,
    )


ROUTES: Final = [on("GET", "/api/executions/{id}/why", get_why, executions.Why)]
