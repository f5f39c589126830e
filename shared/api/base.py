"""What all answers share: how they are written, and the one shape of every refusal."""

from typing import Annotated, Any

import msgspec

Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""ISO 8601 in UTC, to the millisecond."""
Links = dict[str, str]
"""Paths of ingress, by what they are."""


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An answer. A field without a default is always there; one with a default is left out where it has nothing to say."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What was refused, and why. `code` is for programs, `message` for people: it names the place and the remedy."""

    code: str
    message: str
    details: dict[str, Any]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Every answer that is not 2xx."""

    error: Failure


class Standing(Told, frozen=True, kw_only=True):
    """How a process stands."""

    status: str
