"""The route `/metrics`, where METRICS is set: for a scraper with METRICS_TOKEN, and in local mode for trusted callers."""

import hmac

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.callers import Callers
from shared.errors import Unauthorized
from shared.quota_keeper import tenants_of
from shared.redisdb.gauges import Gauges
from shared.redisdb.quota import RedisLedger
from shared.runtime import Engine
from shared.settings import Settings
from shared.telemetry.counted import Counted
from shared.telemetry.standing import Shared


def routes(settings: Settings) -> list[Route]:
    """None where the setting is off: nobody learns that there could be one."""
    if not settings.metrics:
        return []
    from prometheus_client import CONTENT_TYPE_LATEST

    callers = Callers(settings)

    async def metrics(request: Request) -> Response:
        _check(request, settings, callers)
        return Response(await request.app.state.exposition.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [Route("/metrics", metrics, methods=["GET"])]


def _check(request: Request, settings: Settings, callers: Callers) -> None:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if not given and callers.trusted(request):
        return
    token = settings.metrics_token
    if not token or kind.lower() != "bearer" or not hmac.compare_digest(token.encode(), given.strip().encode()):
        raise Unauthorized("send Authorization: Bearer <METRICS_TOKEN>")


def open_exposition(engine: Engine, own: Counted, *, shared: bool = False) -> object:
    """What `/metrics` of this process shows; None where the setting is off. `shared`: also what all processes share."""
    settings = engine.settings
    if not settings.metrics:
        return None
    from shared.telemetry.prometheus import Exposition

    return Exposition(own, _shared(engine) if shared else None)


def counted(engine: Engine) -> Counted:
    """What every service has."""
    return Counted(tally=engine.tally, watchdog=engine.watchdog, channels=engine.channels)


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
