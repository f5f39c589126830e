"""`POST /api/ably/token`: follow one execution's progress on Ably, with a token that can do nothing else."""

import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from shared.ably import TOKEN_S, api_key, execution_channel, reader_token
from shared.api.bodies import WatchedExecution
from shared.api.operating import ReaderToken
from shared.errors import NotFound, Unavailable
from shared.http import Json, decode
from shared.logs import get_logger
from shared.openapi.operations import on
from shared.openapi.words import EXECUTION

log = get_logger()
MAX_BYTES: Final = 4_096


_asked = msgspec.json.Decoder(WatchedExecution)


async def give_token(request: Request) -> Response:
    """A token for the channel of one of the caller's own executions, whose progress is told there for as long as it holds.

    Nothing of it is stored but until when somebody watches. Another tenant's execution is as good as none.
    """
    deps, tenant = edge.known(request)
    asked = decode(_asked, await edge.body(request, MAX_BYTES))
    if not deps.settings.ably_api_key:
        raise Unavailable(
            "progress is not told here: set ABLY_API_KEY to an Ably API key (`intention setup` asks for it) and restart the "
            "services; until then read GET /api/executions/{id}/history",
            code="ably_not_configured",
        )
    execution, now_s = asked.execution_id, time.time()
    until_ms = await _watch(deps, execution, tenant)
    token = reader_token(api_key(deps.settings.ably_api_key), execution, now_s=now_s)
    log.info("progress.watched", execution=execution, until_ms=until_ms)
    answer = ReaderToken(
        token=token,
        channel=execution_channel(execution),
        expires=(int(now_s) + TOKEN_S) * 1000,
        url=deps.settings.ably_url,
    )
    return Json(answer, headers={"Cache-Control": "no-store"})


async def _watch(deps: edge.Deps, execution: str, tenant: str) -> int:
    try:
        until_ms = await deps.store.watch(execution, tenant=tenant, for_ms=TOKEN_S * 1000)
    except ValueError:  # no id of ours
        until_ms = None
    if until_ms is None:
        raise NotFound(f"there is no execution {execution[:80]}")
    return until_ms


ROUTES: Final = [
    on(
        "POST",
        "/api/ably/token",
        give_token,
        ReaderToken,
        takes=WatchedExecution,
        errors=[404],
        example={"executionId": EXECUTION},
    ),
]
