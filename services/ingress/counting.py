"""`/api/executions/count`: how many fit a filter, so that a person knows it before one action is for all of them."""

from datetime import UTC, datetime
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge
from services.ingress.finding import filter_of
from shared.http import Json
from shared.search import count


class CountAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of one bounded look. `next`: where the next look begins, whose count is to be added; null after the last one."""

    count: int
    looked: int
    created_before: str
    """With this in the filter, an action is for what was counted, and for nothing that begins meanwhile."""
    next: str | None


async def count_executions(request: Request) -> Response:
    """How many of the tenant's executions fit; `before` is the `next` of the look before, and `createdBefore` its own."""
    deps, tenant = edge.known(request)
    wanted = filter_of(request)
    until = wanted.created_before or datetime.now(UTC)
    wanted = msgspec.structs.replace(wanted, created_before=until)
    found = await count(deps.reader, tenant, wanted, before=request.query_params.get("before", ""))
    told = until.isoformat(timespec="milliseconds")
    return Json(CountAnswer(count=found.count, looked=found.looked, created_before=told, next=found.next))


ROUTES: Final = [Route("/api/executions/count", count_executions, methods=["GET"])]
