"""Addresses at which a waiting step is called: signed, for one step of one execution, until a moment. Pure.

The address holds all that is to be known, so nothing is stored of it: the engine keeps `callback://<execution>/<step>` in its
place wherever arguments are recorded, and puts the real one in only when a tool is called. Single use is the inbox's: the
signal's id follows from the address.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from shared.machine.decision import Start

LIFE_S: Final = 30 * 86_400
_PLACE: Final = re.compile(r"callback://(exe_[0-9a-f]{2}_[0-9a-f]{32})/([A-Za-z0-9_.-]{1,80})")
_MAC_BYTES: Final = 16


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """What an address says."""

    execution: str
    tenant: str
    step: str
    until_s: int
    attempt: int = 0
    """Of the call whose tool is to call back; 0 for a step that only waits."""

    @property
    def sid(self) -> str:
        """The signal's id: one address is used once."""
        text = f"callback/{self.execution}/{self.step}/{self.attempt}"
        return "callback:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def token_of(url: str) -> str:
    """The part of an address that says everything."""
    return url.rpartition("/")[2]


class BadTicket(Exception):
    """The address was not made here, or is too old."""


class Addresses:
    """Makes and reads addresses."""

    def __init__(self, key: str, base_url: str) -> None:
        """`key` signs; `base_url` is where ingress is reached from outside."""
        self._key = hashlib.sha256(b"callbacks:" + key.encode()).digest()
        self._base = base_url.rstrip("/")

    def url(self, ticket: Ticket) -> str:
        """The address."""
        data = msgspec.json.encode(ticket)
        return f"{self._base}/api/waits/{_text(data)}.{_text(self._mac(data))}"

    def read(self, token: str, now_s: float) -> Ticket:
        """What the last part of an address says; BadTicket."""
        data, _, mac = token.partition(".")
        try:
            raw, given = _bytes(data), _bytes(mac)
        except (binascii.Error, ValueError) as error:
            raise BadTicket("it is not readable") from error
        if not hmac.compare_digest(self._mac(raw), given):
            raise BadTicket("it was not made here, or was changed")
        ticket = msgspec.json.decode(raw, type=Ticket)
        if now_s > ticket.until_s:
            raise BadTicket("it is too old")
        return ticket

    def of_call(self, start: Start, now_s: float) -> str:
        """Where the tool of one attempt calls back."""
        return self.url(Ticket(start.execution, start.tenant, start.step, int(now_s) + LIFE_S, start.intent.attempt))

    def fill(self, value: Any, start: Start, now_s: float) -> Any:
        """`value` with the real address wherever the engine keeps the place of one of this execution.

        A place of another execution is somebody's text and stays text.
        """

        def real(found: "re.Match[str]") -> str:
            if found[1] != start.execution:
                return found[0]
            attempt = start.intent.attempt if found[2] == start.step else 0
            return self.url(Ticket(found[1], start.tenant, found[2], int(now_s) + LIFE_S, attempt))

        return _each_text(value, lambda text: _PLACE.sub(real, text))

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")[:_MAC_BYTES]


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value) if "callback://" in value else value
        case dict():
            return {key: _each_text(item, change) for key, item in value.items()}
        case list() | tuple():
            return [_each_text(item, change) for item in value]
        case _:
            return value


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
