"""The bodies in which Ably's webhooks bring messages: a batch, one in an envelope, and one bare with headers. Pure.

    batch       {"items": [{"source": "channel.message", "data": {"channelId": ..., "messages": [raw message, ...]}}, ...]}
    enveloped   {"source": "channel.message", "channel": ..., "messages": [raw message, ...]}
    bare        the message's data; its channel, id, name and encoding in headers x-ably-...

A part that cannot be read is left out, and told why: the others are other people's.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")
MESSAGE: Final = "channel.message"
CHANNEL_HEADER: Final = "x-ably-envelope-channel"
_TYPES: Final = {"application/json": "json", "text/plain": "utf-8"}
"""Content types of a bare message, as encodings."""
_ID, _NAME, _ENCODING = "x-ably-message-id", "x-ably-message-name", "x-ably-message-encoding"


class NotAbly(Exception):
    """A body of none of the three shapes; the text says what is missing."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it was published."""

    channel: str
    id: str
    name: str
    data: Any


class Read(msgspec.Struct, frozen=True):
    """What a body holds, and why some of it could not be read."""

    messages: list[Message]
    unread: list[str]


class _Raw(msgspec.Struct, frozen=True):
    id: str = ""
    name: str | None = None
    data: Any = None
    encoding: str | None = None


class _Channel(msgspec.Struct, frozen=True, rename="camel"):
    channel_id: str
    messages: list[msgspec.Raw]


class _Item(msgspec.Struct, frozen=True):
    source: str
    data: msgspec.Raw


class AblyBody(msgspec.Struct, frozen=True):
    """Of a batch, or an envelope."""

    items: list[msgspec.Raw] | None = None
    channel: str | None = None
    source: str = MESSAGE
    messages: list[msgspec.Raw] | None = None


_body, _item, _channel = msgspec.json.Decoder(AblyBody), msgspec.json.Decoder(_Item), msgspec.json.Decoder(_Channel)
_raw, _any = msgspec.json.Decoder(_Raw), msgspec.json.Decoder()


def read(body: bytes, headers: Mapping[str, str], *, signed: bool) -> Read:
    """The messages; NotAbly. `signed`: headers are not covered by the signature, so nothing is taken from them."""
    if not signed and CHANNEL_HEADER in headers:
        return _bare(body, headers)
    try:
        found = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAbly(str(error)) from error
    into = Read([], [])
    if found.items is not None:
        for raw in found.items:
            _batched(raw, into)
    elif found.channel is not None and found.messages is not None:
        _of_channel(found.source, found.channel, found.messages, into)
    else:
        raise NotAbly("there are neither items nor a channel with messages")
    return into


def decoded(data: Any, encoding: str) -> Any:
    """The data as it was published: the last encoding named was done last. ValueError for one that is not known here."""
    for step in reversed([part for part in encoding.split("/") if part]):
        match step, data:
            case "base64", str() | bytes():
                data = base64.b64decode(data, validate=True)
            case "utf-8", bytes():
                data = data.decode()
            case "json", str() | bytes():
                data = _any.decode(data)
            case _:
                raise ValueError(f"the encoding {step!a} of {type(data).__name__} is not read here")
    return data


def _batched(raw: msgspec.Raw, into: Read) -> None:
    item = _try(lambda: _item.decode(raw), "an item", into)
    if item is None:
        return
    if item.source != MESSAGE:
        into.unread.append(f"an item of the source {item.source[:40]!a}, not {MESSAGE}")
    elif found := _try(lambda: _channel.decode(item.data), "an item", into):
        _of_channel(item.source, found.channel_id, found.messages, into)


def _of_channel(source: str, channel: str, raws: list[msgspec.Raw], into: Read) -> None:
    if source != MESSAGE:
        into.unread.append(f"an envelope of the source {source[:40]!a}, not {MESSAGE}")
        return
    for raw in raws:
        if found := _try(partial(_message, channel, raw), f"a message of {channel[:100]!a}", into):
            into.messages.append(found)


def _message(channel: str, raw: msgspec.Raw) -> Message:
    found = _raw.decode(raw)
    return Message(channel=channel, id=found.id, name=found.name or "", data=decoded(found.data, found.encoding or ""))


def _bare(body: bytes, headers: Mapping[str, str]) -> Read:
    into, channel = Read([], []), headers[CHANNEL_HEADER]
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = headers.get(_ENCODING) or _TYPES.get(kind, "")
    if headers.get("x-ably-envelope-source", MESSAGE) != MESSAGE:
        into.unread.append(f"a message of another source than {MESSAGE}")
    elif found := _try(
        lambda: Message(channel=channel, id=headers.get(_ID, ""), name=headers.get(_NAME, ""), data=decoded(body, encoding)),
        f"a message of {channel[:100]!a}",
        into,
    ):
        into.messages.append(found)
    return into


def _try(work: Callable[[], T], what: str, into: Read) -> T | None:
    try:
        return work()
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError) as error:
        into.unread.append(f"{what} cannot be read: {ascii(str(error))[:200]}")
        return None
