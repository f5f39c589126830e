"""Frames of the websocket: one ProtocolMessage each, JSON as text or msgpack as bytes. Pure."""

from enum import IntEnum, IntFlag
from typing import Any

import msgspec

from services.ably_dev.errors import Refused, malformed


class Action(IntEnum):
    """What a frame is."""

    HEARTBEAT = 0
    ACK = 1
    NACK = 2
    CONNECTED = 4
    DISCONNECTED = 6
    CLOSE = 7
    CLOSED = 8
    ERROR = 9
    ATTACH = 10
    ATTACHED = 11
    DETACH = 12
    DETACHED = 13
    PRESENCE = 14
    MESSAGE = 15
    SYNC = 16
    AUTH = 17


class Flag(IntFlag):
    """Of ATTACH and ATTACHED."""

    HAS_PRESENCE = 1
    HAS_BACKLOG = 2
    RESUMED = 4
    ATTACH_RESUME = 32
    PRESENCE = 1 << 16
    PUBLISH = 1 << 17
    SUBSCRIBE = 1 << 18
    PRESENCE_SUBSCRIBE = 1 << 19


MODES = {
    Flag.PRESENCE: "presence",
    Flag.PUBLISH: "publish",
    Flag.SUBSCRIBE: "subscribe",
    Flag.PRESENCE_SUBSCRIBE: "presence-subscribe",
}
"""What a mode needs in the capability. `subscribe` is enough for presence-subscribe, as at Ably."""


class AuthDetails(msgspec.Struct, kw_only=True, rename="camel"):
    """Of AUTH."""

    access_token: str = ""


class Frame(msgspec.Struct, kw_only=True, rename="camel"):
    """A frame of a client. Fields that are not of its action are ignored."""

    action: int
    id: str | None = None
    channel: str = ""
    channel_serial: str | None = None
    flags: int = 0
    params: dict[str, Any] | None = None
    msg_serial: int | None = None
    messages: list[Any] | None = None
    presence: list[Any] | None = None
    auth: AuthDetails | None = None


_json, _msgpack = msgspec.json.Decoder(Frame), msgspec.msgpack.Decoder(Frame)


def decode(raw: str | bytes) -> Frame:
    """The frame; Refused (40000) for what is none."""
    try:
        return _json.decode(raw) if isinstance(raw, str) else _msgpack.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise malformed(f"this frame is not a ProtocolMessage: {error}") from error


def encode(frame: dict[str, Any], *, binary: bool) -> str | bytes:
    """A frame for a client; what is None is left out."""
    told = {name: value for name, value in frame.items() if value is not None}
    return msgspec.msgpack.encode(told) if binary else msgspec.json.encode(told).decode()


def error(refused: Refused, channel: str | None = None) -> dict[str, Any]:
    """An ERROR: of a channel, or of the whole connection, which it ends."""
    return {"action": Action.ERROR, "channel": channel, "error": refused.info()}


def disconnected(refused: Refused | None) -> dict[str, Any]:
    """A DISCONNECTED: the client may come back."""
    return {"action": Action.DISCONNECTED, "error": refused.info() if refused else None}
