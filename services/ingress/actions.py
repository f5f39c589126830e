"""What people do to executions: decode, one call, encode. `shared/actions.py` knows what each action means."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge
from shared.actions import ACTIONS, Action, Cancel
from shared.errors import NotFound, TooMany
from shared.http import Json, decode
from shared.logs import get_logger
from shared.ports import Accepted

log = get_logger()
_DECODERS: Final["dict[str, msgspec.json.Decoder[Any]]"] = {name: msgspec.json.Decoder(kind) for name, kind in ACTIONS.items()}
_NOT_AGAIN: Final = {"duplicate": "was cancelled before", "terminal": "is over already; nothing was cancelled"}


async def act(request: Request) -> Response:
    """Pause, resume, retry, skip, edit, approve, reject, settle or compensate one execution."""
    deps, tenant = edge.known(request)
    action = await _action(request, request.url.path.rpartition("/")[2])
    by = edge.actor(request, tenant, action.actor)
    return Json(await deps.operator.act(request.path_params["id"], tenant, action, by), status_code=202)


async def cancel(request: Request) -> Response:
    """Stop an execution and undo what it did (`undo: false`: leave it). No step starts after this is answered."""
    deps, tenant = edge.known(request)
    execution, action = request.path_params["id"], await _action(request, "cancel")
    assert isinstance(action, Cancel)  # noqa: S101 - for the type checker
    by = edge.actor(request, tenant, action.actor)
    await deps.reader.header(execution, tenant)
    payload = {"reason": action.reason, "undo": action.undo, "actor": by}
    found = await deps.store.signal(execution, tenant=tenant, sid="cancel", kind="cancel", payload=payload)
    if isinstance(found, Accepted):
        if found.entry is not None:
            deps.background.start(deps.sender.send(found.entry, "the cancellation"))
        log.info("action.accepted", execution=execution, tenant=tenant, action="cancel", by=by, reason=action.reason)
        return Json({"id": execution, "result": "cancelling", "undo": action.undo}, status_code=202)
    if found.why == "full":
        raise TooMany("this execution's inbox is full", code="inbox_full")
    if found.why == "absent":
        raise NotFound(f"there is no execution {execution}")
    header = await deps.reader.header(execution, tenant)
    return Json({"id": execution, "result": _NOT_AGAIN[found.why], "status": header["status"]})


async def _action(request: Request, name: str) -> Action:
    raw = await edge.body(request, request.app.state.deps.settings.max_request_bytes)
    found: Action = decode(_DECODERS[name], raw or b"{}")
    return found


ROUTES: Final = [
    Route("/api/executions/{id}/cancel", cancel, methods=["POST"]),
    *(Route(f"/api/executions/{{id}}/{name}", act, methods=["POST"]) for name in ACTIONS if name != "cancel"),
]
