"""The event CONTINUE_EXECUTION: what publishers say, and what of it is believed. Pure.

An event is a hint: it names an execution that should be looked at, and never says where that stands. docs/ably-events.md is its
documentation for publishers.
"""

import re
from typing import Annotated, Any, Final

import msgspec

from shared.ably import MESH
from shared.event_ports import ID_MOST, KEY_MOST

CONTINUE: Final = "CONTINUE_EXECUTION"
VERSION: Final = 1
MOST: Final = 100
"""Executions in one event."""
MESSAGE_MOST: Final = 500
"""Characters of a message's id."""

_TENANT: Final = re.compile(r"[a-z0-9_-]{1,40}")
"""As in the setting API_KEYS."""

ExecutionId = Annotated[str, msgspec.Meta(pattern=r"^exe_[0-9a-f]{2}_[0-9a-f]{32}\Z")]
Segment = Annotated[int, msgspec.Meta(ge=-1, le=1_000_000_000)]
Word = Annotated[str, msgspec.Meta(max_length=100)]


class Place(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An execution, and the segment that should run: -1 is whichever is current."""

    execution_id: ExecutionId
    segment: Segment = -1


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The data of a CONTINUE_EXECUTION, version 1. Fields that it does not know are left alone."""

    v: int = VERSION
    execution_id: ExecutionId | None = None
    segment: Segment = -1
    reason: Word = ""
    executions: Annotated[tuple[Place, ...], msgspec.Meta(max_length=MOST)] = ()
    """Many at once, in place of `executionId`."""
    event: Word = ""
    """A tenant's publisher: the event that its execution (or, with `key`, whoever waits for it) gets, with `data`."""
    key: Annotated[str, msgspec.Meta(max_length=KEY_MOST)] | None = None
    data: Any = None
    id: Annotated[str, msgspec.Meta(max_length=ID_MOST)] = ""
    """The same event again changes nothing; the message's id where there is none."""


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an event asks for, and who asks."""

    message: str
    """Names the message, so that it counts once whichever way it comes."""
    execution: str
    segment: int = -1
    tenant: str = ""
    """Whose publisher it was; empty: the engine itself."""
    event: str = ""
    key: str = ""
    data: Any = None
    id: str = ""


class Malformed(Exception):
    """Not an event that can be followed; the text says why, and goes to our log."""


def hints_of(channel: str, message: str, name: Any, data: Any) -> tuple[Hint, ...]:
    """What one message asks for; Malformed. Empty for a message with another name: the channel may carry more than ours."""
    if name != CONTINUE:
        return ()
    tenant, only = _publisher(channel)
    if len(message) > MESSAGE_MOST or not (message.isprintable() or not message):
        raise Malformed(f"the message's id has not up to {MESSAGE_MOST} printable characters")
    event = _read(data)
    _check(event, tenant, only)
    common = {"message": message, "tenant": tenant, "event": event.event, "data": event.data, "id": event.id or message}
    places = event.executions or ((Place(event.execution_id, event.segment),) if event.execution_id else ())
    if not places:
        return (Hint(execution="", key=event.key or "", **common),)
    return tuple(Hint(execution=place.execution_id, segment=place.segment, **common) for place in places)


def _read(data: Any) -> Event:
    """The version comes first: another one may have other fields."""
    if not isinstance(data, dict):
        raise Malformed(f"its data is no JSON object, but {type(data).__name__}")
    version = data.get("v", VERSION)
    if version is True or version != VERSION:
        raise Malformed(f"version {ascii(version)[:40]} is not known here: this engine reads version {VERSION}")
    try:
        event = msgspec.convert(data, Event)
        msgspec.json.encode(event)
    except (msgspec.ValidationError, RecursionError, TypeError, ValueError, OverflowError) as error:
        raise Malformed(f"its data cannot be read: {ascii(str(error))[:200]}") from error
    return event


def _check(event: Event, tenant: str, only: str) -> None:
    """Whether it says one thing, and one that may be said there."""
    if only and event.event != only:
        raise Malformed(f"the channel is for the event {only!r} only, not for {event.event!r}")
    if event.event and not tenant:
        raise Malformed(f"an event is published on a tenant's channel, {MESH}:<tenant>")
    given = [name for name, value in (("executionId", event.execution_id), ("executions", event.executions)) if value]
    if event.key is not None:
        given.append("key")
        if not event.event:
            raise Malformed("a key means nothing without an event")
    if len(given) != 1:
        told = " and ".join(given) or "nothing"
        raise Malformed(f"it names {told}: give one of executionId, executions, or key with an event")


def _publisher(channel: str) -> tuple[str, str]:
    """Whose channel it is (empty: the engine's own), and the only event that may be sent there (empty: any)."""
    if channel == MESH:
        return "", ""
    prefix, _, rest = channel.partition(f"{MESH}:")
    tenant, colon, only = rest.partition(":")
    if prefix or not _TENANT.fullmatch(tenant) or (colon and not only):
        raise Malformed(f"{channel[:100]!a} is no channel of ours")
    return tenant, only
