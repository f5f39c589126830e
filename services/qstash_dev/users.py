"""Who may call: a token names a user, and a user has signing keys and data of their own."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from services.qstash_dev.keys import Keys
from shared.errors import SettingsError, Unauthorized
from shared.settings import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN, Settings


@dataclass(frozen=True, slots=True)
class User:
    """A token and what belongs to it."""

    name: str
    token: str = field(repr=False)
    current_key: str = field(repr=False)
    next_key: str = field(repr=False)

    @property
    def keys(self) -> Keys:
        """The user's Redis keys."""
        return _keys(self.name)


_known_keys: dict[str, Keys] = {}


def _keys(name: str) -> Keys:
    return _known_keys.setdefault(name, Keys(name))


# QStash's public development users (reference 4): the same ones in every `qstash dev`, safe to print.
DEV_USERS = (
    User("defaultUser", DEV_TOKEN, DEV_CURRENT_KEY, DEV_NEXT_KEY),
    User(
        "testUser1",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        "sig_7GVPjvuwsfqF65iC8fSrs1dfYruM",
        "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua",
    ),
    User(
        "testUser2",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
        "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
    ),
    User(
        "testUser3",
        "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
        "sig_5T8FcSsynBjn9mMLBsXhpacRovJf",
        "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
    ),
)


def of(settings: Settings) -> tuple[User, ...]:
    """The users of this server, the configured one first.

    Tokens that everybody knows are accepted in local mode only, and only where the configured token is one of them: with a
    token of one's own (compose makes one), whoever reaches the port must know it.
    """
    if not settings.token:
        raise SettingsError("QSTASH_TOKEN is empty: choose the token callers must send, or set INTENTION_MODE=local")
    public = next((user for user in DEV_USERS if user.token == settings.token), None)
    if public and not settings.local:
        raise SettingsError("QSTASH_TOKEN is QStash's public development token: only INTENTION_MODE=local takes it")
    token, *signing = map(str, (settings.token, *settings.signing_keys))  # out of their Secret: they are answers here
    own = User(public.name if public else _name(token), token, signing[0], signing[-1])
    return (own, *(user for user in DEV_USERS if public and user is not public))


def authenticate(users: Sequence[User], token: str) -> User:
    """The user of this token; Unauthorized when there is none."""
    given = token.encode()
    for user in users:
        if hmac.compare_digest(user.token.encode(), given):
            return user
    raise Unauthorized("unauthorized: this token belongs to no user of this server")


def _name(token: str) -> str:
    """The UserID that QStash's tokens carry, else one made from the token; it goes into key names."""
    try:
        name = msgspec.json.decode(base64.b64decode(token, validate=True)).get("UserID", "")
    except (binascii.Error, ValueError, AttributeError):
        name = ""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return name
    return "user-" + hashlib.sha256(token.encode()).hexdigest()[:16]
