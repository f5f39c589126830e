"""Names that lead somewhere else: a message for `https://app.example` may go to a process on this machine. Pure.

Only the connection is another one. Message, log, signature and Host header keep the URL that was published.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.errors import SettingsError

_NAME = re.compile(r"[a-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?")


class Wire(NamedTuple):
    """Where a message goes, and the Host header it must have there; an empty one is that of the URL."""

    url: str
    host: str


def parse(text: str) -> dict[str, str]:
    """`name=http://127.0.0.1:3001,...` as name -> origin. A name with a port is for that port only. SettingsError otherwise."""
    found: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, origin = (word.strip() for word in pair.partition("="))
        if not _NAME.fullmatch(name.lower()) or not _is_origin(origin):
            raise SettingsError(f"QSTASH_DEV_HOSTS: {pair!r} is not name=http://host:port")
        found[name.lower()] = origin.rstrip("/")
    return found


def route(hosts: Mapping[str, str], url: str) -> Wire:
    """Where to connect for this URL. What follows the host stays byte for byte."""
    if not hosts:
        return Wire(url, "")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    origin = hosts.get(host.lower()) or hosts.get(parts.hostname or "")
    if not origin:
        return Wire(url, "")
    return Wire(origin + url[len(parts.scheme) + len("://") + len(parts.netloc) :], host)


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and parts.path in {"", "/"}
    except ValueError:
        return False
