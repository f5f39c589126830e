"""`/api/quota`: how many messages a tenant has spent, reserved and left."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from shared.api.operating import Quota
from shared.http import Json
from shared.openapi.operations import on


async def get_quota(request: Request) -> Response:
    """Limits, what is spent and reserved of them, when they begin anew, and how many executions run."""
    deps, tenant = edge.known(request)
    return Json(msgspec.convert({"tenant": tenant, **await deps.quota.report(tenant)}, Quota))


ROUTES: Final = [on("GET", "/api/quota", get_quota, Quota)]
