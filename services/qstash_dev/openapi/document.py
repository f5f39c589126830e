"""The OpenAPI 3.1 document of this server's routes."""

from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute

from services.qstash_dev.openapi.words import HEADERS, PLACES, QUERY
from shared.openapi import build
from shared.openapi.build import Api, template

__all__ = ["API", "of", "template"]

API = Api(
    title="qstash_dev",
    about=(
        "QStash v2 as this server speaks it. A destination in a path may be written as it is, with its slashes. Every option "
        "header may be a lower-case query parameter. Faults on demand may answer any call with a 429 or a 5xx."
    ),
    security={
        "token": {"type": "http", "scheme": "bearer"},
        "query": {"type": "apiKey", "in": "query", "name": "qstash_token"},
    },
    places=PLACES,
    query=QUERY,
    headers=HEADERS,
    version="2",
    tags_below="v2",
)


def of(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The document; routes that say nothing about themselves are not in it."""
    return build.of(routes, API)
