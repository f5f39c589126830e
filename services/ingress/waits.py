"""Where waiting steps are called: the address itself is the permission, so no key is asked for."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingress import edge
from services.ingress.edge import Deps
from shared.api.executions import Answered
from shared.callbacks import BadTicket
from shared.errors import TooMany, Unauthorized
from shared.http import Json, decode
from shared.openapi.operations import on

_anything: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder()
MAX_BYTES = 65_536


async def called(request: Request) -> Response:
    """A step is called: once; before it waits, the call is kept. The body is JSON and becomes the step's output.

    Of a tool that took its call over, `{"error": "..."}` says that it did not come about.
    """
    deps: Deps = request.app.state.deps
    try:
        ticket = deps.called.read(request.path_params["token"])
    except BadTicket as error:
        raise Unauthorized(f"nothing waits at this address: {error}", code="bad_address") from error
    raw = await edge.body(request, MAX_BYTES)
    result = await deps.called.tell(ticket, _said(decode(_anything, raw) if raw else None))
    if result == "full":
        raise TooMany("too much waits in this execution's inbox", code="inbox_full")
    return Json(Answered(result=_MOOT.get(result, result)), status_code=202 if result == "accepted" else 200)


def _said(data: Any) -> dict[str, Any]:
    failed = isinstance(data, dict) and set(data) == {"error"}
    return {"data": data} | ({"error": str(data["error"])} if failed else {})


_MOOT = {"duplicate": "was called before", "terminal": "the execution is over", "absent": "the execution is gone"}

ROUTES = [
    on(
        "POST",
        "/api/waits/{token}",
        called,
        {200: Answered, 202: Answered},
        may_take=Any,
        errors=[401, 429, 503],
        guards=(),
        example={"paid": True},
    ),
]
