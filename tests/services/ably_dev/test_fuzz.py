"""Whatever arrives, the answer is a value or Refused: never another error, never half of something."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ably_dev import capability, history, messages, names, presence, protocol, serials, tokens
from services.ably_dev.access import Keyring, of_header, of_query
from services.ably_dev.errors import Refused
from services.ably_dev.messages import Entry
from services.ably_dev.serials import Position
from tests.services.ably_dev.support import KEY

RING = Keyring({KEY.name: KEY})
CALLER = RING.by_key(f"{KEY.name}:{KEY.secret}")
AT = Position("0" * 20, 1, 1)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
T = TypeVar("T")
patient = settings(deadline=None)  # the machine may be busy
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
FIELDS = ("action", "id", "name", "data", "encoding", "clientId", "extras", "channel", "msgSerial", "messages", "flags", "auth")
objects = st.dictionaries(st.sampled_from(FIELDS), values)


def attempted(call: Callable[[], T]) -> T | Refused:
    """What it gives, or that it is refused. Any other error fails the test."""
    try:
        return call()
    except Refused as refused:
        return refused


@patient
@given(st.text() | st.binary())
def test_a_frame_is_read_or_refused(raw: str | bytes) -> None:
    """Text as JSON, bytes as msgpack."""
    found = attempted(lambda: protocol.decode(raw))
    assert isinstance(found, protocol.Frame) or found.code == 40000


@patient
@given(objects)
def test_a_frame_of_known_fields_is_read_or_refused(fields: dict[str, Any]) -> None:
    """With values of any kind in them."""
    try:
        raw = msgspec.msgpack.encode(fields)
    except (OverflowError, UnicodeEncodeError):  # no client can send it
        return
    found = attempted(lambda: protocol.decode(raw))
    assert isinstance(found, protocol.Frame) or found.code == 40000


@patient
@given(values | objects | st.lists(objects, max_size=3))
def test_a_publish_is_stored_as_it_is_read_back_or_refused(body: Any) -> None:
    """What is accepted survives storage, in both forms."""
    found = attempted(lambda: Entry(messages=messages.accept(messages.read(body), CALLER, "base")))
    if isinstance(found, Refused):
        assert 400 <= found.status < 500
        return
    again = messages.decode(messages.encode(found))
    for binary in (True, False):
        told = messages.wire(again, AT, binary=binary)
        assert len(told) == len(found.messages)
        assert protocol.encode({"messages": told}, binary=binary)


@patient
@given(st.text() | st.binary(), st.text() | st.none())
def test_data_comes_back_as_what_it_was(data: str | bytes, encoding: str | None) -> None:
    """Text as text; bytes as bytes for a reader of msgpack, whatever encoding they had before."""
    if isinstance(data, str) and (encoding or "").rpartition("/")[2] == "base64":
        return
    text, told = messages.to_text(data, encoding or None)
    assert messages.to_bytes(text, told) == (data, encoding or None)


@patient
@given(st.text(), st.dictionaries(st.sampled_from(["limit", "direction", "start", "end", "fromSerial", "cursor"]), st.text()))
def test_names_serials_capabilities_and_queries_are_read_or_refused(text: str, said: dict[str, str]) -> None:
    """No parser lets another error out."""
    serials.parse(text)
    for told in (attempted(lambda: names.read(text)), attempted(lambda: capability.parse(text))):
        assert not isinstance(told, Refused) or told.code in (40000, 40010)
    found = attempted(lambda: history.read(said))
    assert found.code == 40000 if isinstance(found, Refused) else 1 <= found.limit <= 1_000


@patient
@given(st.text(), st.dictionaries(st.sampled_from(["key", "accessToken"]), st.text()))
def test_nobody_gets_in_by_chance(text: str, query: dict[str, str]) -> None:
    """A header, a query: refused with 401, whatever is in it."""
    told = [attempted(partial(of_header, RING, header, 0)) for header in (text, f"Basic {text}", f"Bearer {text}")]
    for found in (*told, attempted(lambda: of_query(RING, query, 0)), attempted(lambda: tokens.read(text, KEY.secret, 0))):
        assert isinstance(found, Refused)
        assert found.status == 401


@patient
@given(st.lists(st.dictionaries(st.sampled_from(["action", "clientId", "data", "encoding"]), values), max_size=3))
def test_presence_is_read_or_refused(items: list[Any]) -> None:
    """Each member has a name and something that a client may do."""
    found = attempted(lambda: presence.read(items, "ann", "conn", 1, 1))
    if isinstance(found, Refused):
        assert 400 <= found.status < 500
        return
    for member in found:
        assert member.client_id == "ann"
        assert presence.wire(member, binary=True)["action"] in (2, 3, 4)
