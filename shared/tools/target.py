"""Where a request goes: a URL read strictly, so that nobody reads it otherwise, and who may go there. Pure."""

import ipaddress
import re
from typing import Final

import idna
import msgspec

PORTS: Final = {"https": 443, "http": 80}
MOST_CHARACTERS: Final = 4_096
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without blanks and backslashes, which readers of URLs differ about."""
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*")


class BadUrl(ValueError):
    """The URL cannot be used; the message says why, without the URL."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A URL in its parts. `host` is lower case, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    """With its query."""

    @property
    def host_header(self) -> str:
        """The host as HTTP names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def read(url: str) -> Target:
    """The parts of an absolute http or https URL. BadUrl for anything that could be read in two ways."""
    if len(url) > MOST_CHARACTERS:
        raise BadUrl(f"it has more than {MOST_CHARACTERS} characters")
    head, found, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    behind = rest[len(authority) :]
    if head.lower() not in PORTS or not found:
        raise BadUrl("it does not begin with https:// or http://")
    if "@" in authority:
        raise BadUrl("a user or password in it is not taken: use a header")
    if behind and not _PLAIN.fullmatch(behind):
        raise BadUrl("its path has blanks or characters that are to be percent-encoded")
    if "#" in behind:
        raise BadUrl("a fragment (#) in it means nothing to a server")
    host, port = _host_and_port(authority)
    path = behind if behind.startswith("/") else f"/{behind}"
    return Target(scheme=head.lower(), host=host, port=port or PORTS[head.lower()], path=path)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?", authority)
    if match is None:
        raise BadUrl("its host or port cannot be read")
    port = int(match[2]) if match[2] else None
    if port is not None and not 1 <= port <= 65_535:
        raise BadUrl("its port is none")
    return (_v6(match[1][1:-1]) if match[1].startswith("[") else _name(match[1])), port


def _v6(text: str) -> str:
    try:
        found = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise BadUrl("what stands in brackets is no IPv6 address") from error
    if found.scope_id is not None:
        raise BadUrl("an address with a zone is not taken")
    return str(found)


def _name(text: str) -> str:
    """A name, or an IPv4 address in its one plain form: 127.1, 0x7f.1 and 2130706433 are no names, and not taken."""
    host = text if text.isascii() else _idn(text)
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadUrl("its host is no name")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as error:
            raise BadUrl("its host is an address in an unusual form: write four numbers") from error
    return host


def _idn(text: str) -> str:
    try:
        return idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode()
    except idna.IDNAError as error:
        raise BadUrl("its host is no name, also not as an international one") from error


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One host, or all below one, for one tenant or all (`*`)."""

    tenant: str
    host: str
    port: int | None

    def permits(self, tenant: str, target: Target) -> bool:
        """Whether the tenant may go there by this rule. Other ports than 80 and 443 must be named."""
        if self.tenant not in {"*", tenant}:
            return False
        if target.port not in ({self.port} if self.port else set(PORTS.values())):
            return False
        return self.host in {"*", target.host} or (self.host.startswith("*.") and target.host.endswith(self.host[1:]))


def rules(text: str) -> tuple[Rule, ...]:
    """Rules as the setting has them: `acme=api.example.com, *=*.example.org:8443`. ValueError says which cannot be read."""
    return tuple(_rule(part.strip()) for part in text.split(",") if part.strip())


def _rule(text: str) -> Rule:
    match = re.fullmatch(r"(\*|[a-z0-9_-]{1,40})=(\*|(?:\*\.)?[^\s*=]+?)(?::(\d{1,5}))?", text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no rule; write tenant=host, such as acme=api.example.com or *=*.example.org")
    tenant, host, port = match.groups()
    star = "*." if host.startswith("*.") else ""
    if host != "*":
        try:
            host = star + _host_and_port(host.removeprefix("*."))[0]
        except BadUrl as error:
            raise ValueError(f"{text[:80]!r}: {error}") from error
    return Rule(tenant=tenant, host=host, port=int(port) if port else None)
