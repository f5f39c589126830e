"""What is pure: names, capabilities, serials, tokens, messages, the beginning of a rewind."""

import jwt
import pytest

from services.ably_dev import access, capability, messages, names, serials, tokens
from services.ably_dev.access import Keyring
from services.ably_dev.errors import Refused
from services.ably_dev.realtime.attaching import read_rewind
from services.ably_dev.serials import Position
from tests.services.ably_dev.support import KEY

NOW = 1_790_000_000_000
RING = Keyring({KEY.name: KEY})
CALLER = RING.by_key(f"{KEY.name}:{KEY.secret}")


@pytest.mark.parametrize(
    ("pattern", "channel", "covered"),
    [
        ("orders", "orders", True),
        ("orders", "orders:1", False),
        ("*", "orders", True),
        ("*", "a:b:c", True),
        ("[*]*", "a:b", True),
        ("orders:*", "orders:1", True),
        ("orders:*", "orders:1:2", True),
        ("orders:*", "orders", False),
        ("orders:*", "other:1", False),
        ("a:*:c", "a:b:c", True),
        ("a:*:c", "a:b:x:c", False),
        ("foo*", "foobar", False),
        ("foo*", "foo*", True),
    ],
)
def test_a_pattern_covers_whole_segments(pattern: str, channel: str, covered: bool) -> None:  # noqa: FBT001 - a table
    """As Ably documents it: a star in the middle is one segment, at the end it is all that follow."""
    assert capability.covers(pattern, channel) is covered


def test_a_capability_permits_the_operations_of_every_pattern_that_covers() -> None:
    """And nothing else."""
    found = capability.parse('{"a:*": ["publish"], "a:b": ["*"]}')
    assert capability.permits(found, "a:b", "history")
    assert capability.permits(found, "a:c", "publish")
    assert not capability.permits(found, "a:c", "history")


@pytest.mark.parametrize("text", ["[]", '{"a": "publish"}', '{"a": ["fly"]}', "{", "\ud800"])
def test_a_capability_that_is_none_is_refused(text: str) -> None:
    """It must not be taken for an empty one, nor for one that permits everything."""
    with pytest.raises(Refused) as refused:
        capability.parse(text)
    assert refused.value.code == 40000


@pytest.mark.parametrize("text", ["", "[?rewind=1]", "[meta]log", ":a", "[x", "a\nb", "a" * 3_000])
def test_a_name_that_is_none_is_refused(text: str) -> None:
    """40010, as at Ably."""
    with pytest.raises(Refused) as refused:
        names.read(text)
    assert refused.value.code == 40010


def test_a_qualifier_is_not_part_of_the_channel() -> None:
    """Only of how a client calls it."""
    assert names.read("[?rewind=2m&x=1]a:b") == ("a:b", {"rewind": "2m", "x": "1"})


def test_serials_sort_as_text_and_read_back() -> None:
    """Across entries, messages and epochs that begin later."""
    first, second = serials.new_epoch(NOW), serials.new_epoch(NOW + 1)
    places = [Position(first, NOW, 9), Position(first, NOW, 10), Position(first, NOW + 1, 11), Position(second, NOW, 1)]
    written = [place.message(index) for place in places for index in (0, 10)]
    assert written == sorted(written)
    assert serials.parse(written[3]) == (places[1], 10)
    assert serials.parse(str(places[0])) == (places[0], None)
    assert serials.parse("x" + written[0]) is None


