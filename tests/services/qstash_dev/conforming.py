"""Whether an answer is one that the OpenAPI document describes, with no field that it does not know."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from services.qstash_dev.app import ROUTES
from services.qstash_dev.openapi import document, shapes
from services.qstash_dev.openapi.operations import Operation


@cache
def strict() -> dict[str, Any]:
    """The document, its answers closed: an unknown field is a fault of the document."""
    found = document.of(ROUTES)
    for name, schema in found["components"]["schemas"].items():
        if hasattr(shapes, name) and schema.get("type") == "object":
            schema["additionalProperties"] = False
    return found


def operations(path: str) -> Iterator[Operation]:
    """The routes that a path leads to."""
    return (route for route in ROUTES if route.path_regex.match(path))


@cache
def _validator(template: str, method: str, status: int) -> jsonschema_rs.Draft202012Validator | None:
    answers = strict()["paths"][template][method]["responses"]
    assert str(status) in answers, f"{method} {template} does not tell of a status {status}"
    content = answers[str(status)].get("content", {})
    if "application/json" not in content:
        return None
    return jsonschema_rs.Draft202012Validator({**content["application/json"]["schema"], "components": strict()["components"]})


async def check(response: httpx.Response) -> None:
    """AssertionError for an answer that the document does not describe. Injected faults answer what they like."""
    method = response.request.method.lower()
    route = next((one for one in operations(response.request.url.path) if method.upper() in one.said.methods), None)
    if route is None or "qstash-dev-faults" in response.headers:
        return
    validator = _validator(document.template(route.path), method, response.status_code)
    if validator:
        await response.aread()
        errors = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(response.json())]
        assert not errors, f"{method} {response.request.url}: {errors}"
