"""Whether an answer is one that the service's OpenAPI document describes, with no field that it does not know."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import httpx
import jsonschema_rs

from shared.openapi.build import of, template
from shared.openapi.operations import Operation

SERVICES = ("ingress", "step_executor", "resume")
BY_ROUTING = frozenset({404, 405})
"""What an address that is none of the document's may be answered with."""


def routes(service: str) -> list[Operation]:
    """The described ones."""
    found = import_module(f"services.{service}.app").ROUTES
    return [one for one in found if isinstance(one, Operation)]


@cache
def strict(service: str) -> dict[str, Any]:
    """The document, the shapes of answers closed: an unknown field in one is a fault of the document. Bodies may be open."""
    found = of(routes(service), import_module(f"services.{service}.app").API)
    schemas = found["components"]["schemas"]
    taken = reached(schemas, [operation.get("requestBody") for item in found["paths"].values() for operation in item.values()])
    for name, schema in schemas.items():
        if name not in taken and "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return found


def reached(schemas: dict[str, Any], start: Any) -> set[str]:
    """The names of the schemas that something refers to, directly or not."""
    found: set[str] = set()
    todo = [start]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            todo += one.values()
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                todo.append(schemas[name])
    return found


def operations(service: str, path: str, method: str) -> Iterator[Operation]:
    """The routes that a path and a method lead to."""
    return (one for one in routes(service) if method in one.said.methods and one.path_regex.match(path))


@cache
def _validator(service: str, place: str, method: str, status: int) -> jsonschema_rs.Draft202012Validator | None:
    answers = strict(service)["paths"][place][method]["responses"]
    assert str(status) in answers, f"{method} {place} does not tell of a status {status}"
    schema = answers[str(status)].get("content", {}).get("application/json", {}).get("schema")
    whole = {**(schema or {}), "components": strict(service)["components"]}
    return None if schema is None else jsonschema_rs.Draft202012Validator(whole)


def check(service: str, response: httpx.Response) -> None:
    """AssertionError for an answer that the document does not describe."""
    method, path = response.request.method, response.request.url.path
    route = next(operations(service, path, method), None)
    if route is None:
        return
    validator = _validator(service, template(route.path), method.lower(), response.status_code)
    if validator and response.headers["content-type"] == "application/json":
        errors = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(response.json())]
        assert not errors, f"{method} {path} {response.status_code}: {errors}"
