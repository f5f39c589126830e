"""What msgspec says of a value that has not its shape, in our words: the place, what is wrong there, and what would be right.

What is allowed is read from the types themselves, so that nothing is listed twice.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from msgspec.inspect import Type  # only what was refused is described: a service begins without it

TIME: Final = "2026-05-01T19:00:00Z"
"""A moment, as people are shown it."""
SHOWN: Final = 80
"""Characters of what was given."""
_PART: Final = re.compile(r"\.([^.\[\]]+)|\[([0-9]+|\.\.\.)\]")
_UNITS: Final = {"str": "character", "bytes": "byte", "array": "item", "object": "field"}


class Misshapen(NamedTuple):
    """`place` begins with `$`: `$.plan.steps[0].tool`."""

    place: str
    text: str


def misshapen(error: msgspec.ValidationError, shape: Any) -> Misshapen:
    """Where a value is no `shape`, and why. What a type of ours says of itself stays as it is."""
    said, _, at = str(error).partition(" - at `")
    place = at.rstrip("`").removeprefix("key` in `") or "$"
    for form, told in _FORMS:
        if found := form.fullmatch(said):
            return told(found, place, shape)
    return Misshapen(place, said)


def _not_one_of(found: re.Match[str], place: str, shape: Any) -> Misshapen:
    allowed = [str(value) for one in _at(shape, place) for value in _values(one)]
    return Misshapen(place, _none_of(found[1], allowed) if allowed else found[0])


def _no_kind(found: re.Match[str], place: str, shape: Any) -> Misshapen:
    """Of several structs, each is known by its tag."""
    parent, _, _ = place.rpartition(".")
    allowed = [str(one.tag) for one in _at(shape, parent) if _is_struct(one)]
    return Misshapen(place, _none_of(found[1], allowed) if allowed else found[0])


def _unknown_field(found: re.Match[str], place: str, shape: Any) -> Misshapen:
    allowed = list(dict.fromkeys(field.encode_name for one in _at(shape, place) if _is_struct(one) for field in one.fields))
    name = found[1][:SHOWN]
    return Misshapen(
        f"{place}.{name}", f"there is no field `{name}` here{_near(name, allowed)}; allowed: {', '.join(allowed) or 'none'}"
    )


def _missing(found: re.Match[str], place: str, _: Any) -> Misshapen:
    return Misshapen(f"{place}.{found[1]}", "this field is missing, and it is needed")


def _length(found: re.Match[str], place: str, _: Any) -> Misshapen:
    unit = _UNITS[found[1]] + ("" if found[3] == "1" else "s")
    least = found[2] == ">="
    return Misshapen(place, f"too {'short' if least else 'long'}: at {'least' if least else 'most'} {found[3]} {unit}")


def _bound(found: re.Match[str], place: str, _: Any) -> Misshapen:
    which = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}[found[1]]
    return Misshapen(place, f"give a number of {which} {found[2]}")


def _no_time(_: re.Match[str], place: str, __: Any) -> Misshapen:
    return Misshapen(place, f"this is no time: write it with its offset, as {TIME}")


_FORMS: Final[Sequence[tuple[re.Pattern[str], Callable[[re.Match[str], str, Any], Misshapen]]]] = (
    (re.compile(r"Invalid enum value (.*)", re.DOTALL), _not_one_of),
    (re.compile(r"Invalid value (.*)", re.DOTALL), _no_kind),
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), _unknown_field),
    (re.compile(r"Object missing required field `(.*)`"), _missing),
    (re.compile(r"Expected `(str|bytes|array|object)` of length (>=|<=) ([0-9]+)"), _length),
    (re.compile(r"Expected `(?:int|float)` (>=|<=|>|<) (\S+)"), _bound),
    (re.compile(r"Invalid RFC3339 encoded datetime|Expected `datetime` with a timezone component"), _no_time),
)


def _none_of(given: str, allowed: Sequence[str]) -> str:
    near = _near(given.strip("'"), allowed)
    return f"{given[:SHOWN]} is none of these{near}: {', '.join(allowed)}"


def _near(given: str, allowed: Sequence[str]) -> str:
    by_folded = {one.casefold(): one for one in allowed}
    near = difflib.get_close_matches(given[:SHOWN].casefold(), by_folded, 1)
    return f" (did you mean {by_folded[near[0]]}?)" if near else ""


# --- the types at a place


def _at(shape: Any, place: str) -> list[Any]:
    """The types that may stand at a place: several in a union."""
    found = _alternatives([_info(shape)])
    for name, index in _PART.findall(place):
        found = _alternatives(inner for one in found for inner in _inner(one, name, index))
    return found


def _info(shape: Any) -> "Type":
    from msgspec.inspect import type_info

    return type_info(shape)


def _alternatives(types: Iterable[Any]) -> list[Any]:
    from msgspec.inspect import Metadata, UnionType

    plain = [one.type if isinstance(one, Metadata) else one for one in types]
    return [inner for one in plain for inner in (_alternatives(one.types) if isinstance(one, UnionType) else [one])]


def _inner(one: Any, name: str, index: str) -> list[Any]:
    from msgspec.inspect import DictType, TupleType

    if _is_struct(one):
        return [field.type for field in one.fields if field.encode_name == name]
    if isinstance(one, DictType):
        return [one.value_type]
    if isinstance(one, TupleType):
        return list(one.item_types[int(index) : int(index) + 1]) if index.isdecimal() else []
    return [one.item_type] if hasattr(one, "item_type") else []


def _is_struct(one: Any) -> bool:
    from msgspec.inspect import StructType

    return isinstance(one, StructType)


def _values(one: Any) -> list[Any]:
    from msgspec.inspect import EnumType, LiteralType

    if isinstance(one, EnumType):
        return [member.value for member in one.cls]
    return list(one.values) if isinstance(one, LiteralType) else []
