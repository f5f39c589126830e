"""Where waiting steps are called: the address itself is the permission, so no key is asked for."""

import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingress import edge
from services.ingress.edge import Deps
from shared.callbacks import Addresses, BadTicket
from shared.errors import TooMany, Unauthorized
from shared.http import Json, decode
from shared.logs import get_logger
from shared.ports import Accepted

log = get_logger()
_anything: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder()
MAX_BYTES = 65_536


async def called(request: Request) -> Response:
    """A step is called: once; before it waits, the call is kept. The body is JSON and becomes the step's output.

    A body of the form `{"error": "..."}` says that what was asked for did not come about.
    """
    deps: Deps = request.app.state.deps
    addresses = Addresses(deps.settings.internal_signing_key, deps.settings.ingress_url)
    try:
        ticket = addresses.read(request.path_params["token"], time.time())
    except BadTicket as error:
        raise Unauthorized(f"nothing waits at this address: {error}", code="bad_address") from error
    raw = await edge.body(request, MAX_BYTES)
    data = decode(_anything, raw) if raw else None
    payload = {"step": ticket.step, "data": data}
    if isinstance(data, dict) and set(data) == {"error"}:
        payload["error"] = str(data["error"])
    found = await deps.store.signal(ticket.execution, tenant=ticket.tenant, sid=ticket.sid, kind="callback", payload=payload)
    if isinstance(found, Accepted):
        if found.entry is not None:
            deps.background.start(deps.sender.send(found.entry, "the callback"))
        log.info("wait.called", execution=ticket.execution, step=ticket.step)
        return Json({"result": "accepted"}, status_code=202)
    if found.why == "full":
        raise TooMany("too much waits in this execution's inbox", code="inbox_full")
    return Json({"result": _MOOT.get(found.why, found.why)})


_MOOT = {"duplicate": "was called before", "terminal": "the execution is over", "absent": "the execution is gone"}

ROUTES = [Route("/api/waits/{token}", called, methods=["POST"])]
