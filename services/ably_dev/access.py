"""Keys, and who calls: by a key, by a token, on HTTP or at a websocket."""

import base64
import binascii
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from services.ably_dev import capability, tokens
from services.ably_dev.capability import Capability
from services.ably_dev.errors import EXPIRED, Refused, not_permitted
from shared.errors import SettingsError

KEY = re.compile(r"([A-Za-z0-9_-]{1,40})\.([A-Za-z0-9_-]{1,40}):(\S{8,200})")
MAX_SEEN = 10_000


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: `<app>.<id>:<secret>`, and what it may do at most."""

    name: str
    secret: str = field(repr=False)
    capability: Capability

    @property
    def app(self) -> str:
        """The app, whose channels are nobody else's."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a key, narrowed by a token if there is one."""

    key: Key
    capability: Capability
    client_id: str | None = None
    expires_ms: int | None = None
    """When its token ends, unix ms; None without a token."""

    @property
    def app(self) -> str:
        """Whose channels these are."""
        return self.key.app

    def permits(self, operation: str, channel: str) -> bool:
        """A token can only narrow its key."""
        return all(capability.permits(one, channel, operation) for one in (self.key.capability, self.capability))

    def must(self, operation: str, channel: str) -> None:
        """Refused (40160) unless it is permitted."""
        if not self.permits(operation, channel):
            raise not_permitted(operation, channel)


def parse_key(text: str, permitted: Capability = capability.EVERYTHING) -> Key:
    """A key from its text; SettingsError for one that is none (it is not shown: half of it may be a secret)."""
    found = KEY.fullmatch(text)
    if not found:
        raise SettingsError("an Ably key is not usable: write appid.keyid:secret, the secret of at least 8 characters")
    return Key(f"{found[1]}.{found[2]}", found[3], permitted)


class Keyring:
    """The keys of this server."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys = dict(keys)
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._ended: set[bytes] = set()

    @property
    def apps(self) -> set[str]:
        """All apps that have a key."""
        return {key.app for key in self._keys.values()}

    def key(self, name: str) -> Key:
        """The key of this name; Refused (40400) when there is none."""
        found = self._keys.get(name)
        if found is None:
            raise Refused(40400, 404, f"no key is called {name[:100]!r}")
        return found

    def by_key(self, text: str) -> Caller:
        """Who sends a whole key; Refused (40101) when it is not one of ours."""
        name, _, secret = text.partition(":")
        found = self._keys.get(name)
        if found is None or not hmac.compare_digest(found.secret.encode(), secret.encode("utf8", "surrogatepass")):
            raise Refused(40101, 401, "this API key is not one of this server's: see ABLY_DEV_KEY")
        return Caller(found, capability.EVERYTHING)

    def by_token(self, token: str, now_ms: int) -> Caller:
        """Who sends a token; Refused (40142 expired, 40144 otherwise wrong)."""
        key = self._keys.get(tokens.key_name(token))
        if key is None:
            raise Refused(40144, 401, "the token is of a key that this server does not have")
        claims = tokens.read(token, key.secret, now_ms)
        self._check_not_ended(token)
        return Caller(key, capability.parse(claims.capability), claims.client_id or None, int(claims.exp * 1_000))

    def end_all_tokens(self) -> int:
        """All tokens seen so far have expired, as far as this process is concerned. How many."""
        self._ended |= set(self._seen)
        ended = len(self._seen)
        self._seen.clear()
        return ended

    def issue(self, request: tokens.TokenRequest, now_ms: int, *, signed: bool) -> dict[str, object]:
        """Ably's TokenDetails for a request, which a key's holder need not sign."""
        key = self.key(request.key_name)
        if signed:
            tokens.check_request(request, key.secret, now_ms)
        ttl = tokens.check_ttl(request.ttl)
        said = request.said_capability or msgspec.json.encode(key.capability).decode()
        capability.parse(said)
        claims = tokens.Claims(
            iat=now_ms / 1_000,
            exp=(now_ms + ttl) / 1_000,
            capability=said,
            client_id=request.client_id,
            nonce=request.nonce,  # two requests in one millisecond get two tokens
        )
        found: dict[str, object] = {
            "token": tokens.make(claims, key.name, key.secret),
            "keyName": key.name,
            "issued": now_ms,
            "expires": now_ms + ttl,
            "capability": said,
        }
        return found | ({"clientId": request.client_id} if request.client_id else {})

    def _check_not_ended(self, token: str) -> None:
        digest = hashlib.blake2b(token.encode(), digest_size=16).digest()
        if digest in self._ended:
            raise Refused(EXPIRED, 401, "the token has expired (fault on demand)")
        self._seen[digest] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)


def of_header(keyring: Keyring, header: str, now_ms: int) -> Caller:
    """Who sends this Authorization header."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic":
        return keyring.by_key(_decoded(value))
    if scheme.lower() == "bearer":
        # Clients encode the token once more; Ably takes a bare JWT, too, and base64 has no dot.
        return keyring.by_token(value if "." in value else _decoded(value), now_ms)
    raise Refused(40101, 401, "send a key (Authorization: Basic) or a token (Bearer)")


def of_query(keyring: Keyring, query: Mapping[str, str], now_ms: int) -> Caller:
    """Who opens a websocket, or asks with `?key=` or `?accessToken=`."""
    if token := query.get("accessToken") or query.get("access_token"):
        return keyring.by_token(token, now_ms)
    if key := query.get("key"):
        return keyring.by_key(key)
    raise Refused(40101, 401, "send a key (?key=) or a token (?accessToken=)")


def with_client_id(caller: Caller, wanted: str | None) -> Caller:
    """The caller under the client id it asks for; Refused (40102) when its token says another one."""
    if wanted == "*" or (wanted and caller.client_id not in (None, "*", wanted)):
        raise Refused(40102, 401, "the clientId is not the one of the token")
    return Caller(caller.key, caller.capability, wanted or caller.client_id, caller.expires_ms)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Refused(40101, 401, "the Authorization header is not base64") from error
