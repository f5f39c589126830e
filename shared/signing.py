"""Signatures on calls: compact HS256 JWTs over the raw body, as QStash makes them. Pure: bytes and times in, verdict out.

Claims (QStash, reference of the official receivers): `iss`, `sub` = destination URL as published, `iat`, `nbf`, `exp` in unix
seconds, `jti` a string, `body` = base64url SHA-256 of the raw body (with or without padding).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

QSTASH_ISSUER = "Upstash"
INTERNAL_ISSUER = "intention"


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature says. Times are unix seconds."""

    iss: str
    sub: str
    exp: float
    nbf: float
    body: str
    iat: float = 0
    jti: str = ""


class BadSignature(Exception):
    """Why a signature was refused; the text is for our log, never for the caller."""


class _Header(msgspec.Struct):
    alg: str


_claims = msgspec.json.Decoder(Claims)
_header = msgspec.json.Decoder(_Header)


def body_hash(body: bytes) -> str:
    """base64url SHA-256 without padding, the `body` claim."""
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def jwt(claims: Any, key: str, *, kid: str = "") -> str:
    """A compact JWT; the key is used as its UTF-8 bytes. `kid`: the key's name, where the reader has several (Ably)."""
    header = {"alg": "HS256", "typ": "JWT"} | ({"kid": kid} if kid else {})
    signed = b".".join(base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=") for part in (header, claims))
    return (signed + b"." + _mac(signed, key)).decode()


def sign(claims: Claims, key: str) -> str:
    """The token for `claims`, as QStash makes it."""
    return jwt(claims, key)


def sign_call(*, issuer: str, url: str, body: bytes, key: str, now: float, jti: str, lifetime: float = 300) -> str:
    """A token for one call of `url` with `body`, valid from `now` for `lifetime` seconds."""
    return sign(
        Claims(iss=issuer, sub=url, exp=now + lifetime, nbf=now, iat=now, jti=jti, body=body_hash(body)),
        key,
    )


def verify(token: str, *, keys: Sequence[str], issuer: str, url: str, body: bytes, now: float, leeway: float) -> Claims:
    """The claims of a genuine token for this call, else BadSignature with one reason.

    The keys are tried in order (current, then next), so that a rotation never drops a message.
    """
    signed, dot, _ = token.encode("utf-8", "replace").rpartition(b".")
    if not dot or signed.count(b".") != 1:
        raise BadSignature("not a JWT of three parts")
    head, _, payload = signed.partition(b".")
    if _decode(_header, head).alg != "HS256":
        raise BadSignature("the JWT is not signed with HS256")
    if key_of(token, keys) is None:
        raise BadSignature("signed with neither the current nor the next key, or changed on the way")
    claims = _decode(_claims, payload)
    _check(claims, issuer=issuer, url=url, body=body, now=now, leeway=leeway)
    return claims


def key_of(token: str, keys: Sequence[str]) -> int | None:
    """Which of the keys signed the token; None if none did. It says nothing of the claims."""
    signed, _, mac = token.encode("utf-8", "replace").rpartition(b".")
    given = mac.rstrip(b"=")
    return next((number for number, key in enumerate(keys) if hmac.compare_digest(_mac(signed, key), given)), None)


def _check(claims: Claims, *, issuer: str, url: str, body: bytes, now: float, leeway: float) -> None:
    if claims.iss != issuer:
        raise BadSignature(f"issuer is {claims.iss!r}, not {issuer!r}")
    if claims.sub != url:
        raise BadSignature(f"made for {claims.sub!r}, but this endpoint's public URL is {url!r}")
    if now > claims.exp + leeway:
        raise BadSignature(f"expired {now - claims.exp:.0f} s ago")
    if now < claims.nbf - leeway:
        raise BadSignature(f"not valid for another {claims.nbf - now:.0f} s: compare the clocks")
    if not hmac.compare_digest(claims.body.rstrip("=").encode(), body_hash(body).encode()):
        raise BadSignature("the body is not the one that was signed")


def _mac(signed: bytes, key: str) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(key.encode(), signed, "sha256")).rstrip(b"=")


T = TypeVar("T")


def _decode(decoder: "msgspec.json.Decoder[T]", part: bytes) -> T:
    try:
        return decoder.decode(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadSignature("a part of the JWT is not readable") from error
