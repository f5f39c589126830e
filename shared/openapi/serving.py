"""`GET /openapi.json`: made when it is first asked for, and kept as bytes."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shared.openapi.build import Api, of
from shared.openapi.operations import Operation, on


def describing(api: Api) -> Operation:
    """The route; open to everybody, so that tools can read it."""

    async def describe(request: Request) -> Response:
        """This document: what the service takes and answers, as OpenAPI 3.1."""
        state = request.app.state
        if not hasattr(state, "document"):
            state.document = msgspec.json.encode(of(request.app.routes, api))
        return Response(state.document, media_type="application/json")

    return on("GET", "/openapi.json", describe, dict[str, Any], guards=())
