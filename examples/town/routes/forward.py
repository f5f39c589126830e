"""The six effects: `POST /reservations`, `/rides`, `/messages`, `/jobs`, `/letters`, `/cancellations`."""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.town import calls
from examples.town.calls import Call
from examples.town.deps import Deps
from examples.town.kinds import JOB, KINDS, Kind
from examples.town.store import Answer, Store
from shared.http import read_body

MAX_BODY: Final = 65_536


class Jobs:
    """Does the work of jobs: one at a time for a key, so that the second caller waits for the first one's answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def perform(self, call: Call) -> Answer:
        """Work, then record. An undo that comes meanwhile wins: the job is refused when it would be recorded."""
        turn = self._turns.setdefault(call.key, asyncio.Lock())
        async with turn:
            if (earlier := await self._store.seen(call)) is not None:
                return earlier
            await asyncio.sleep(call.row["seconds"])
            return await self._store.apply(call)


class Forward:
    """One kind's POST; 201, or the first call's answer once more with `Idempotent-Replayed: true`."""

    def __init__(self, deps: Deps, jobs: Jobs, kind: Kind) -> None:
        self._deps = deps
        self._kind = kind
        self._perform = jobs.perform if kind is JOB else deps.store.apply

    async def answer(self, request: Request) -> Response:
        """400, 404, 409, 410 and 422 say that nothing was applied; the key stays free then."""
        key = calls.effect_key(request.headers.get("idempotency-key"))
        raw = await read_body(request, MAX_BODY)
        answer = await self._perform(calls.read(self._kind, key, raw, self._deps.now()))
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
        return Response(answer.body, answer.status, headers, media_type="application/json")


def routes(deps: Deps) -> list[Route]:
    """One POST for every kind."""
    jobs = Jobs(deps.store)
    return [Route(kind.path, Forward(deps, jobs, kind).answer, methods=["POST"]) for kind in KINDS]
