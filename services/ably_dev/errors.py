"""Refusals in Ably's shape: a code of theirs, an HTTP status and a sentence. On the wire `{"error": {...}}`, or in a frame."""

from typing import Any

from shared.errors import IntentionError

EXPIRED = 40142
"""The code of a token whose time is over: clients renew and try again."""


class Refused(Exception):
    """Something is not done; the code says to a client whether to renew its token (40140 to 40149)."""

    def __init__(self, code: int, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message

    def info(self) -> dict[str, Any]:
        """Ably's ErrorInfo."""
        return {"code": self.code, "statusCode": self.status, "message": self.message}


def malformed(message: str) -> Refused:
    """The request itself is wrong."""
    return Refused(40000, 400, message)


def not_permitted(operation: str, channel: str) -> Refused:
    """The caller's capability says no."""
    return Refused(40160, 401, f"the capability of this key or token does not permit {operation!r} on channel {channel!r}")


def from_ours(error: IntentionError) -> Refused:
    """An error of the shared tree as Ably would word it."""
    codes = {413: 40009, 503: 50003, 404: 40400, 401: 40100}
    return Refused(codes.get(error.status, 40000 if error.status < 500 else 50000), error.status, error.message)
