"""What a call may come to instead of an answer.

ClientError
├── Refused        ingress said no: status, code, message, details
├── Unreachable    nobody answered, or not as ingress does
└── StillRunning   the time to wait is up
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from shared.api.base import Refusal
from shared.errors import BUSY

if TYPE_CHECKING:  # whoever only wants to know a refusal needs no shape of an answer
    from shared.api.executions import Execution


class ClientError(Exception):
    """A call of ingress did not come about."""


class Unreachable(ClientError):
    """Nobody answered, or what answered is not ingress: then with the `status` of its answer."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        """`status` 0: nobody answered."""
        super().__init__(message)
        self.status = status


class Refused(ClientError):
    """Ingress refused. `code` is for programs, `message` names the place and the remedy."""

    def __init__(self, status: int, code: str, message: str, details: Mapping[str, Any]) -> None:
        """As the answer has them."""
        super().__init__(f"{message} [{status} {code}]")
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    @property
    def undone(self) -> bool:
        """Whether nothing was done for it: ingress has too much to do. The same may be asked again, also without a key."""
        return self.code == BUSY


class StillRunning(ClientError):
    """The time to wait is up; `execution` is how it stood last."""

    def __init__(self, execution: "Execution") -> None:
        """How it stood last."""
        super().__init__(f"{execution.id} is {execution.status} after the time to wait")
        self.execution = execution


_refusal = msgspec.json.Decoder(Refusal)


def refused(status: int, body: bytes, url: httpx.URL) -> Refused | Unreachable:
    """What an answer that is not 2xx says."""
    try:
        error = _refusal.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = f"{plain(url)} answered {status}, and nothing that could be read: is that ingress?"
        return Unreachable(message, status=status)
    return Refused(status, error.code, error.message, error.details)


def plain(url: httpx.URL) -> httpx.URL:
    """Without the password of a proxy before ingress."""
    return url.copy_with(userinfo=b"")
