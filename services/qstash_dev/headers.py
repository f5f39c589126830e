"""Names of headers: Go's canonical form, and those that belong to one connection and are never forwarded. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Pairs: TypeAlias = list[tuple[str, str]]

# RFC 9110 7.6.1, and what a client computes itself. The workflow SDKs forward every inbound header again: with a stale
# content-length the second hop would hang, with a stale host it would go astray.
HOP_BY_HOP = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)

# What this server says about a delivery itself; a forwarded one of these is from an earlier hop and would be a lie.
OWN = frozenset(
    (
        "user-agent",
        "upstash-caller-ip",
        "upstash-message-id",
        "upstash-region",
        "upstash-retried",
        "upstash-schedule-id",
        "upstash-signature",
        "upstash-topic-name",
    )
)

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_canonical: dict[str, str] = {}


def canonical(name: str) -> str:
    """`x-REQUEST-id` as `X-Request-Id`, as Go writes it and so as QStash delivers and shows it."""
    known = _canonical.get(name)
    if known is None:
        known = "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))
        if len(_canonical) < 1_000:  # names come from callers: remember the usual ones, not every one
            _canonical[name] = known
    return known


def usable(name: str, value: str) -> bool:
    """Whether the pair can be sent: a batch carries headers as JSON, where a line break would be a header of its own."""
    return bool(_NAME.fullmatch(name)) and bool(_VALUE.fullmatch(value))


def text(raw: bytes) -> str:
    """A header's bytes as text: UTF-8 where it is, else Latin-1, so that no byte makes a request fail."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """`{Name: [values]}`, the form of every JSON answer."""
    out: dict[str, list[str]] = {}
    for name, value in pairs:
        out.setdefault(name, []).append(value)
    return out


def first(wanted: str, found: Mapping[str, list[str]]) -> str | None:
    """The first value of a canonically named header."""
    values = found.get(wanted)
    return values[0] if values else None
