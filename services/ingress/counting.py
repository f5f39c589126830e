"""`/api/executions/count`: how many fit a filter, so that a person knows it before one action is for all of them."""

from datetime import UTC, datetime
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.finding import filter_of
from shared.api.executions import FilterCount
from shared.http import Json
from shared.openapi.operations import on
from shared.search import count


async def count_executions(request: Request) -> Response:
    """How many of the tenant's executions fit; `before` is the `next` of the look before, and `createdBefore` its own."""
    deps, tenant = edge.known(request)
    wanted = filter_of(request)
    until = wanted.created_before or datetime.now(UTC)
    wanted = msgspec.structs.replace(wanted, created_before=until)
    found = await count(deps.reader, tenant, wanted, before=edge.before(request))
    told = until.isoformat(timespec="milliseconds")
    return Json(FilterCount(count=found.count, looked=found.looked, created_before=told, next=found.next))


_FILTER: Final = ["status", "reason", "text", "createdAfter", "createdBefore", "before"]
ROUTES: Final = [on("GET", "/api/executions/count", count_executions, FilterCount, query=_FILTER)]
