"""The event CONTINUE_EXECUTION: what publishers say, and what of it is believed. Pure.

An event is a hint: it names an execution that should be looked at, and never says where that stands. docs/ably-events.md is its
documentation for publishers.
"""

from typing import Annotated, Any, Final

import msgspec

from shared.ably import MESH
from shared.event_ports import ID_MOST, KEY_MOST

CONTINUE: Final = "CONTINUE_EXECUTION"
VERSION: Final = 1
MOST: Final = 100
"""Executions in one event."""

ExecutionId = Annotated[str, msgspec.Meta(pattern=r"^exe_[0-9a-f]{2}_[0-9a-f]{32}\Z")]


class Place(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An execution, and the segment that should run: -1 is whichever is current."""

    execution_id: ExecutionId
    segment: int = -1


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The data of a CONTINUE_EXECUTION, version 1."""

    v: int = VERSION
    execution_id: ExecutionId | None = None
    segment: int = -1
    reason: Annotated[str, msgspec.Meta(max_length=100)] = ""
    executions: Annotated[tuple[Place, ...], msgspec.Meta(max_length=MOST)] = ()
    """Many at once, in place of `executionId`."""
    event: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """A tenant's publisher: the event that its execution (or, with `key`, whoever waits for it) gets, with `data`."""
    key: Annotated[str, msgspec.Meta(max_length=KEY_MOST)] = ""
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


def hints_of(channel: str, message: str, name: str, data: Any) -> tuple[Hint, ...]:
    """What one message asks for; Malformed. Empty for a message with another name: the channel may carry more than ours."""
    if name != CONTINUE:
        return ()
    tenant, only = _publisher(channel)
    try:
        event = msgspec.convert(data, Event)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error
    if event.v != VERSION:
        raise Malformed(f"version {event.v} is not known here: this engine reads version {VERSION}")
    if only and event.event != only:
        raise Malformed(f"the channel {channel} is for the event {only!r} only, not for {event.event!r}")
    if event.event and not tenant:
        raise Malformed(f"an event is published on a tenant's channel, {MESH}:<tenant>")
    places = event.executions or ((Place(event.execution_id, event.segment),) if event.execution_id else ())
    if not places and not (event.event and event.key):
        raise Malformed("it names no execution (executionId), and no event with a key")
    common = {"message": message, "tenant": tenant, "event": event.event, "data": event.data, "id": event.id or message}
    if not places:
        return (Hint(execution="", key=event.key, **common),)
    return tuple(Hint(execution=place.execution_id, segment=place.segment, **common) for place in places)


def _publisher(channel: str) -> tuple[str, str]:
    """Whose channel it is (empty: the engine's own), and the only event that may be sent there (empty: any)."""
    if channel == MESH:
        return "", ""
    prefix, _, rest = channel.partition(f"{MESH}:")
    tenant, _, only = rest.partition(":")
    if prefix or not tenant:
        raise Malformed(f"{channel!r} is no channel of ours")
    return tenant, only
