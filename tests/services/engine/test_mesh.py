"""CONTINUE_EXECUTION as it is read: who may ask for what on which channel, and that no message at all breaks the reader."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.event_ports import ID_MOST
from shared.mesh import CONTINUE, MESSAGE_MOST, MOST, Event, Hint, Malformed, hints_of

EXE, OTHER = "exe_0a_" + "1" * 32, "exe_3f_" + "2" * 32
ENGINE, ACME, PAID = "mesh:resume", "mesh:resume:acme", "mesh:resume:acme:order:paid"


def test_a_hint_names_an_execution() -> None:
    """The engine's own has no tenant; without a segment whichever is current is meant."""
    assert hints_of(ENGINE, "m", CONTINUE, {"v": 1, "executionId": EXE, "segment": 3, "reason": "x"}) == (
        Hint(message="m", execution=EXE, segment=3, id="m"),
    )
    assert hints_of(ACME, "", CONTINUE, {"executionId": EXE, "later": "fields"}) == (
        Hint(message="", execution=EXE, tenant="acme"),
    )


def test_one_event_may_name_a_hundred() -> None:
    """And no more."""
    many = [{"executionId": EXE, "segment": 1}, {"executionId": OTHER}]
    assert [(one.execution, one.segment) for one in hints_of(ENGINE, "m", CONTINUE, {"executions": many})] == [
        (EXE, 1),
        (OTHER, -1),
    ]
    assert len(hints_of(ENGINE, "m", CONTINUE, {"executions": many[:1] * MOST})) == MOST
    with pytest.raises(Malformed):
        hints_of(ENGINE, "m", CONTINUE, {"executions": many[:1] * (MOST + 1)})


def test_an_event_goes_to_executions_or_to_whoever_waits_for_its_key() -> None:
    """Its id is its own, or the message's; an empty key is a key."""
    (told,) = hints_of(ACME, "m", CONTINUE, {"executionId": EXE, "event": "order:paid", "data": {"sum": 1}, "id": "e"})
    assert (told.execution, told.event, told.data, told.id, told.tenant) == (EXE, "order:paid", {"sum": 1}, "e", "acme")
    (published,) = hints_of(PAID, "m", CONTINUE, {"event": "order:paid", "key": "17"})
    assert (published.execution, published.key, published.id) == ("", "17", "m")
    (unkeyed,) = hints_of(ACME, "m", CONTINUE, {"event": "order:paid", "key": ""})
    assert (unkeyed.execution, unkeyed.key) == ("", "")


@pytest.mark.parametrize(
    ("channel", "data", "why"),
    [
        (ENGINE, {"executionId": EXE, "event": "paid"}, "a tenant's channel"),
        (PAID, {"executionId": EXE}, "for the event 'order:paid' only"),
        (PAID, {"executionId": EXE, "event": "order"}, "for the event 'order:paid' only"),
        (ACME, {"v": 2, "executionId": EXE}, "version 2 is not known"),
        (ACME, {"v": True, "executionId": EXE}, "version True is not known"),
        (ACME, {"v": "\ud800"}, "is not known"),
        (ACME, {"executionId": "exe_1"}, "cannot be read"),
        (ACME, {"executionId": EXE + "\n"}, "cannot be read"),
        (ACME, {"executionId": EXE, "segment": -2}, "cannot be read"),
        (ACME, {"executionId": EXE, "segment": 10**30}, "cannot be read"),
        (ACME, {"executionId": EXE, "segment": "1"}, "cannot be read"),
        (ACME, {"executionId": EXE, "event": "paid", "data": "\ud800"}, "cannot be read"),
        (ACME, {"executionId": EXE, "event": "paid", "id": "x" * (ID_MOST + 1)}, "cannot be read"),
        (ACME, {"executionId": EXE, "executions": [{"executionId": EXE}]}, "executionId and executions"),
        (ACME, {"executionId": EXE, "event": "paid", "key": "17"}, "executionId and key"),
        (ACME, {"key": "17"}, "without an event"),
        (ACME, {"event": "paid"}, "names nothing"),
        (ACME, {}, "names nothing"),
        (ACME, None, "NoneType"),
        (ACME, "executionId", "no JSON object"),
        (ACME, [EXE], "no JSON object"),
        ("mesh:resume:", {"executionId": EXE}, "no channel of ours"),
        ("mesh:resume:acme:", {"executionId": EXE}, "no channel of ours"),
        ("mesh:resume:Acme", {"executionId": EXE}, "no channel of ours"),
        ("mesh:resume:a*", {"executionId": EXE}, "no channel of ours"),
        ("mesh:resume2", {"executionId": EXE}, "no channel of ours"),
        ("x:mesh:resume:acme", {"executionId": EXE}, "no channel of ours"),
        ("[meta]mesh:resume", {"executionId": EXE}, "no channel of ours"),
    ],
)
def test_what_cannot_be_followed_says_why(channel: str, data: Any, why: str) -> None:
    """For the log of whoever reads it."""
    with pytest.raises(Malformed, match=why):
        hints_of(channel, "m", CONTINUE, data)


