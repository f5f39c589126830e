"""`/metrics`, where METRICS is set: for a scraper with METRICS_TOKEN, and in local mode for trusted callers."""

import hmac
from collections.abc import Mapping
from typing import Final, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.callers import Callers
from shared.errors import Unauthorized
from shared.openapi.operations import TEXT, on
from shared.quota_keeper import tenants_of
from shared.redisdb.gauges import Gauges
from shared.redisdb.quota import RedisLedger
from shared.room import Room
from shared.runtime import Engine
from shared.settings import Settings
from shared.telemetry.counted import Counted
from shared.telemetry.standing import Shared


class Text(Protocol):
    """What is shown."""

    async def text(self) -> bytes:
        """In Prometheus's format."""


class Scraped:
    """What `/metrics` of one process shows, and to whom."""

    def __init__(self, settings: Settings, exposition: Text) -> None:
        """`settings` say who may see it."""
        self._token = settings.metrics_token
        self._callers = Callers(settings)
        self.exposition = exposition

    def check(self, request: Request) -> None:
        """Unauthorized."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if not given and self._callers.trusted(request):
            return
        token = self._token
        if not token or kind.lower() != "bearer" or not hmac.compare_digest(token.encode(), given.strip().encode()):
            raise Unauthorized("send Authorization: Bearer <METRICS_TOKEN>")


async def metrics(request: Request) -> Response:
    """What this process has counted, in Prometheus's text; there where METRICS is set."""
    scraped: Scraped | None = getattr(request.app.state, "scraped", None)
    if scraped is None:  # as any path that leads nowhere: nobody learns that there could be one
        raise HTTPException(404)
    from prometheus_client import CONTENT_TYPE_LATEST

    scraped.check(request)
    return Response(await scraped.exposition.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


ROUTES: Final = [on("GET", "/metrics", metrics, TEXT, errors=[404], guards=["metrics"])]


def open_scraped(engine: Engine, own: Counted, *, shared: bool = False) -> Scraped | None:
    """What `/metrics` of this process shows; None where the setting is off. `shared`: also what all processes share."""
    settings = engine.settings
    if not settings.metrics:
        return None
    from shared.telemetry.prometheus import Exposition

    return Scraped(settings, Exposition(own, _shared(engine) if shared else None))


def counted(engine: Engine, rooms: Mapping[str, Room] | None = None) -> Counted:
    """What every service has, and the rooms of one that bounds what it works on."""
    return Counted(tally=engine.tally, watchdog=engine.watchdog, channels=engine.channels, rooms=rooms or {})


def _shared(engine: Engine) -> Shared:
    settings = engine.settings
    tenants = tenants_of(settings)
    return Shared(
        Gauges(engine.redis, tenants),
        engine.between.gate_store,
        RedisLedger(engine.redis),
        engine.quota.limits,
        tenants,
        by_tenant=settings.metrics_tenants,
    )
