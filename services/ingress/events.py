"""Events: `/api/events/{name}` for whoever waits for a name and key, `/api/executions/{id}/events/{name}` for one execution."""

import secrets
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from shared.api.bodies import DirectEvent, PublishedEvent
from shared.api.executions import EventTaken, EventTold
from shared.errors import NotFound, TooMany
from shared.event_ports import NamedEvent
from shared.http import Json, decode
from shared.openapi.operations import on

_RESULTS: Final = {"duplicate": "was sent before", "terminal": "is over already; nothing was told"}


_direct = msgspec.json.Decoder(DirectEvent)
_published = msgspec.json.Decoder(PublishedEvent)


async def publish(request: Request) -> Response:
    """Durable with the 202, and on its way to `woken` waits; those that begin within a day get it too."""
    deps, tenant = edge.known(request)
    said = decode(_published, await edge.body(request, deps.settings.max_request_bytes) or b"{}")
    event = _event(request, tenant, said, said.key)
    woken = await deps.teller.publish(event)
    return Json(EventTaken(id=event.id, name=event.name, key=event.key, woken=woken), status_code=202)


async def tell(request: Request) -> Response:
    """Tell one execution, whether it waits for it already or will."""
    deps, tenant = edge.known(request)
    execution = request.path_params["id"]
    said = decode(_direct, await edge.body(request, deps.settings.max_request_bytes) or b"{}")
    event = _event(request, tenant, said, "")
    result = await deps.teller.tell(execution, event)
    if result == "full":
        raise TooMany("this execution's inbox is full", code="inbox_full")
    if result == "absent":
        raise NotFound(f"there is no execution {execution[:60]}")
    answer = EventTold(execution_id=execution, id=event.id, name=event.name, result=_RESULTS.get(result, result))
    return Json(answer, status_code=202 if result == "accepted" else 200)


def _event(request: Request, tenant: str, said: DirectEvent, key: str) -> NamedEvent:
    """Its id: the body's, the Idempotency-Key, or a fresh one."""
    again = edge.idempotency_key(request)
    given = said.id or again or secrets.token_hex(16)
    return NamedEvent(id=given, tenant=tenant, name=request.path_params["name"], key=key, data=said.data)


ROUTES: Final = [
    on(
        "POST",
        "/api/events/{name}",
        publish,
        {202: EventTaken},
        may_take=PublishedEvent,
        options=["Idempotency-Key"],
        errors=[409, 429],
        example={"key": "order-17", "data": {"amount": 42}},
    ),
    on(
        "POST",
        "/api/executions/{id}/events/{name}",
        tell,
        {200: EventTold, 202: EventTold},
        may_take=DirectEvent,
        options=["Idempotency-Key"],
        errors=[409, 429],
        example={"data": {"amount": 42}, "id": "payment-17"},
    ),
]