@pytest.mark.parametrize("message", ["a\nb", "\ud800", "x" * (MESSAGE_MOST + 1)])
def test_a_message_id_is_printable_and_short(message: str) -> None:
    """It stands in log lines, and in the id of a signal."""
    with pytest.raises(Malformed, match="id"):
        hints_of(ACME, message, CONTINUE, {"executionId": EXE})


@pytest.mark.parametrize("name", ["", "continue_execution", None, 7, "progress"])
def test_a_message_with_another_name_is_nobodys_business(name: Any) -> None:
    """The channel may carry more than ours, whatever is in it."""
    assert hints_of("any", "\ud800", name, object()) == ()


PAGE = (Path(__file__).parents[3] / "docs/ably-events.md").read_text(encoding="utf8")


def test_the_page_lists_every_field_and_no_other() -> None:
    """What publishers read is what is read of them."""
    table = PAGE.split("## The data")[1].split("\n\n")[2]
    shown = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(shown) == sorted(field.encode_name for field in msgspec.structs.fields(Event))


def test_the_pages_message_is_followed() -> None:
    """The one that is sent by hand, with an id in place of the dots."""
    said = re.search(r"-d '(\{.*\})'", PAGE)
    assert said is not None
    message = json.loads(said[1].replace("exe_0a_...", EXE))
    (found,) = hints_of("mesh:resume:local", message["id"], message["name"], message["data"])
    assert (found.execution, found.event, found.data, found.id) == (EXE, "payment", {"sum": 12}, "payment-17")


texts = st.text(st.characters(), max_size=20)
channels = st.one_of(
    st.sampled_from([ENGINE, ACME, PAID, ENGINE + "::", ACME + ":"]),
    texts,
    st.builds("mesh:resume:{}".format, texts),
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.integers(), inner, max_size=4),
    max_leaves=12,
)
ids = st.sampled_from([EXE, OTHER, "exe_ff_" + "0" * 32, EXE.upper(), ""]) | texts
events = st.fixed_dictionaries(
    {},
    optional={
        "v": st.sampled_from([1, 1, 1, 1.0, 2, "1", None]),
        "executionId": ids,
        "segment": st.integers() | anything,
        "executions": st.lists(st.fixed_dictionaries({"executionId": ids}, optional={"segment": st.integers()}), max_size=3),
        "event": st.sampled_from(["order:paid", "order.paid", ""]) | texts,
        "key": st.none() | texts,
        "data": anything,
        "id": texts | st.none(),
        "reason": texts,
    },
)


def read(channel: str, message: str, data: Any) -> tuple[tuple[Hint, ...], str]:
    """What is asked for, or why nothing is."""
    try:
        return hints_of(channel, message, CONTINUE, data), ""
    except Malformed as error:
        return (), str(error)


@settings(max_examples=1_500, deadline=None)
@given(channel=channels, message=texts, data=events | anything)
def test_whatever_is_published_is_followed_or_malformed(channel: str, message: str, data: Any) -> None:
    """And what is followed stays within the channel's tenant and event: nothing in the data can change that."""
    found, why = read(channel, message, data)
    assert bool(found) is not bool(why)
    assert why.encode("utf8") is not None  # it can be logged
    assert len(found) <= MOST
    tenant, _, only = channel.removeprefix("mesh:resume").removeprefix(":").partition(":")
    for hint in found:
        assert (hint.tenant, hint.message) == (tenant, message)
        assert not only or hint.event == only
        assert bool(hint.tenant) or not hint.event
        assert hint.execution in {EXE, OTHER, "exe_ff_" + "0" * 32} or (hint.event and not hint.execution)
