"""Taking words or a plan, the same for every route that takes them: an execution (202) or a schedule (201)."""

from typing import Any

import msgspec

from services.ingress import schedules
from services.ingress.edge import Deps
from shared.accepting import Repeating
from shared.requests import Execute


async def take(deps: Deps, tenant: str, asked: Execute, key: str) -> tuple[dict[str, Any], int, str]:
    """The body of the answer, its status, and where what was made is found."""
    try:
        taken = await deps.acceptor.take(tenant, asked, key)
    except Repeating as found:
        made = await schedules.of_words(deps, tenant, asked, found, key)
        return msgspec.to_builtins(made), 201, f"/api/schedules/{made.id}"
    body = taken.body
    if not taken.created:
        view = await deps.reader.view(taken.execution, tenant, count=0)
        body = {**body, "status": view.fields["status"]}
    return body, 202, f"/api/executions/{taken.execution}"
