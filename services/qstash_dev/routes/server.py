"""Signing keys, health, and an honest answer for what is not built yet."""

from starlette.requests import Request
from starlette.responses import Response

from services.qstash_dev import ids
from services.qstash_dev.deps import deps, user
from services.qstash_dev.errors import NotBuilt
from services.qstash_dev.openapi import document
from shared.errors import Unavailable
from shared.http import Json


async def get_keys(request: Request) -> Response:
    """The caller's signing keys. The JS SDK's dev mode takes the answer as a health check, compared letter by letter."""
    return Json(await deps(request).store.signing.get(user(request)))


async def rotate_keys(request: Request) -> Response:
    """The next key becomes the current one, and signs from now on; the answer has the new next one."""
    return Json(await deps(request).store.signing.rotate(user(request), ids.signing_key()))


async def healthz(_: Request) -> Response:
    """The process answers."""
    return Json({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Redis answers and deliveries run; 503 until then."""
    parts = deps(request)
    await parts.store.ping()
    if not parts.scheduler.ready:
        raise Unavailable("deliveries are not running: Redis has just come back, or another qstash_dev owns this data")
    return Json({"status": "ready"})


async def describe(request: Request) -> Response:
    """This API as an OpenAPI 3.1 document, made from the routes that are served."""
    return Json(document.of(request.app.routes))


async def not_built(request: Request) -> Response:
    """501 for a part of QStash that exists there and not here, never a silent success."""
    user(request)
    raise NotBuilt(f"{request.method} {request.url.path} is not built in this server yet")
