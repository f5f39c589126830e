"""`/api/overview`: where a tenant's executions stand, who waits longest, the latest minutes, and which ways are open."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared import views
from shared.api import overview as told
from shared.api.operating import Allowance
from shared.circuit import Breaker
from shared.http import Json
from shared.openapi.operations import on
from shared.redisdb.tallies import Minute, Tally
from shared.views import moment

LATE_MS: Final = 90_000
"""A watchdog that has not begun a round for so long is not there; one without a process of its own sweeps once a minute."""
UNHEARD_MS: Final = 60_000
"""The subscriber notes every five seconds how far it has heard."""


async def get_overview(request: Request) -> Response:
    """Everything in one answer, from counts that are kept: it costs the same for ten executions and for a million."""
    deps, tenant = edge.known(request)
    tally = await deps.tallies.of(tenant)
    return Json(
        told.Overview(
            at=moment(tally.now_ms),
            executions=told.Counts(total=sum(tally.statuses.values()), by_status=dict(tally.statuses)),
            waiting=told.Waiting(count=tally.waiting, oldest=await _oldest(deps, tally)),
            minutes=tuple(_minute(one) for one in tally.minutes),
            channels=_channels(deps, tally),
            quota=msgspec.convert(await deps.quota.report(tenant), Allowance),
        )
    )


async def _oldest(deps: Deps, tally: Tally) -> told.Oldest | None:
    if tally.oldest is None:
        return None
    execution, since_ms = tally.oldest
    rows = await deps.reader.headers([execution])
    if not rows:  # purged since
        return None
    row = views.row(rows[0])
    links = {"why": f"/api/executions/{execution}/why"}
    since = moment(since_ms)
    return told.Oldest(id=row.id, status=row.status, reason=row.reason, text=row.text, since=since, links=links)


def _minute(minute: Minute) -> told.Minute:
    return told.Minute(at=moment(minute.at_ms), started=minute.begun, ended=minute.ended, failed=minute.failed)


def _channels(deps: Deps, tally: Tally) -> told.Channels:
    """What the engine knows of each way in which executions move."""
    swept = tally.swept_ms is not None and tally.now_ms - tally.swept_ms <= LATE_MS
    return told.Channels(
        qstash=told.QStash(**_channel(deps.qstash), waiting_messages=tally.away),
        ably=_ably(deps.channel, tally),
        watchdog=told.Watchdog(there=swept, swept_at=moment(tally.swept_ms)),
        executor=told.Executor(there=deps.reach.there),
    )


def _ably(channel: Breaker | None, tally: Tally) -> told.Ably:
    if channel is None:
        return told.Ably(configured=False, there=None, error=None, away_ms=None, subscriber=None)
    heard = tally.heard_ms is not None and tally.now_ms - tally.heard_ms <= UNHEARD_MS
    subscriber = told.Subscriber(there=heard, heard_at=moment(tally.heard_ms))
    return told.Ably(configured=True, **_channel(channel), subscriber=subscriber)


def _channel(breaker: Breaker) -> dict[str, Any]:
    known = breaker.back_at is not None or breaker.error
    return {"there": breaker.there if known else None, "error": breaker.error or None, "away_ms": breaker.away_ms}


ROUTES: Final = [on("GET", "/api/overview", get_overview, told.Overview)]
