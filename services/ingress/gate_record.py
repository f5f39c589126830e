"""`/api/gates/audit`: who paused and resumed what, and which circuits opened and closed by themselves, the latest first."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from shared.api.operating import GateRecord, RecordedGate
from shared.gate_ports import AUDIT_MOST, GateStore, circuit, tenant_gate, tool_gate
from shared.http import Json
from shared.openapi.operations import on
from shared.views import moment


async def read_record(request: Request) -> Response:
    """What happened to gates: an operator sees all of it, others their own pauses and every circuit. `tool` chooses one."""
    deps, tenant = edge.known(request)
    count = edge.number(request, "limit", 50, edge.PAGE_LIMIT, least=1)
    top = _place(edge.before(request, _PLACE))
    lines = ordered(await whole(deps.between.gate_store))
    everything = tenant in deps.settings.operating_tenants
    shown = [one for one in lines if everything or _seen_by(tenant, one[1])]
    if tool := request.query_params.get("tool", ""):
        shown = [one for one in shown if one[1]["gate"] in {tool_gate(tool), circuit(tool)}]
    behind = [one for one in shown if one[0] < top]
    page = tuple(_line(place, line) for place, line in behind[:count])
    return Json(GateRecord(audit=page, next=page[-1].id if len(behind) > count else None))


Place = tuple[int, int]
"""Where a line stands: its moment, and its number among the lines of that moment."""
_TOP: Final = (2**63, 0)
_PLACE: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,6}")


async def whole(store: GateStore) -> list[Mapping[str, Any]]:
    """Both records: people's and the circuits'. A thousand lines of each at most."""
    return [*await store.audit(limit=AUDIT_MOST), *await store.trips(limit=AUDIT_MOST)]


def ordered(lines: Sequence[Mapping[str, Any]]) -> Sequence[tuple[Place, Mapping[str, Any]]]:
    """The latest first, each with its place."""
    oldest_first = lines[::-1]
    by_time = sorted(oldest_first, key=lambda line: int(line["at_ms"]))
    groups = groupby(by_time, key=lambda line: int(line["at_ms"]))
    placed = [((at_ms, number), line) for at_ms, group in groups for number, line in enumerate(group)]
    return placed[::-1]


def _place(before: str) -> Place:
    if not before:
        return _TOP
    at_ms, _, number = before.partition("-")
    return int(at_ms), int(number)


def _seen_by(tenant: str, line: Mapping[str, Any]) -> bool:
    return line["gate"] == tenant_gate(tenant) or "actor" not in line


def _line(place: Place, line: Mapping[str, Any]) -> RecordedGate:
    kind, _, of = line["gate"].partition(":")
    return RecordedGate(
        id="{}-{}".format(*place),
        at=moment(line["at_ms"]),
        what=line["what"],
        gate=line["gate"],
        kind="circuit" if kind == "circuit" else "pause",
        tool=of if kind != "tenant" else None,
        tenant=of if kind == "tenant" else None,
        actor=line.get("actor") or None,
        reason=line["reason"] or None,
    )


ROUTES: Final = [on("GET", "/api/gates/audit", read_record, GateRecord, query=["tool", "limit", "before"])]
