"""The HTTP edge that all services share: JSON in and out by msgspec, one error shape, one way to serve."""

import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, NoReturn, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from shared.errors import BadRequest, IntentionError, SettingsError, TooLarge, UnsupportedMedia
from shared.logs import get_logger
from shared.misshapen import misshapen

log = get_logger()
T = TypeVar("T")
DOCUMENT: Final = "/openapi.json"
UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii"})
"""Charsets in which JSON may say that it is written; the last one is a part of the others."""


class Json(Response):
    """A JSON answer; anything msgspec can encode."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body's bytes."""
        return msgspec.json.encode(content)


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body, refused as soon as it passes `limit` bytes."""
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > limit:
            raise TooLarge(f"the body is larger than {limit} bytes", limit=limit)
    return bytes(parts)


def check_json(request: Request) -> None:
    """UnsupportedMedia unless the body says that it is JSON.

    A web page may post plain text to any address, also to a service on its reader's own machine; JSON it may not.
    """
    kind, *parameters = (part.strip().lower() for part in request.headers.get("Content-Type", "").split(";"))
    if kind != "application/json":
        raise UnsupportedMedia(f"Content-Type is {kind or 'missing'}: send application/json", at="Content-Type")
    charset = next((one.partition("=")[2].strip('"') for one in parameters if one.startswith("charset=")), "utf-8")
    if charset not in UTF8:
        raise UnsupportedMedia(f"Content-Type says charset={charset[:40]}: send JSON in UTF-8", at="Content-Type")


def decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """The body as a typed value; a wrong one is a BadRequest that names the place (`$.plan.steps[2].tool`)."""
    if not body.strip():
        raise BadRequest(f"the body is empty: {_wanted(decoder.type)}", code="invalid_json", at="$")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        wrong = misshapen(error, decoder.type)
        raise BadRequest(f"{wrong.place}: {wrong.text}", code="invalid_type", at=wrong.place) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}", code="invalid_json", at="$") from error


def _wanted(shape: Any) -> str:
    """What to send, by the fields of a struct."""
    fields = msgspec.structs.fields(shape) if isinstance(shape, type) and issubclass(shape, msgspec.Struct) else ()
    needed = [field.encode_name for field in fields if field.required]
    names = ", ".join(needed or [field.encode_name for field in fields])
    return (
        f"send a JSON object with {names}"
        if needed
        else f"send a JSON object; its fields are {names}"
        if names
        else "send JSON"
    )


def error_body(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The one error shape."""
    return {"error": {"code": code, "message": message, "details": details or {}}}


async def on_error(_: Request, error: Exception) -> Response:
    """The error table: a class of ours says its status; 429 and 503 also say when to come back."""
    if not isinstance(error, IntentionError):
        raise error
    headers = {"Retry-After": str(error.details.get("retryAfter", 5))} if error.status in {429, 503} else None
    return Json(error_body(error.error_code, error.message, error.details), status_code=error.status, headers=headers)


async def on_crash(_: Request, error: Exception) -> Response:
    """A fault of ours: told as such, without its text."""
    log.error("request.crashed", exc_info=error)
    return Json(error_body("internal", "something broke here; the log of this service has the details"), status_code=500)


async def on_refusal(request: Request, error: Exception) -> Response:
    """What the routing itself refuses: an unknown path, a method that a path does not take."""
    if not isinstance(error, HTTPException):
        raise error
    method, path = request.method[:20], request.url.path[:100]
    match error.status_code:
        case 404:
            told = any(isinstance(one, Route) and one.path == DOCUMENT for one in request.app.routes)
            text = f"there is nothing at {path}" + (f": GET {DOCUMENT} lists what is taken here" if told else "")
            return Json(error_body("not_found", text), status_code=404)
        case 405:
            allowed = ", ".join(_methods(request))
            body = error_body("method_not_allowed", f"{path} does not take {method}: it takes {allowed}", {"allowed": allowed})
            return Json(body, status_code=405, headers={"Allow": allowed})
    return Json(error_body("bad_request", error.detail), status_code=error.status_code, headers=error.headers)


def _methods(request: Request) -> list[str]:
    """Of all routes of the path: Starlette knows those of the first one only."""
    routes = [one for one in request.app.routes if isinstance(one, Route) and one.path_regex.match(request.url.path)]
    return sorted({method for one in routes for method in one.methods or ()})


async def on_hang_up(_: Request, __: Exception) -> Response:
    """The caller left in the middle of its body: nobody hears this, and nothing broke here."""
    return Json(error_body("hung_up", "the request ended before its body did"), status_code=400)


ERROR_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    IntentionError: on_error,
    HTTPException: on_refusal,
    ClientDisconnect: on_hang_up,
    Exception: on_crash,
}


def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    name: str,
    port_setting: str,
    processes: int = 1,
    ws: Literal["none", "websockets-sansio"] = "none",
) -> None:
    """Run one service until SIGINT or SIGTERM. A busy port is a clear message, not a traceback.

    `processes` share the address, and this one only minds them if there are more than one. `ws`: who reads websockets. Services
    without any do not load a library for them because it happens to be installed.
    """
    import uvicorn  # late: `shared` is imported by code that never serves

    from shared.prefork import prefork
    from shared.server import Server

    listener = _listen(host, port, name, port_setting)
    if processes > 1:
        listener.close()  # it was free: each child listens on a socket of its own
        prefork(processes)
        listener = _listen(host, port, name, port_setting, together=True)
    config = uvicorn.Config(
        app, lifespan="on", log_config=None, access_log=False, timeout_graceful_shutdown=12, timeout_keep_alive=65, ws=ws
    )
    Server(config).run(sockets=[listener])


def _listen(host: str, port: int, name: str, port_setting: str, *, together: bool = False) -> socket.socket:
    """`together`: with others that say so, too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle off only then; with it every answer may take 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if together:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SettingsError(
            f"{name} cannot listen on {host}:{port} ({error.strerror}): stop what uses the port, or set {port_setting}"
        ) from error
    listener.listen(2048)
    return listener


def stop(error: SettingsError) -> NoReturn:
    """Leave with the one line that says what to change."""
    raise SystemExit(f"cannot start: {error.message}")
