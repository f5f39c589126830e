"""An MCP tool's JSON Schema as the arguments that plans are checked against. Pure.

What cannot be said in msgspec's types, above all what is inside of objects, is left to the server: it checks every call itself.
So are patterns: one that takes for ever to match, written elsewhere, would stop the process that takes plans.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

_SCALARS: Final[dict[str, Any]] = {"boolean": bool, "null": None, "object": dict[str, Any]}
_BOUNDS: Final = {
    "minLength": "min_length", "maxLength": "max_length", "minimum": "ge", "maximum": "le",
    "exclusiveMinimum": "gt", "exclusiveMaximum": "lt", "minItems": "min_length", "maxItems": "max_length",
}  # fmt: skip
DEEP: Final = 4
"""How deep lists in lists are looked into."""


def version_of(schema: Mapping[str, Any]) -> str:
    """What a plan pins: another schema is another version. Digits, as every version; which of two is newer, nobody can say."""
    digest = hashlib.sha256(msgspec.json.encode(schema, order="deterministic")).digest()
    return ".".join(str(int.from_bytes(digest[at : at + 8], "big") % 10**9) for at in (0, 8))


def arguments_of(name: str, schema: Mapping[str, Any], hidden: Iterable[str] = ()) -> type[msgspec.Struct]:
    """The arguments as a Struct. Its fields have names of their own (a server's may be no Python names); it reads the server's.

    `hidden`: what plans do not give.
    """
    properties = schema.get("properties")
    found = {str(key): one for key, one in properties.items()} if isinstance(properties, Mapping) else {}
    needed = schema.get("required")
    required = set(needed) if isinstance(needed, list) else set()
    fields: list[Any] = []
    names: dict[str, str] = {}
    for key in (key for key in found if key not in set(hidden)):
        field = f"a{len(names)}"
        names[field] = key
        kind = _type_of(found[key])
        fields.append((field, kind) if key in required else (field, kind | UnsetType, UNSET))
    return msgspec.defstruct(f"{name}_args", fields, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=names)


def given(args: type[msgspec.Struct], values: Mapping[str, Any]) -> dict[str, Any]:
    """Back to the server's names, without what was not given."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(args)}
    return {names[name]: value for name, value in values.items() if value is not UNSET}


def _type_of(schema: Any, depth: int = 0) -> Any:
    """A msgspec type; Any for what has none."""
    if not isinstance(schema, Mapping) or depth >= DEEP:
        return Any
    try:
        kind = _read(schema, depth)
        msgspec.json.Decoder(kind | UnsetType)
    except (TypeError, ValueError, OverflowError):  # a union or a bound that msgspec cannot hold
        return Any
    return kind


def _read(schema: Mapping[str, Any], depth: int) -> Any:
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list):
            return _one_of([_type_of(one, depth + 1) for one in schema[word]])
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(choices, list) and choices and all(isinstance(one, str) or type(one) is int for one in choices):
        return Literal[tuple(choices)]
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return _one_of([_plain(kind, schema, depth) for kind in kinds])
    return _plain(kinds, schema, depth)


def _one_of(kinds: list[Any]) -> Any:
    return reduce(or_, kinds) if kinds and Any not in kinds else Any


def _plain(kind: Any, schema: Mapping[str, Any], depth: int) -> Any:
    match kind:
        case "string":
            return _bounded(str, schema, "minLength", "maxLength")
        case "integer":
            return _bounded(int, schema, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        case "number":
            bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
            return _bounded(float, schema, *bounds)
        case "array":
            return _bounded(list[_type_of(schema.get("items"), depth + 1)], schema, "minItems", "maxItems")  # type: ignore[misc]
    return _SCALARS.get(kind, Any) if isinstance(kind, str) else Any


def _bounded(kind: Any, schema: Mapping[str, Any], *words: str) -> Any:
    said = {_BOUNDS[word]: schema[word] for word in words if isinstance(schema.get(word), int | float)}
    if "gt" in said:
        said.pop("ge", None)
    if "lt" in said:
        said.pop("le", None)
    return Annotated[kind, msgspec.Meta(**said)] if said else kind
