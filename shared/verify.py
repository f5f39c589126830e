"""Who calls the executor and the resume service: a signature on the raw body, checked before anything is parsed.

ASGI middleware, so that no framework has touched the bytes; the body is handed on exactly as it came.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import signing
from shared.http import Json
from shared.logs import get_logger
from shared.settings import Settings

log = get_logger()

INTERNAL_HEADER: Final = b"intention-signature"
QSTASH_HEADER: Final = b"upstash-signature"
BODY_LIMIT: Final = 1_048_576
"""A failure callback carries the source body and the last answer; our own messages stay under 2 KiB."""


def signed_by(settings: Settings, url: str, headers: Mapping[bytes, bytes], body: bytes) -> tuple[str, float]:
    """Who signed a call of `url` (qstash, or internal), and when, in unix seconds; BadSignature."""
    common: dict[str, Any] = {"url": url, "body": body, "now": time.time(), "leeway": settings.jwt_leeway_s}
    if token := headers.get(QSTASH_HEADER):
        claims = signing.verify(token.decode("latin-1"), keys=settings.signing_keys, issuer=signing.QSTASH_ISSUER, **common)
        log.info("signature.verified", message="QStash webhook verified, parsing body...", jti=claims.jti)
        return "qstash", claims.iat
    if token := headers.get(INTERNAL_HEADER):
        keys = (settings.internal_signing_key,)
        claims = signing.verify(token.decode("latin-1"), keys=keys, issuer=signing.INTERNAL_ISSUER, **common)
        return "internal", claims.iat
    raise signing.BadSignature("there is no Upstash-Signature header")


class SignatureMiddleware:
    """Lets through calls of the protected paths that are signed by QStash, or by one of our own services; 401 otherwise."""

    def __init__(self, app: ASGIApp, *, settings: Settings, base_url: str, paths: frozenset[str]) -> None:
        """`base_url`: this service's public URL, which the `sub` claim must name whatever proxy stands before it."""
        self._app = app
        self._settings = settings
        self._base_url = base_url.rstrip("/")
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not self.applies(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            await _refuse(scope, receive, send, 413, f"the body is larger than {BODY_LIMIT} bytes")
            return
        try:
            who, issued_s = signed_by(self._settings, self._base_url + scope["path"], dict(scope["headers"]), body)
        except signing.BadSignature as error:
            log.warning("signature.refused", path=scope["path"], why=str(error), bytes=len(body))
            await _refuse(scope, receive, send, 401, "Invalid QStash signature")
            return
        scope["state"] = {**scope.get("state", {}), "caller": who, "issued_s": issued_s}
        await self._app(scope, _replay(body, receive), send)

    def applies(self, path: str) -> bool:
        """Whether a request of `path` must be signed."""
        return path in self._paths


async def _read(receive: Receive) -> bytes | None:
    parts = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(parts)
        parts += message.get("body", b"")
        more = message.get("more_body", False)
        if len(parts) > BODY_LIMIT:
            return None
    return bytes(parts)


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, message: str) -> None:
    code = "unauthorized" if status == 401 else "too_large"
    answer = Json({"error": {"code": code, "message": message, "details": {}}}, status_code=status)
    await answer(scope, receive, send)
