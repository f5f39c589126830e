"""The OpenAPI 3.1 document of a list of routes. Pure."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from starlette.routing import BaseRoute

from services.qstash_dev.openapi.operations import BYTES, HTML, REDIRECT, Operation
from services.qstash_dev.openapi.words import HEADERS, PLACES, QUERY

Json: TypeAlias = dict[str, Any]

REF = "#/components/schemas/{name}"
PLACE = re.compile(r"\{(\w+)(:path)?\}")
ABOUT = (
    "QStash v2 as this server speaks it. A destination in a path may be written as it is, with its slashes. Every option "
    "header may be a lower-case query parameter. Faults on demand may answer any call with a 429 or a 5xx."
)
SECURITY = {
    "token": {"type": "http", "scheme": "bearer"},
    "query": {"type": "apiKey", "in": "query", "name": "qstash_token"},
}


def of(routes: Iterable[BaseRoute]) -> Json:
    """The document; routes that say nothing about themselves are not in it."""
    told = [route for route in routes if isinstance(route, Operation)]
    types = [kind for route in told for kind in _types(route)]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    described = {repr(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, Json] = {}
    for route in told:
        for method in route.said.methods:
            paths.setdefault(template(route.path), {})[method.lower()] = _operation(route, method, described)
    return {
        "openapi": "3.1.0",
        "info": {"title": "qstash_dev", "version": "2", "description": ABOUT},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": SECURITY},
    }


def template(path: str) -> str:
    """A route's path in OpenAPI's notation."""
    return PLACE.sub(r"{\1}", path)


def _types(route: Operation) -> list[Any]:
    return [kind for kind in (*route.said.gives.values(), route.said.takes) if kind and kind not in {BYTES, HTML, REDIRECT}]


def _operation(route: Operation, method: str, described: Mapping[str, Json]) -> Json:
    said = route.said
    found: Json = {
        "operationId": "_".join([method.lower(), *re.findall(r"\w+", template(route.path))]),
        "summary": said.text.partition(". ")[0].rstrip("."),
        "description": said.text,
        "tags": [route.path.strip("/").removeprefix("v2/").partition("/")[0] or "ui"],
        "parameters": _parameters(route),
        "responses": {str(status): _response(status, kind, described) for status, kind in said.gives.items()},
    }
    if said.takes:
        found["requestBody"] = {"required": said.needs_body, "content": _content(said.takes, described)}
    return found | ({"security": [{"token": []}, {"query": []}]} if route.guarded else {})


def _parameters(route: Operation) -> list[Json]:
    said = route.said
    places = [_parameter(name, "path", PLACES[name]) | {"required": True} for name, _ in PLACE.findall(route.path)]
    query = [_parameter(name, "query", QUERY.get(name, {"type": "string"})) for name in said.query]
    return [*places, *query, *(_parameter(name, "header", HEADERS[name]) for name in said.options)]


def _parameter(name: str, place: str, schema: Json) -> Json:
    return {"name": name, "in": place, "schema": schema}


def _response(status: int, kind: Any, described: Mapping[str, Json]) -> Json:
    content = {} if kind == REDIRECT else {"content": _content(kind, described)}
    return {"description": HTTPStatus(status).phrase, **content}


def _content(kind: Any, described: Mapping[str, Json]) -> Json:
    if kind == BYTES:
        return {"*/*": {}}
    if kind == HTML:
        return {"text/html": {"schema": {"type": "string"}}}
    return {"application/json": {"schema": described[repr(kind)]}}
