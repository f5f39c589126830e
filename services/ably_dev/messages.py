"""A message on its way in and out. Pure. Stored data is always text: bytes as base64, with `encoding` saying so."""

import base64
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from services.ably_dev.access import Caller
from services.ably_dev.errors import Refused, malformed
from services.ably_dev.serials import Position

MAX_BYTES = 65_536
MAX_MESSAGES = 1_000
_UTF8 = re.compile(r"[\ud800-\udfff]")


class Incoming(msgspec.Struct, kw_only=True, rename="camel"):
    """A message as a publisher sends it; what it says beyond this is ignored."""

    id: str | None = None
    name: str | None = None
    data: Any = None
    encoding: str | None = None
    client_id: str | None = None
    extras: dict[str, Any] | None = None
    action: int = 0


class Stored(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message in the log. Its serial and time are those of its entry."""

    id: str
    name: str | None = None
    data: str | None = None
    encoding: str | None = None
    client_id: str | None = None
    extras: dict[str, Any] | None = None


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One publish: all of its messages or none are in the log."""

    messages: list[Stored]
    connection_id: str | None = None


_entry = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """An entry as it is stored."""
    return msgspec.json.encode(entry)


def decode(stored: bytes) -> Entry:
    """The entry that `encode` wrote."""
    return _entry.decode(stored)


def read(body: Any) -> list[Incoming]:
    """The messages of a publish; Refused says which one is wrong and how."""
    many = body if isinstance(body, list) else [body]
    if not many or len(many) > MAX_MESSAGES:
        raise malformed(f"a publish has 1 to {MAX_MESSAGES} messages, this one has {len(many)}")
    try:
        found = msgspec.convert(many, list[Incoming])
    except msgspec.ValidationError as error:
        raise malformed(
            f"messages{str(error).partition(' - at `$')[2].rstrip('`')}: {str(error).partition(' - ')[0]}"
        ) from error
    if any(message.action for message in found):
        raise malformed("updates and deletions of messages (action) are not built in ably_dev")
    return found


def accept(incoming: Sequence[Incoming], caller: Caller, base: str) -> list[Stored]:
    """The messages with their ids and client ids; `base` names those whose publisher gave no id."""
    ids = _ids([message.id for message in incoming], base)
    found = [_stored(message, caller, name) for message, name in zip(incoming, ids, strict=True)]
    size = sum(_size(message) for message in found)
    if size > MAX_BYTES:
        raise Refused(40009, 413, f"the messages have {size} bytes, at most {MAX_BYTES} are taken")
    return found


def _ids(given: list[str | None], base: str) -> list[str]:
    if not any(given):
        return [f"{base}:{place}" for place in range(len(given))]
    first = given[0] or ""
    if len(given) == 1:
        return [first]
    base = first.rpartition(":")[0]
    wanted = [f"{base}:{place}" for place in range(len(given))]
    if not base or wanted != given:
        raise Refused(40031, 400, "ids of messages that are published together must be <base>:0, <base>:1, ...")
    return wanted


def _stored(message: Incoming, caller: Caller, name: str) -> Stored:
    data, encoding = to_text(message.data, message.encoding or None)
    found = Stored(
        id=name,
        name=message.name,
        data=data,
        encoding=encoding,
        client_id=_client_id(message.client_id, caller),
        extras=_both_forms(message.extras),
    )
    if any(_UTF8.search(text) for text in (found.id, found.name, found.data, found.client_id) if text):
        raise malformed("a message has half a surrogate pair in it: send valid Unicode")
    return found


def _client_id(given: str | None, caller: Caller) -> str | None:
    if caller.client_id in (None, "*"):
        if given == "*":
            raise Refused(40012, 400, "a message's clientId cannot be *")
        return given
    if given not in (None, caller.client_id):
        raise Refused(40012, 400, "a message's clientId is not the one of its publisher")
    return caller.client_id


def to_text(data: Any, encoding: str | None) -> tuple[str | None, str | None]:
    """Data as text, and the encoding that says how; Refused (40013) for data that no client sends."""
    if data is None or isinstance(data, str):
        return data, encoding
    if isinstance(data, bytes):
        return base64.b64encode(data).decode(), _with(encoding, "base64")
    if isinstance(data, dict | list):
        try:
            return msgspec.json.encode(data).decode(), _with(encoding, "json")
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Refused(40013, 400, f"a message's data cannot be written as JSON: {error}") from error
    raise Refused(40013, 400, "a message's data must be text, bytes, a JSON object or a JSON array")


def _both_forms(extras: dict[str, Any] | None) -> dict[str, Any] | None:
    """Extras that a reader of JSON and one of msgpack both can be told: an integer of more than 64 bits, say, is none."""
    if not extras:
        return None
    try:
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(extras))
        msgspec.msgpack.encode(found)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise malformed(f"a message's extras cannot be told in JSON and in msgpack: {error}") from error
    return found


def _with(encoding: str | None, last: str) -> str:
    return f"{encoding}/{last}" if encoding else last


def _size(message: Stored) -> int:
    texts = (message.name, message.data, message.client_id)
    extras = len(msgspec.json.encode(message.extras)) if message.extras else 0
    return extras + sum(len(text.encode()) for text in texts if text)


def wire(entry: Entry, at: Position, *, binary: bool) -> list[dict[str, Any]]:
    """The messages of an entry as a client gets them: with bytes as bytes in msgpack."""
    return [_wire(message, entry, at, place, binary=binary) for place, message in enumerate(entry.messages)]


def _wire(message: Stored, entry: Entry, at: Position, place: int, *, binary: bool) -> dict[str, Any]:
    serial = at.message(place)
    data, encoding = to_bytes(message.data, message.encoding) if binary else (message.data, message.encoding)
    found = {
        "id": message.id,
        "name": message.name,
        "data": data,
        "encoding": encoding,
        "clientId": message.client_id,
        "connectionId": entry.connection_id,
        "extras": message.extras,
        "timestamp": at.ms,
        "serial": serial,
        "action": 0,
        "version": {"serial": serial, "timestamp": at.ms},
    }
    return {name: value for name, value in found.items() if value is not None}


def to_bytes(data: str | None, encoding: str | None) -> tuple[str | bytes | None, str | None]:
    """What was bytes as bytes again, for readers of msgpack."""
    before, _, last = (encoding or "").rpartition("/")
    if last != "base64" or data is None:
        return data, encoding
    try:
        return base64.b64decode(data, validate=True), before or None
    except ValueError:  # its publisher said so, and it is not: the reader finds out
        return data, encoding
