"""Proofs of who calls: JWTs signed with a key's secret, and signed token requests. Pure: times come in.

Tokens of this server are JWTs, too, so they need no storage and hold after a restart.
"""

import base64
import binascii
import hmac
from typing import Annotated, Any

import msgspec

from services.ably_dev.errors import EXPIRED, Refused
from shared import signing

DEFAULT_TTL_MS = 3_600_000
MAX_TTL_MS = 86_400_000
LEEWAY_MS = 300_000
"""How old the timestamp of a token request may be, or how far ahead."""


Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token says. `iat` and `exp` in unix seconds."""

    iat: Seconds
    exp: Seconds
    capability: str = msgspec.field(default="", name="x-ably-capability")
    client_id: str | None = msgspec.field(default=None, name="x-ably-clientId")
    nonce: str = ""


class TokenRequest(msgspec.Struct, kw_only=True, rename="camel"):
    """What a client signs to get a token. `ttl` and `timestamp` in ms."""

    key_name: str
    nonce: str
    timestamp: int
    mac: str = ""
    ttl: int | None = None
    capability: str | dict[str, list[str]] | None = None
    client_id: str | None = None

    @property
    def said_capability(self) -> str:
        """The capability as the text that was signed."""
        if self.capability is None or isinstance(self.capability, str):
            return self.capability or ""
        return msgspec.json.encode(self.capability).decode()


class _Header(msgspec.Struct):
    alg: str
    kid: str


_claims, _header = msgspec.json.Decoder(Claims), msgspec.json.Decoder(_Header)


def make(claims: Claims, key_name: str, secret: str) -> str:
    """A JWT of this server for `claims`."""
    return signing.jwt(claims, secret, kid=key_name)


def key_name(token: str) -> str:
    """Which key signed the token, as it says itself. Refused (40144) for what is no JWT of this kind."""
    head, dot, rest = token.partition(".")
    if not dot or rest.count(".") != 1:
        raise Refused(40144, 401, "the token is not a JWT")
    header: _Header = _part(_header, head)
    if header.alg != "HS256":
        raise Refused(40144, 401, "the token is not signed with HS256")
    return header.kid


def read(token: str, secret: str, now_ms: int) -> Claims:
    """The claims of a genuine token that still holds; Refused (40144, 40142) else."""
    if signing.key_of(token, [secret]) is None:
        raise Refused(40144, 401, "the token's signature does not fit its key")
    claims: Claims = _part(_claims, token.split(".")[1])
    if claims.exp * 1_000 <= now_ms:
        raise Refused(EXPIRED, 401, "the token has expired")
    if claims.exp <= claims.iat:
        raise Refused(40144, 401, "the token ends before it begins")
    return claims


def request_mac(request: TokenRequest, secret: str) -> str:
    """The signature that a token request must carry."""
    parts = (
        request.key_name,
        "" if request.ttl is None else str(request.ttl),
        request.said_capability,
        request.client_id or "",
        str(request.timestamp),
        request.nonce,
    )
    text = "".join(f"{part}\n" for part in parts)
    return base64.b64encode(hmac.digest(secret.encode(), text.encode("utf8", "surrogatepass"), "sha256")).decode()


def check_request(request: TokenRequest, secret: str, now_ms: int) -> None:
    """Refused unless the request is signed with the key and of now."""
    if not hmac.compare_digest(request_mac(request, secret).encode(), request.mac.encode("utf8", "surrogatepass")):
        raise Refused(40101, 401, "the token request's mac does not fit its key")
    if abs(now_ms - request.timestamp) > LEEWAY_MS:
        raise Refused(40104, 401, "the token request's timestamp is not of now: compare the clocks, or set queryTime")


def check_ttl(ttl: int | None) -> int:
    """A token's life in ms."""
    if ttl is None:
        return DEFAULT_TTL_MS
    if not 0 < ttl <= MAX_TTL_MS:
        raise Refused(40003, 400, f"ttl is {ttl}: it must be between 1 and {MAX_TTL_MS} ms")
    return ttl


def _part(decoder: "msgspec.json.Decoder[Any]", part: str) -> Any:
    try:
        raw = part.encode()
        return decoder.decode(base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise Refused(40144, 401, "a part of the token is not readable") from error
