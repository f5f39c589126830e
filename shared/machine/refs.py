"""References between steps: `${step.path.to.value}`, nested anywhere in `args`; `$${` is a literal `${`.

A string that is one reference keeps the value's type; inside a longer string the value is written as text.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import msgspec

_REF = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,128}")
_HOLDERS = (dict, list, tuple)
ABSENT = object()
"""What has no value at all: every path into it is null."""
MAX_DEPTH = 64
"""How deep `args` may be nested: they are walked by recursion, and a plan must not be able to exhaust the stack."""


class Ref(NamedTuple):
    """One reference: the step's name and the path into its output."""

    step: str
    path: tuple[str, ...]
    place: str
    """Where in the args it stands, as `$.text` or `$.items[2].id`."""


class BadReference(Exception):
    """A reference that is not of the form `${step.path}`, or that finds nothing."""

    def __init__(self, place: str, message: str) -> None:
        """`place` is where in the args the reference stands."""
        super().__init__(f"{place}: {message}")
        self.place = place
        self.reason = message


def step_name_ok(name: str) -> bool:
    """Whether a step may be called so: a letter first, then letters, digits, `_` or `-`, 64 at most."""
    return _NAME.fullmatch(name) is not None


def find(value: Any, place: str = "$") -> Iterator[Ref]:
    """Every reference in `value`; BadReference for text that looks like one and is not, and for a value nested too deep."""
    found: list[Ref] = []
    _find(value, place, MAX_DEPTH, found)
    return iter(found)


def _find(value: Any, place: str, levels: int, found: list[Ref]) -> None:
    if levels < 0:
        raise BadReference(place[:200], f"nested more than {MAX_DEPTH} levels deep")
    match value:
        case str():
            if "${" in value:
                _in_text(value, place, found)
        case dict():
            for key, item in value.items():
                if _may_refer(item):  # a place is written only where somebody may want to know it
                    _find(item, f"{place}.{key}", levels - 1, found)
        case list() | tuple():
            for number, item in enumerate(value):
                if _may_refer(item):
                    _find(item, f"{place}[{number}]", levels - 1, found)
        case _:
            return


def _may_refer(item: Any) -> bool:
    return "${" in item if isinstance(item, str) else bool(item) and isinstance(item, _HOLDERS)


def _in_text(text: str, place: str, found: list[Ref]) -> None:
    if (inner := _whole(text)) is not None:
        found.append(_parse(inner, place))
        return
    found += [_parse(match[1], place) for match in _REF.finditer(text) if match[1] is not None]
    if "${" in _REF.sub(" ", text):  # a blank, so that what stood around a reference does not join to a new ${
        raise BadReference(place, "a reference is opened with ${ and not closed; write $${ for a literal ${")


def _parse(inner: str, place: str) -> Ref:
    parts = _parts(inner)
    if parts is None:
        raise BadReference(place, f"${{{inner}}} is not of the form ${{step.path.to.value}}")
    return Ref(*parts, place)


@lru_cache(maxsize=4_096)  # the plans of an installation say the same few things, whenever they are compiled or resolved
def _parts(inner: str) -> tuple[str, tuple[str, ...]] | None:
    step, *path = inner.split(".")
    if not step_name_ok(step) or not all(_SEGMENT.fullmatch(part) for part in path):
        return None
    return step, tuple(path)


def _whole(text: str) -> str | None:
    """What stands in a text that is one reference."""
    found = _REF.fullmatch(text)
    return found[1] if found else None


Outputs: TypeAlias = Callable[[str], Any]
Find: TypeAlias = Callable[[Ref], Any]


def resolve(value: Any, output_of: Outputs, place: str = "$") -> Any:
    """`value` with every reference replaced; BadReference when a path leads nowhere, before anything is called."""
    return replace(value, lambda ref: look_up(ref, output_of), place)


def replace(value: Any, find: Find, place: str = "$") -> Any:
    """`value` with every reference replaced by what `find` gives for it; BadReference is its to raise."""
    match value:
        case str():
            return _replace_text(value, find, place) if "${" in value else value
        case dict():
            return {key: replace(one, find, f"{place}.{key}") if _may_refer(one) else one for key, one in value.items()}
        case list() | tuple():
            return [replace(one, find, f"{place}[{number}]") if _may_refer(one) else one for number, one in enumerate(value)]
        case _:
            return value


def _replace_text(text: str, find: Find, place: str) -> Any:
    if (inner := _whole(text)) is not None:
        return find(_parse(inner, place))

    def written(match: "re.Match[str]") -> str:
        if match[1] is None:
            return "${"
        found = find(_parse(match[1], place))
        return found if isinstance(found, str) else msgspec.json.encode(found).decode()

    return _REF.sub(written, text)


def look_up(ref: Ref, output_of: Callable[[str], Any]) -> Any:
    """The value a reference finds; BadReference when its path leads nowhere."""
    found = output_of(ref.step)
    if found is ABSENT:
        return None
    for number, part in enumerate(ref.path):
        try:
            found = _item(found, part)
        except (KeyError, IndexError, TypeError):
            way = ".".join((ref.step, *ref.path[:number]))
            raise BadReference(ref.place, f"the output of {way} has no {part!r}; {_what_it_is(found)}") from None
    return found


def _what_it_is(value: Any) -> str:
    """What would have been found there: names only, no values."""
    match value:
        case dict():
            names = ", ".join(sorted(map(str, value))[:12])
            return f"it has {names[:300]}" if names else "it has nothing"
        case list() | tuple():
            return f"it is a list of {len(value)}"
        case _:
            return "it is no object"


def _item(value: Any, part: str) -> Any:
    if isinstance(value, list | tuple):  # a tool's tuple is a list once it has been stored
        if not part.isdigit():
            raise IndexError(part)  # int() would take "-1" and "1_0" too
        return value[int(part)]
    return value[part]
