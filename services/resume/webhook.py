"""`POST /api/mesh/resume`: whoever may say that an execution should be looked at, each with a proof of its own.

The headers choose the proof, and the raw body is proven before anything of it is read:

    X-Ably-Signature, X-Ably-Key    a batch of Ably's, signed with the secret of one of ABLY_WEBHOOK_KEYS
    X-Mesh-Secret                   a single message of Ably's, which is not signed: the header is ABLY_WEBHOOK_SECRET
    Upstash-, Intention-Signature   {"executionId"}: QStash, or a service of our own
    none of these                   {"executionId"}: an API key, for the executions of its tenant
"""

import base64
import hmac
from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.resume import ably_bodies
from shared.ably import api_key
from shared.api.signed import Hinted
from shared.background import Background
from shared.callers import Callers
from shared.door import Door
from shared.errors import BadRequest, NotFound, Unauthorized
from shared.http import Json, decode, read_body
from shared.logs import get_logger
from shared.mesh import Hint
from shared.pacing import Sparing
from shared.settings import Settings
from shared.signing import BadSignature
from shared.verify import INTERNAL_HEADER, QSTASH_HEADER, signed_by

log = get_logger()

RESUME_PATH: Final = "/api/mesh/resume"
SIGNATURE: Final = "x-ably-signature"
KEY: Final = "x-ably-key"
SECRET: Final = "x-mesh-secret"  # noqa: S105 - a header's name
VERSION: Final = "x-ably-version"
ABLY_LIMIT: Final = 8_388_608
"""Bytes of a webhook of Ably's: a hundred messages of 64 KiB, with what stands around them."""
CALL_LIMIT: Final = 65_536
"""Bytes of every other call."""


class Asked(msgspec.Struct, frozen=True, rename="camel"):
    """`{"executionId": ...}`: please look at it."""

    execution_id: str
    segment: int = -1


_asked = msgspec.json.Decoder(Asked)


class Webhook:
    """The route. One for a process."""

    def __init__(self, settings: Settings, door: Door, callers: Callers, background: Background) -> None:
        """`background`: what a webhook is not made to wait for."""
        self._settings = settings
        self._door = door
        self._callers = callers
        self._background = background
        keys = [api_key(text) for text in settings.ably_webhook_keys.split(",") if text.strip()]
        self._secrets: Mapping[str, str] = {key.name: key.secret for key in keys}
        self._sparing = Sparing()

    async def __call__(self, request: Request) -> Response:
        """200 or 202 once it is durable, 401 without a proof, 400 and 413 for the body, 503 while Redis is away."""
        names = request.headers.keys()
        if not {SIGNATURE, KEY, SECRET, VERSION}.isdisjoint(names):
            return await self._ably(request)
        if not {QSTASH_HEADER.decode(), INTERNAL_HEADER.decode()}.isdisjoint(names):
            return await self._signed(request)
        tenant = self._callers.tenant(request)
        return await self._one(await read_body(request, CALL_LIMIT), tenant)

    async def _ably(self, request: Request) -> Response:
        """A webhook may come twice, late, and in any order: each message counts once."""
        headers = request.headers
        signed = SIGNATURE in headers or KEY in headers
        secret = self._shown(headers, signed=signed)
        body = await read_body(request, ABLY_LIMIT)
        if signed and not _is_signed(body, secret, headers.get(SIGNATURE, "")):
            raise self._refused("X-Ably-Signature does not fit the body and the key", key=headers[KEY][:100])
        try:
            found = ably_bodies.read(body, headers, signed=signed)
        except ably_bodies.NotAbly as error:
            self._sparing.say("webhook.unreadable", why=str(error), bytes=len(body))
            raise BadRequest("the body is no webhook of Ably's: a batch, or a message with or without an envelope") from error
        for why in found.unread:
            self._sparing.say("hint.ignored", why=why)
        said = [self._door.read(one.channel, one.id, one.name, one.data) for one in found.messages]
        return await self._take([hint for hints in said for hint in hints])

    async def _take(self, hints: list[Hint]) -> Response:
        noted, away = await self._door.note_all(hints)
        self._background.start(self._door.wake_all(noted))
        if away is not None:  # Ably sends all of it again; what was noted counts once
            raise away
        return Json(Hinted(result="noted", hints=len(hints)))

    def _shown(self, headers: Mapping[str, str], *, signed: bool) -> str:
        """What can be seen before the body is read: the secret of the key that is named; Unauthorized for a false proof."""
        if SECRET in headers or not signed:
            self._check_secret(headers.get(SECRET, ""))
        if not signed:
            return ""
        found = self._secrets.get(headers.get(KEY, ""))
        if found is None:
            raise self._refused("X-Ably-Key is none of ABLY_WEBHOOK_KEYS", key=headers.get(KEY, "")[:100])
        return found

    def _check_secret(self, given: str) -> None:
        secret = self._settings.ably_webhook_secret
        if not secret:
            raise self._refused("an unsigned webhook, and ABLY_WEBHOOK_SECRET is empty")
        if not hmac.compare_digest(secret.encode(), given.encode("utf8", "surrogatepass")):
            raise self._refused("X-Mesh-Secret is missing, or is not ABLY_WEBHOOK_SECRET")

    async def _signed(self, request: Request) -> Response:
        body = await read_body(request, CALL_LIMIT)
        url = self._settings.resume_url.rstrip("/") + RESUME_PATH
        try:
            signed_by(self._settings, url, dict(request.headers.raw), body)
        except BadSignature as error:
            raise self._refused(str(error)) from error
        return await self._one(body, "")

    async def _one(self, body: bytes, tenant: str) -> Response:
        """One execution, by a call. Its caller hears what came of it."""
        asked = decode(_asked, body)
        hint = Hint(message="", execution=asked.execution_id, segment=asked.segment, tenant=tenant)
        noted = await self._door.note(hint, limited=False)
        if noted.absent and tenant:
            raise NotFound(f"there is no execution {asked.execution_id[:60]}")
        if noted.segment is None:
            return Json(Hinted(result=noted.result))
        return Json(Hinted(result=await self._door.wake(noted), segment=noted.segment), status_code=202)

    def _refused(self, why: str, **facts: str) -> Unauthorized:
        """Why, for our log; the caller is not told what to try next."""
        self._sparing.say("webhook.refused", why=why, **facts)
        return Unauthorized("no valid proof of who calls: see the log of this service")


def _is_signed(body: bytes, secret: str, signature: str) -> bool:
    expected = base64.b64encode(hmac.digest(secret.encode(), body, "sha256"))
    return hmac.compare_digest(expected, signature.encode("utf8", "surrogatepass"))