def made(**more: object) -> str:
    """A JWT as the documentation of Ably tells to make it, by another library."""
    return jwt.encode({"iat": NOW // 1_000, "exp": NOW // 1_000 + 60, **more}, KEY.secret, "HS256", {"kid": KEY.name})


def test_a_jwt_made_elsewhere_is_taken_with_its_claims() -> None:
    """Nothing of it was issued here."""
    caller = RING.by_token(made(**{"x-ably-capability": '{"a": ["publish"]}', "x-ably-clientId": "ann"}), NOW)
    assert caller.permits("publish", "a")
    assert not caller.permits("publish", "b")
    assert (caller.client_id, caller.expires_ms) == ("ann", NOW + 60_000)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (made(exp=NOW // 1_000), 40142),
        (made(exp=NOW // 1_000 - 1), 40142),
        (made() + "x", 40144),
        (jwt.encode({"iat": 1, "exp": NOW}, KEY.secret, "HS256"), 40144),
        (jwt.encode({"iat": 1, "exp": NOW}, "another-secret-that-is-long-enough-for-it", "HS256", {"kid": KEY.name}), 40144),
        (jwt.encode({"iat": 1, "exp": NOW}, KEY.secret, "HS256", {"kid": "no.key"}), 40144),
        (jwt.encode({"iat": 1, "exp": NOW}, KEY.secret * 2, "HS512", {"kid": KEY.name}), 40144),
        (jwt.encode({"exp": NOW // 1_000 + 60}, KEY.secret, "HS256", {"kid": KEY.name}), 40144),
        ("", 40144),
        ("a.b.c", 40144),
    ],
    ids=["ends now", "ended", "changed", "no kid", "another secret", "unknown key", "HS512", "no iat", "empty", "no JWT"],
)
def test_a_token_that_is_not_good_is_refused(token: str, code: int) -> None:
    """40142 makes a client renew; 40144 says that the token is wrong."""
    with pytest.raises(Refused) as refused:
        RING.by_token(token, NOW)
    assert refused.value.code == code


def test_a_token_request_is_signed_field_by_field() -> None:
    """The text under the mac is the documented one; a changed field and an old timestamp are refused."""
    asked = tokens.TokenRequest(key_name=KEY.name, nonce="n" * 16, timestamp=NOW, ttl=60_000, client_id="ann")
    asked.mac = tokens.request_mac(asked, KEY.secret)
    found = RING.issue(asked, NOW, signed=True)
    assert (found["issued"], found["expires"], found["clientId"]) == (NOW, NOW + 60_000, "ann")
    with pytest.raises(Refused, match="timestamp"):
        RING.issue(asked, NOW + 400_000, signed=True)
    asked.ttl = 61_000
    with pytest.raises(Refused, match="mac"):
        RING.issue(asked, NOW, signed=True)


def test_a_client_id_is_the_token_s_or_free() -> None:
    """Nobody speaks as somebody else."""
    named = RING.by_token(made(**{"x-ably-clientId": "ann"}), NOW)
    assert access.with_client_id(named, None).client_id == "ann"
    assert access.with_client_id(CALLER, "bob").client_id == "bob"
    for wanted in ("bob", "*"):
        with pytest.raises(Refused, match="clientId"):
            access.with_client_id(named, wanted)
    (message,) = messages.accept([messages.Incoming(data="x")], named, "b")
    assert message.client_id == "ann"
    with pytest.raises(Refused, match="clientId"):
        messages.accept([messages.Incoming(client_id="bob")], named, "b")


@pytest.mark.parametrize("given", [["a:0", "b:1"], ["a:0", "a:2"], ["a:0", None], [None, "a:1"], ["a", "b"], [":0", ":1"]])
def test_ids_of_a_publish_of_several_are_numbered(given: list[str | None]) -> None:
    """Else a part of the publish could be new and the rest a repetition."""
    with pytest.raises(Refused) as refused:
        messages.accept([messages.Incoming(id=one) for one in given], CALLER, "b")
    assert refused.value.code == 40031


def test_extras_that_msgpack_cannot_say_are_refused() -> None:
    """Else the first reader of msgpack would find out, and its connection with it."""
    with pytest.raises(Refused, match="extras"):
        messages.accept(messages.read({"extras": {"headers": {"n": 2**64}}}), CALLER, "b")
    (found,) = messages.accept(messages.read({"extras": {"headers": {"n": 2**63}}}), CALLER, "b")
    assert found.extras == {"headers": {"n": 2**63}}


@pytest.mark.parametrize("data", [1, 1.5, True])
def test_data_that_no_client_sends_is_refused(data: object) -> None:
    """40013: a reader could not tell a number from a text."""
    with pytest.raises(Refused) as refused:
        messages.accept(messages.read({"data": data}), CALLER, "b")
    assert refused.value.code == 40013


def test_messages_of_more_than_64_kib_are_refused() -> None:
    """Counted over the whole publish."""
    messages.accept([messages.Incoming(data="x" * messages.MAX_BYTES)], CALLER, "b")
    with pytest.raises(Refused) as refused:
        messages.accept([messages.Incoming(data="x" * messages.MAX_BYTES), messages.Incoming(data="x")], CALLER, "b")
    assert (refused.value.code, refused.value.status) == (40009, 413)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"rewind": "10"}, (10, 0)),
        ({"rewind": "1000"}, (100, 0)),
        ({"rewind": "30s"}, (100, 30_000)),
        ({"rewind": "2m", "rewindLimit": "5"}, (5, 120_000)),
    ],
)
def test_a_rewind_is_a_number_or_a_time(said: dict[str, str], found: tuple[int, int]) -> None:
    """At most 100 messages."""
    assert read_rewind(said) == found


@pytest.mark.parametrize("said", [{"rewind": "x"}, {"rewind": "-1"}, {"rewind": "1m", "rewindLimit": "many"}])
def test_a_rewind_that_is_none_is_refused(said: dict[str, str]) -> None:
    """Not ignored: the subscriber would miss what it counts on."""
    with pytest.raises(Refused, match="rewind"):
        read_rewind(said)
