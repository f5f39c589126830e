"""Who is present on which channel. In memory: a presence is bound to its connection, and clients enter again by themselves."""

import secrets
from collections import defaultdict
from enum import IntEnum
from typing import Any

import msgspec

from services.ably_dev.errors import Refused, malformed
from services.ably_dev.messages import to_bytes, to_text


class What(IntEnum):
    """The action of a presence message."""

    ABSENT = 0
    PRESENT = 1
    ENTER = 2
    LEAVE = 3
    UPDATE = 4


class Incoming(msgspec.Struct, kw_only=True, rename="camel"):
    """A presence message of a client."""

    action: int
    client_id: str | None = None
    data: Any = None
    encoding: str | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A presence message as it is kept and sent."""

    id: str
    action: int
    client_id: str
    connection_id: str
    timestamp: int
    data: str | None = None
    encoding: str | None = None


def read(items: list[Any] | None, client_id: str | None, connection_id: str, serial: int, now_ms: int) -> list[Member]:
    """The members that a PRESENCE frame names; Refused says what is wrong with it."""
    try:
        found = msgspec.convert(items or [], list[Incoming])
    except msgspec.ValidationError as error:
        raise malformed(f"presence: {error}") from error
    return [
        _member(one, client_id, connection_id, f"{connection_id}:{serial}:{place}", now_ms) for place, one in enumerate(found)
    ]


def _member(one: Incoming, client_id: str | None, connection_id: str, name: str, now_ms: int) -> Member:
    who = one.client_id or client_id
    if not who or who == "*" or (client_id not in (None, "*", who)):
        raise Refused(40012, 400, "presence needs a clientId, the one of the connection")
    if one.action not in (What.ENTER, What.LEAVE, What.UPDATE):
        raise malformed(f"presence action {one.action} is not of a client")
    data, encoding = to_text(one.data, one.encoding)
    return Member(
        id=name,
        action=one.action,
        client_id=who,
        connection_id=connection_id,
        timestamp=now_ms,
        data=data,
        encoding=encoding,
    )


def wire(member: Member, *, binary: bool) -> dict[str, Any]:
    """A member as a client gets it."""
    found: dict[str, Any] = msgspec.to_builtins(member)
    if binary:
        found["data"], found["encoding"] = to_bytes(member.data, member.encoding)
    return {name: value for name, value in found.items() if value is not None}


class Presence:
    """The members of all channels."""

    def __init__(self) -> None:
        self._members: defaultdict[tuple[str, str], dict[tuple[str, str], Member]] = defaultdict(dict)

    def apply(self, app: str, channel: str, member: Member) -> Member:
        """Someone enters, updates or leaves; what is to be told to the others."""
        found, who = self._members[app, channel], (member.connection_id, member.client_id)
        if member.action == What.LEAVE:
            found.pop(who, None)
        else:
            found[who] = msgspec.structs.replace(member, action=int(What.PRESENT))
        if not found:
            del self._members[app, channel]
        return member

    def at(self, app: str, channel: str) -> list[Member]:
        """Who is there."""
        return list(self._members.get((app, channel), {}).values())

    def leave(self, app: str, connection_id: str, now_ms: int, channel: str | None = None) -> list[tuple[str, Member]]:
        """The connection's members leave (one channel or all); what is to be told, and where."""
        told = []
        for place, members in list(self._members.items()):
            if place[0] != app or channel not in (None, place[1]):
                continue
            for member in [one for one in members.values() if one.connection_id == connection_id]:
                # An id of its own: clients take one that begins with the connection's for what that client said then.
                name = f"{secrets.token_urlsafe(9)}:0"
                gone = msgspec.structs.replace(member, id=name, action=int(What.LEAVE), timestamp=now_ms)
                told.append((place[1], self.apply(app, place[1], gone)))
        return told
