"""HTTP bodies in and out: JSON or msgpack, as Content-Type, Accept and `?format=` say."""

from typing import Any

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from services.ably_dev.errors import Refused, malformed
from shared.http import read_body

JSON, MSGPACK = "application/json", "application/x-msgpack"
MAX_BODY = 1_048_576


async def body(request: Request) -> Any:
    """The request's body; Refused for one that cannot be read."""
    raw = await read_body(request, MAX_BODY)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (JSON, MSGPACK):  # a web page may send plain text anywhere, also to its reader's own machine
        raise Refused(40000, 415, f"Content-Type is {kind or 'missing'}: send {JSON} or {MSGPACK}")
    try:
        return (msgspec.msgpack if kind == MSGPACK else msgspec.json).decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise malformed(f"the body is not valid {kind}: {error}") from error


def wants_msgpack(connection: HTTPConnection) -> bool:
    """Whether the caller reads msgpack."""
    asked = connection.query_params.get("format")
    if asked:
        return asked == "msgpack"
    accepted = [part.partition(";")[0].strip() for part in connection.headers.get("accept", "").split(",")]
    return MSGPACK in accepted and (JSON not in accepted or accepted.index(MSGPACK) < accepted.index(JSON))


def answer(connection: HTTPConnection, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in the form the caller reads."""
    binary = wants_msgpack(connection)
    raw = (msgspec.msgpack if binary else msgspec.json).encode(content)
    return Response(raw, status, headers, media_type=MSGPACK if binary else JSON)
