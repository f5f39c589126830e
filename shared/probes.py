"""`/healthz` (this process answers) and `/readyz` (what it needs answers too)."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from shared.api.base import Standing
from shared.http import Json
from shared.openapi.operations import Operation, on


def probe_routes(ready: Callable[[Request], Awaitable[None]]) -> list[Operation]:
    """Two routes; `ready` raises Unavailable with the reason when something is missing."""

    async def healthz(_: Request) -> Response:
        """Whether this process answers."""
        return Json(Standing(status="ok"))

    async def readyz(request: Request) -> Response:
        """Whether what this process needs answers too."""
        await ready(request)
        return Json(Standing(status="ready"))

    return [
        on("GET", "/healthz", healthz, Standing, guards=()),
        on("GET", "/readyz", readyz, Standing, errors=[503], guards=()),
    ]
