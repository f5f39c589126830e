"""`/api/overview`: where a tenant's executions stand, who waits longest, the latest minutes, and which ways are open."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge
from services.ingress.edge import Deps
from shared import views
from shared.circuit import Breaker
from shared.http import Json
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
        {
            "at": moment(tally.now_ms),
            "executions": {"total": sum(tally.statuses.values()), "byStatus": tally.statuses},
            "waiting": {"count": tally.waiting, "oldest": await _oldest(deps, tally)},
            "minutes": [_minute(one) for one in tally.minutes],
            "channels": _channels(deps, tally),
            "quota": await deps.quota.report(tenant),
        }
    )


async def _oldest(deps: Deps, tally: Tally) -> dict[str, Any] | None:
    if tally.oldest is None:
        return None
    execution, since_ms = tally.oldest
    rows = await deps.reader.headers([execution])
    if not rows:  # purged since
        return None
    row = views.row(rows[0])
    shown = {name: row[name] for name in ("id", "status", "reason", "text")}
    return shown | {"since": moment(since_ms), "links": {"why": f"/api/executions/{execution}/why"}}


def _minute(minute: Minute) -> dict[str, Any]:
    return {"at": moment(minute.at_ms), "started": minute.begun, "ended": minute.ended, "failed": minute.failed}


def _channels(deps: Deps, tally: Tally) -> dict[str, Any]:
    """What the engine knows of each way in which executions move. `there` is null where nobody has tried."""
    return {
        "qstash": _channel(deps.qstash) | {"waitingMessages": tally.away},
        "ably": _ably(deps.channel, tally),
        "watchdog": {
            "there": tally.swept_ms is not None and tally.now_ms - tally.swept_ms <= LATE_MS,
            "sweptAt": moment(tally.swept_ms),
        },
        "executor": {"there": deps.reach.there},
    }


def _ably(channel: Breaker | None, tally: Tally) -> dict[str, Any]:
    if channel is None:
        return {"configured": False, "there": None, "error": None, "awayMs": None, "subscriber": None}
    heard = tally.heard_ms is not None and tally.now_ms - tally.heard_ms <= UNHEARD_MS
    return {"configured": True, **_channel(channel), "subscriber": {"there": heard, "heardAt": moment(tally.heard_ms)}}


def _channel(breaker: Breaker) -> dict[str, Any]:
    known = breaker.back_at is not None or breaker.error
    return {"there": breaker.there if known else None, "error": breaker.error or None, "awayMs": breaker.away_ms}


ROUTES: Final = [Route("/api/overview", get_overview, methods=["GET"])]
