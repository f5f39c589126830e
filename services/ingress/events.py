"""Events: `/api/events/{name}` for whoever waits for a name and key, `/api/executions/{id}/events/{name}` for one execution."""

import secrets
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge
from shared import event_ports
from shared.errors import NotFound, TooMany
from shared.event_ports import ID_MOST, KEY_MOST, NamedEvent
from shared.http import Json, decode
from shared.logs import get_logger
from shared.ports import Accepted

log = get_logger()

EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_MOST)]
_RESULTS: Final = {"duplicate": "was sent before", "terminal": "is over already; nothing was told"}


class Direct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/executions/{id}/events/{name}`. `id`: the same event again changes nothing."""

    data: Any = None
    id: EventId | None = None


class Published(Direct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/events/{name}`."""

    key: Annotated[str, msgspec.Meta(max_length=KEY_MOST)] = ""


_direct = msgspec.json.Decoder(Direct)
_published = msgspec.json.Decoder(Published)


async def publish(request: Request) -> Response:
    """Durable with the 202, and on its way to `woken` waits; those that begin within a day get it too."""
    deps, tenant = edge.known(request)
    said = decode(_published, await edge.body(request, deps.settings.max_request_bytes) or b"{}")
    event = _event(request, tenant, said, said.key)
    deliveries = await deps.between.event_relay.publish(event)
    deps.background.start(deps.between.event_relay.deliver(deliveries))
    log.info("event.published", tenant=tenant, event_name=event.name, event_id=event.id, woken=len(deliveries))
    return Json({"id": event.id, "name": event.name, "key": event.key, "woken": len(deliveries)}, status_code=202)


async def tell(request: Request) -> Response:
    """Tell one execution, whether it waits for it already or will."""
    deps, tenant = edge.known(request)
    execution = request.path_params["id"]
    said = decode(_direct, await edge.body(request, deps.settings.max_request_bytes) or b"{}")
    event = _event(request, tenant, said, "")
    event_ports.check(event)
    await deps.reader.header(execution, tenant)
    found = await deps.store.signal(execution, tenant=tenant, sid=event.sid, kind="event", payload=event.payload)
    if isinstance(found, Accepted):
        if found.entry is not None:
            deps.sender.start([found.entry], "an event")
        log.info("event.accepted", execution=execution, event_name=event.name, event_id=event.id)
        return Json({"executionId": execution, "id": event.id, "name": event.name, "result": "accepted"}, status_code=202)
    if found.why == "full":
        raise TooMany("this execution's inbox is full", code="inbox_full")
    if found.why == "absent":
        raise NotFound(f"there is no execution {execution}")
    return Json({"executionId": execution, "id": event.id, "name": event.name, "result": _RESULTS[found.why]})


def _event(request: Request, tenant: str, said: Direct, key: str) -> NamedEvent:
    """Its id: the body's, the Idempotency-Key, or a fresh one."""
    given = said.id or request.headers.get("Idempotency-Key") or secrets.token_hex(16)
    return NamedEvent(id=given, tenant=tenant, name=request.path_params["name"], key=key, data=said.data)


ROUTES: Final = [
    Route("/api/events/{name}", publish, methods=["POST"]),
    Route("/api/executions/{id}/events/{name}", tell, methods=["POST"]),
]
