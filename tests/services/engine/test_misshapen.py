"""What is said of a value that has not its shape: all of it is derived from the shape."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from shared.api.bodies import ACTIONS, BulkAction, Chat, NewSchedule
from shared.errors import BadRequest
from shared.http import decode
from shared.machine.status import Status
from shared.misshapen import misshapen
from shared.requests import Execute


class Colour(StrEnum):
    """Any."""

    RED = "red"
    BLUE = "blue"


class Square(msgspec.Struct, tag="square", forbid_unknown_fields=True):
    """One kind of two."""

    side: Annotated[int, msgspec.Meta(ge=1, le=9)]


class Circle(msgspec.Struct, tag="circle", forbid_unknown_fields=True):
    """The other."""

    radius: int


class Blank(msgspec.Struct, forbid_unknown_fields=True):
    """Takes nothing."""


class Picture(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Everything that shapes have."""

    drawn_by: Annotated[str, msgspec.Meta(min_length=1, max_length=5)] = "ann"
    colours: tuple[Colour, ...] = ()
    pair: tuple[Literal["a", "b"], Literal[1, 2]] = ("a", 1)
    named: dict[str, Square | Circle] = {}
    at: datetime | None = None
    with_offset: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    parts: Annotated[list["Picture"], msgspec.Meta(max_length=1)] | None = None


def told(value: Any, shape: Any = Picture) -> tuple[str, str]:
    """Place and words."""
    with pytest.raises(msgspec.ValidationError) as found:
        msgspec.convert(value, shape)
    return misshapen(found.value, shape)


@pytest.mark.parametrize(
    ("value", "place", "says"),
    [
        ({"colours": ["red", "RED"]}, "$.colours[1]", "'RED' is none of these (did you mean red?): red, blue"),
        ({"colours": ["green-ish"]}, "$.colours[0]", "'green-ish' is none of these: red, blue"),
        ({"pair": ["c", 1]}, "$.pair[0]", "'c' is none of these: a, b"),
        ({"pair": ["a", 3]}, "$.pair[1]", "3 is none of these: 1, 2"),
        (
            {"named": {"x": {"type": "sqare", "side": 1}}},
            "$.named[...].type",
            "'sqare' is none of these (did you mean square?)",
        ),
        (
            {"named": {"x": {"type": "circle", "radus": 1}}},
            "$.named[...].radus",
            "(did you mean radius?); allowed: side, radius",
        ),
        ({"named": {"x": {"type": "circle"}}}, "$.named[...].radius", "this field is missing"),
        ({"named": {"x": {"type": "square", "side": 0}}}, "$.named[...].side", "give a number of at least 1"),
        ({"named": {"x": {"type": "square", "side": 10}}}, "$.named[...].side", "give a number of at most 9"),
        ({"parts": [{"drawnby": "x"}]}, "$.parts[0].drawnby", "there is no field `drawnby` here (did you mean drawnBy?)"),
        ({"parts": [{}, {}]}, "$.parts", "too long: at most 1 item"),
        ({"drawnBy": ""}, "$.drawnBy", "too short: at least 1 character"),
        ({"drawnBy": "x" * 6}, "$.drawnBy", "too long: at most 5 characters"),
        ({"at": "monday"}, "$.at", "write it with its offset, as 2026-05-01T19:00:00Z"),
        ({"withOffset": "2026-05-01T19:00:00"}, "$.withOffset", "write it with its offset, as 2026-05-01T19:00:00Z"),
        ([1], "$", "Expected `object`, got `array`"),
    ],
)
def test_the_place_and_what_would_be_right_are_named(value: Any, place: str, says: str) -> None:
    """For fields, list items, tuples, mappings and kinds."""
    found = told(value)
    assert found[0] == place
    assert says in found[1]


def test_what_is_given_is_not_repeated_at_any_length() -> None:
    """It may be the whole body."""
    place, text = told({"x" * 100_000: 1})
    assert len(place) + len(text) < 1_000
    assert len(told({"colours": ["y" * 100_000]})[1]) < 200


def test_every_status_is_named_and_every_action() -> None:
    """So that one who mistypes learns them."""
    _, text = told({"action": "cancel", "filter": {"status": ["completed"]}}, BulkAction)
    assert all(one in text for one in Status)
    assert "did you mean COMPLETED?" in text
    _, text = told({"action": "explode", "filter": {}}, BulkAction)
    assert "cancel" in text
    assert "restart" in text


def test_a_mistyped_field_of_a_step_is_named_with_the_nearest() -> None:
    """`at` is the field itself."""
    body = b'{"plan": {"steps": [{"name": "a", "tool": "t", "nedes": ["b"]}]}}'
    with pytest.raises(BadRequest) as found:
        decode(msgspec.json.Decoder(Execute), body)
    assert found.value.details["at"] == "$.plan.steps[0].nedes"
    assert "(did you mean needs?); allowed: name, tool, args, needs," in found.value.message


@pytest.mark.parametrize("body", [b"", b" \r\n"])
@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        (Execute, "its fields are intent, input, plan"),
        (Chat, "message"),
        (BulkAction, "with action, filter"),
        (NewSchedule, "with cron"),
    ],
)
def test_an_empty_body_is_called_empty(body: bytes, shape: Any, wanted: str) -> None:
    """And what to send is said."""
    with pytest.raises(BadRequest) as found:
        decode(msgspec.json.Decoder(shape), body)
    assert found.value.message.startswith("the body is empty: send a JSON object")
    assert wanted in found.value.message
    assert found.value.error_code == "invalid_json"


@pytest.mark.parametrize("shape", [*ACTIONS.values(), BulkAction, Chat, Execute, NewSchedule])
def test_all_bodies_name_the_fields_that_they_take(shape: Any) -> None:
    """Whatever is added to them."""
    place, text = told({"qqqqq": 1}, shape)
    assert place == "$.qqqqq"
    assert all(field.encode_name in text for field in msgspec.structs.fields(shape))


def test_a_shape_without_fields_allows_none() -> None:
    """It is said as such."""
    assert told({"x": 1}, Blank) == ("$.x", "there is no field `x` here; allowed: none")
