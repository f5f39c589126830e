"""What ingress works on at once is bounded: beyond it a request is told to come again, and nothing of it is stored.

A request has a seat from when its body is there until its handler is through. Who is slow to send a body holds none; nor does a
stream, which begins when the handler is through. A client that hangs up does not end the work, and the seat is free when
that has ended. Reads, health, metrics and the console's files need none.

There are two rooms of the same size, so that a flood of starts keeps nobody from stopping or deciding what runs.
"""

import functools
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.openapi.operations import Operation
from shared.pacing import Sparing
from shared.room import Room, Seat

START, CHANGE = "start", "change"
READS: Final = frozenset({"GET"})
STARTS: Final = frozenset(
    {
        "/api/execute",
        "/api/chat",
        "/api/plan",
        "/api/schedules",
        "/api/schedules/{id}/run",
        "/api/executions/{id}/restart",
        "/api/executions/{id}/fork",
    }
)
"""Routes that plan, or begin something; every other one that is no read changes what there is."""


def rooms(most: int) -> Mapping[str, Room]:
    """One for starts and one for changes, of `most` seats each."""
    say = Sparing()
    return {kind: Room(kind, most, say) for kind in (START, CHANGE)}


def bounded(route: Route) -> Route:
    """The same route, whose requests need a seat; a read as it is."""
    if not isinstance(route, Operation) or set(route.said.methods) <= READS:
        return route
    kind, handler = START if route.path in STARTS else CHANGE, route.endpoint

    @functools.wraps(handler)
    async def counted(request: Request) -> Response:
        seat = request.scope["seat"] = Seat(request.app.state.deps.rooms[kind])
        try:
            found: Response = await handler(request)
        finally:
            seat.leave()
        return found

    return Operation(route.path, counted, route.said)
