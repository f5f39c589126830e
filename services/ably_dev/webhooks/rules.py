"""Rules that hand messages on, in the shape of Ably's Control API, and the bodies and headers they make. Pure."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from services.ably_dev import messages
from services.ably_dev.access import Key
from services.ably_dev.log import Placed
from shared.errors import SettingsError

SITE = "ably-dev"
BATCH = 50


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A header of one's own, a secret for instance."""

    name: str
    value: str


class Source(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which messages."""

    channel_filter: str = ""
    """A regular expression, not anchored; empty: every channel."""
    type: Literal["channel.message"] = "channel.message"


class Target(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Where to, and how."""

    url: str
    headers: tuple[Header, ...] = ()
    signing_key_id: str | None = None
    """The name of a key of this server: `app.keyid`. Batches only, as at Ably."""
    enveloped: bool = True
    format: Literal["json"] = "json"


class Rule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One rule. `app_id` is needed when there is more than one app."""

    target: Target
    source: Source = Source()
    request_mode: Literal["single", "batch"] = "batch"
    rule_type: Literal["http"] = "http"
    app_id: str = ""
    rule_id: str = ""
    """Under which its queue is kept; one made from the rule unless it is given."""

    def wants(self, app: str, channel: str) -> bool:
        """Whether what is published there concerns it."""
        return app == self.app_id and bool(re.search(self.source.channel_filter, channel))


class Call(msgspec.Struct, frozen=True):
    """A POST: its body as it is signed, and its headers."""

    body: bytes
    headers: dict[str, str]


_HEADER, _VALUE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"), re.compile(r"[\x20-\x7e]*")
_rules = msgspec.json.Decoder(list[Rule])


def parse(text: str, keys: Mapping[str, Key]) -> tuple[Rule, ...]:
    """ABLY_DEV_RULES; SettingsError names what is wrong."""
    if not text:
        return ()
    try:
        found = _rules.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SettingsError(f"ABLY_DEV_RULES is not a JSON list of rules: {error}") from error
    rules = tuple(_checked(place, rule, keys) for place, rule in enumerate(found))
    if len({rule.rule_id for rule in rules}) < len(rules):
        raise SettingsError("ABLY_DEV_RULES has the same rule twice: give each a ruleId of its own")
    return rules


def _checked(place: int, rule: Rule, keys: Mapping[str, Key]) -> Rule:
    where = f"ABLY_DEV_RULES[{place}]"
    try:
        re.compile(rule.source.channel_filter)
    except re.error as error:
        raise SettingsError(f"{where}.source.channelFilter is not a regular expression: {error}") from error
    if not _is_address(rule.target.url):
        raise SettingsError(f"{where}.target.url is not an http address")
    if not all(_HEADER.fullmatch(header.name) and _VALUE.fullmatch(header.value) for header in rule.target.headers):
        raise SettingsError(f"{where}.target.headers has a name or a value that is none of a header")
    signing = rule.target.signing_key_id
    if signing and signing not in keys:
        raise SettingsError(f"{where}.target.signingKeyId is {signing}, which is no key of this server: write app.keyid")
    if signing and rule.request_mode == "single":
        raise SettingsError(f"{where}: Ably signs batches only; put a secret into target.headers, or set requestMode to batch")
    apps = {key.app for key in keys.values()}
    if not rule.app_id and len(apps) > 1:
        raise SettingsError(f"{where}.appId is missing, and there are several apps")
    named = hashlib.blake2b(msgspec.json.encode(rule), digest_size=6).hexdigest()
    return msgspec.structs.replace(rule, app_id=rule.app_id or apps.pop(), rule_id=rule.rule_id or named)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", text)
    except ValueError:
        return False


def batch(rule: Rule, entries: Sequence[tuple[str, Placed]], key: Key | None, *, forged: bool = False) -> Call:
    """One call for many publishes, each (channel, entry)."""
    body = msgspec.json.encode({"items": [_item(rule, channel, placed) for channel, placed in entries]})
    headers = _headers(rule, "application/json")
    if key:
        mac = sign(body + (b"?" if forged else b""), key.secret)
        headers |= {"X-Ably-Key": key.name, "X-Ably-Signature": mac}
    return Call(body, headers)


def sign(body: bytes, secret: str) -> str:
    """X-Ably-Signature: of the raw body only."""
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def single(rule: Rule, channel: str, placed: Placed) -> list[Call]:
    """One call for each message of a publish."""
    raw = messages.wire(placed.entry, placed.at, binary=False)
    if not rule.target.enveloped:
        return [_bare(rule, channel, message) for message in raw]
    envelope = {"source": rule.source.type, "appId": rule.app_id, "channel": channel, "site": SITE, "ruleId": rule.rule_id}
    headers = _headers(rule, "application/json")
    return [Call(msgspec.json.encode(envelope | {"messages": [message]}), headers) for message in raw]


def _item(rule: Rule, channel: str, placed: Placed) -> dict[str, Any]:
    raw = messages.wire(placed.entry, placed.at, binary=False)
    return {
        "webhookId": rule.rule_id,
        "source": rule.source.type,
        "serial": str(placed.at),
        "timestamp": placed.at.ms,
        "name": rule.source.type,
        "data": {"channelId": channel, "site": SITE, "messages": raw},
    }


def _bare(rule: Rule, channel: str, message: dict[str, Any]) -> Call:
    data, encoding = messages.to_bytes(message.get("data"), message.get("encoding"))
    kind = "application/octet-stream" if isinstance(data, bytes) else "text/plain"
    if encoding == "json":
        kind, encoding = "application/json", None
    named = {
        "x-ably-envelope-appid": rule.app_id,
        "x-ably-envelope-channel": channel,
        "x-ably-envelope-rule-id": rule.rule_id,
        "x-ably-envelope-site": SITE,
        "x-ably-envelope-source": rule.source.type,
        "x-ably-message-id": message["id"],
        "x-ably-message-timestamp": str(message["timestamp"]),
        "x-ably-message-name": message.get("name"),
        "x-ably-message-client-id": message.get("clientId"),
        "x-ably-message-connection-id": message.get("connectionId"),
        "x-ably-message-encoding": encoding,
    }
    # A header holds latin-1 at most, and no line end.
    told = {name: re.sub(r"[^\x20-\x7e]", "?", value) for name, value in named.items() if value is not None}
    return Call(data if isinstance(data, bytes) else (data or "").encode(), _headers(rule, kind) | told)


def _headers(rule: Rule, kind: str) -> dict[str, str]:
    own = {header.name: header.value for header in rule.target.headers}
    return {"content-type": kind, "x-ably-version": "1.2"} | own


def batch_wait_ms(failures: int) -> int:
    """After so many failures in a row: 1 s, 1.4 s, 2 s, 2.8 s … up to a minute."""
    return min(60_000, int(1_000 * 2 ** (min(failures - 1, 20) / 2)))
