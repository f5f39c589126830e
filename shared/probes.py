"""`/healthz` (this process answers) and `/readyz` (what it needs answers too)."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.http import Json


def probe_routes(ready: Callable[[Request], Awaitable[None]]) -> list[Route]:
    """Two routes; `ready` raises Unavailable with the reason when something is missing."""

    async def healthz(_: Request) -> Response:
        return Json({"status": "ok"})

    async def readyz(request: Request) -> Response:
        await ready(request)
        return Json({"status": "ready"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
