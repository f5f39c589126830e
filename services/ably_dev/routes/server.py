"""Time and tokens."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ably_dev import access, wire
from services.ably_dev.deps import deps
from services.ably_dev.errors import Refused, malformed
from services.ably_dev.tokens import TokenRequest


async def time(request: Request) -> Response:
    """`[unix ms]`; nobody needs a key to ask."""
    return wire.answer(request, [deps(request).now_ms()])


async def request_token(request: Request) -> Response:
    """A token for a signed request, or for the key's holder."""
    parts, name = deps(request), request.path_params["key_name"]
    body: Any = await wire.body(request)
    held = _holds(request, name)
    if not isinstance(body, dict):
        raise malformed("a token request is an object")
    try:
        asked = msgspec.convert({"keyName": name, "nonce": "", "timestamp": parts.now_ms()} | body, TokenRequest, strict=False)
    except msgspec.ValidationError as error:
        raise malformed(f"the token request is not usable: {error}") from error
    if asked.key_name != name:
        raise Refused(40101, 401, "the token request is for another key than the path")
    return wire.answer(request, parts.keyring.issue(asked, parts.now_ms(), signed=not held), 201)


def _holds(request: Request, name: str) -> bool:
    """Whether the caller shows the whole key, so that nothing need be signed."""
    header = request.headers.get("authorization", "")
    if not header.lower().startswith("basic "):
        return False
    return access.of_header(deps(request).keyring, header, deps(request).now_ms()).key.name == name


async def not_built(request: Request) -> Response:
    """404 for what Ably has and this server does not, never a silent success."""
    raise Refused(40400, 404, f"{request.method} {request.url.path} is not built in ably_dev")
