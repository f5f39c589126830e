"""The error tree. A class says which status it becomes and whether trying again can help; one table at the edge reads it.

IntentionError
├── BadRequest 400            the request itself is wrong: names the place and the remedy
│   ├── Unprocessable 422     well formed, but not to be done as it stands (a plan with a cycle, a question to answer)
│   ├── TooLarge 413          larger than a stated limit
│   └── UnsupportedMedia 415  a body that does not say it is JSON
├── Unauthorized 401          no proof of who calls
├── Forbidden 403             known, and not allowed to do this
├── NotFound 404              not there, or not this tenant's (the same answer on purpose)
├── Conflict 409              the same key with another body, or a version that has moved on
├── TooMany 429               a stated limit is used up: try again later
├── Unavailable 503           a neighbour (Redis, QStash, the town) is away: try again
└── SettingsError             the environment is wrong: the process must not start
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

BUSY: Final = "busy"
"""Code of a refusal before anything was done: the same request may simply be made again, with an Idempotency-Key or without."""


class IntentionError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, *, code: str | None = None, **details: Any) -> None:
        """`message` defaults to the class docstring; `details` go into the answer as they are, so no secrets."""
        super().__init__(message or (self.__doc__ or "").strip())
        self.message = str(self)
        self.error_code = code or type(self).code
        self.details: Mapping[str, Any] = details


class BadRequest(IntentionError):
    """The request is malformed."""

    status = 400
    code = "bad_request"


class Unprocessable(BadRequest):
    """The request cannot be done as it stands."""

    status = 422
    code = "unprocessable"


class TooLarge(BadRequest):
    """The request is larger than the limit."""

    status = 413
    code = "too_large"


class UnsupportedMedia(BadRequest):
    """The body is not of a type that is taken here."""

    status = 415
    code = "unsupported_media_type"


class Unauthorized(IntentionError):
    """The caller is not known."""

    status = 401
    code = "unauthorized"


class Forbidden(IntentionError):
    """The caller may not do this."""

    status = 403
    code = "forbidden"


class NotFound(IntentionError):
    """There is no such thing."""

    status = 404
    code = "not_found"


class Conflict(IntentionError):
    """It is already something else."""

    status = 409
    code = "conflict"


class TooMany(IntentionError):
    """More than may wait; try again later."""

    status = 429
    code = "too_many"


class Unavailable(IntentionError):
    """A service that is needed does not answer; try again."""

    status = 503
    code = "unavailable"


class SettingsError(IntentionError):
    """The environment is not usable."""

    code = "settings"
