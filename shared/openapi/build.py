"""The OpenAPI 3.1 document of a list of routes. Pure, but for a file of examples."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from starlette.routing import BaseRoute

from shared.openapi.operations import BYTES, HTML, NOT_JSON, REDIRECT, STREAM, TEXT, Operation

Json: TypeAlias = dict[str, Any]

REF: Final = "#/components/schemas/{name}"
_FIRST: Final = re.compile(r"[.;]\s|:\s(?![^(]*\))")
"""Where the first statement of a text ends."""
PLACE: Final = re.compile(r"\{(\w+)(:path)?\}")
_MEDIA: Final = {HTML: "text/html", STREAM: "text/event-stream", TEXT: "text/plain"}
NEVER_AGAIN: Final = 489
"""What QStash takes for a final refusal."""
_RETRY_AFTER: Final = {"description": "seconds", "schema": {"type": "integer", "minimum": 0}}
_LOCATION: Final = {"description": "where what was made is found", "schema": {"type": "string"}}


class Api(NamedTuple):
    """What is said of a service beside its routes."""

    title: str
    about: str
    security: Mapping[str, Json]
    """Security schemes by name."""
    places: Mapping[str, Json]
    """Schemas of what stands in paths,"""
    query: Mapping[str, Json]
    """of query parameters that are more than text,"""
    headers: Mapping[str, Json]
    """and of headers."""
    version: str = "1"
    tags_below: str = "api"
    """The part of paths whose next part is an operation's tag."""
    retry_after: frozenset[int] = frozenset()
    """Statuses that say when to come back."""
    examples: Path | None = None
    """A file of answers: operation -> status -> answer."""


def of(routes: Iterable[BaseRoute], api: Api) -> Json:
    """The document; routes that say nothing about themselves are not in it."""
    told = [route for route in routes if isinstance(route, Operation)]
    types = [kind for route in told for kind in _types(route)]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    described = {repr(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    answers = msgspec.json.decode(api.examples.read_bytes()) if api.examples else {}
    paths: dict[str, Json] = {}
    for route in told:
        for method in route.said.methods:
            found = _operation(route, method, described, api)
            _exemplify(found, answers.get(found["operationId"], {}))
            paths.setdefault(template(route.path), {})[method.lower()] = found
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": api.version, "description": api.about},
        "paths": paths,
        "components": {"schemas": _portable(components), "securitySchemes": dict(api.security)},
    }


def _portable(schema: Any) -> Any:
    """Patterns as JSON Schema knows them: without Python's `\\A` and `\\Z`."""
    if isinstance(schema, list):
        return [_portable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _portable(one) for name, one in schema.items()}
    if isinstance(pattern := found.get("pattern"), str):
        found["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
    return found


def template(path: str) -> str:
    """A route's path in OpenAPI's notation."""
    return PLACE.sub(r"{\1}", path)


def operation_id(method: str, path: str) -> str:
    """`get_api_executions_id`."""
    return "_".join([method.lower(), *re.findall(r"\w+", template(path))])


def _kinds(kind: Any) -> tuple[Any, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def _types(route: Operation) -> list[Any]:
    told = [one for kind in (*route.said.gives.values(), route.said.takes) for one in _kinds(kind)]
    return [kind for kind in told if kind and not _no_json(kind)]


def _no_json(kind: Any) -> bool:
    return isinstance(kind, str) and kind in NOT_JSON


def _operation(route: Operation, method: str, described: Mapping[str, Json], api: Api) -> Json:
    said = route.said
    found: Json = {
        "operationId": operation_id(method, route.path),
        "summary": _FIRST.split(said.text, maxsplit=1)[0].rstrip("."),
        "description": said.text,
        "tags": [_tag(route.path, api)],
        "parameters": _parameters(route, api),
        "responses": {str(status): _response(status, kind, described, said.place, api) for status, kind in said.gives.items()},
    }
    if said.takes:
        content = _content(said.takes, described)
        if said.example is not None:
            content["application/json"]["example"] = said.example
        found["requestBody"] = {"required": said.needs_body, "content": content}
    return found | ({"security": [{name: []} for name in said.guards]} if said.guards else {})


def _tag(path: str, api: Api) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == api.tags_below and len(parts) > 1 else (parts[0] or "ui")


def _parameters(route: Operation, api: Api) -> list[Json]:
    said = route.said
    places = [_parameter(name, "path", api.places[name]) | {"required": True} for name, _ in PLACE.findall(route.path)]
    query = [_parameter(name, "query", api.query.get(name, {"type": "string"})) for name in said.query]
    return [*places, *query, *(_parameter(name, "header", api.headers[name]) for name in said.options)]


def _parameter(name: str, place: str, schema: Json) -> Json:
    return {"name": name, "in": place, "schema": schema}


def _response(status: int, kind: Any, described: Mapping[str, Json], place: bool, api: Api) -> Json:  # noqa: FBT001 - a fact
    content = {} if kind == REDIRECT else {"content": _content(kind, described)}
    headers = {"Retry-After": _RETRY_AFTER} if status in api.retry_after else {}
    headers |= {"Location": _LOCATION} if place and status in {201, 202} else {}
    return {"description": _phrase(status), **content, **({"headers": headers} if headers else {})}


def _phrase(status: int) -> str:
    return "Never to be tried again" if status == NEVER_AGAIN else HTTPStatus(status).phrase


def _content(kind: Any, described: Mapping[str, Json]) -> Json:
    """By media type; several types of JSON are alternatives."""
    kinds = _kinds(kind)
    typed = [dict(described[repr(one)]) for one in kinds if not _no_json(one)]
    found = {"application/json": {"schema": typed[0] if len(typed) == 1 else {"anyOf": typed}}} if typed else {}
    return found | {media: content for one in kinds if _no_json(one) for media, content in _other(one).items()}


def _other(kind: str) -> Json:
    return {"*/*": {}} if kind == BYTES else {_MEDIA[kind]: {"schema": {"type": "string"}}}


def _exemplify(operation: Json, answers: Mapping[str, Any]) -> None:
    for status, answer in answers.items():
        if status in operation["responses"]:
            operation["responses"][status]["content"]["application/json"]["example"] = answer
