"""A route that says of itself what it takes and what it gives."""

from collections.abc import Collection
from typing import Any

from services.qstash_dev.openapi.shapes import Error
from shared.openapi.operations import BYTES, HTML, REDIRECT, Handler, Operation, Said

__all__ = ["BYTES", "HOOKS", "HTML", "REDIRECT", "Handler", "Operation", "is_guarded", "on"]

HOOKS = "/v2/workflows/hooks/"


def is_guarded(path: str) -> bool:
    """Health, the page and webhooks from outside ask for themselves who calls."""
    return path.startswith("/v2/") and not path.startswith(HOOKS)


def on(
    methods: str,
    path: str,
    handler: Handler,
    gives: Any,
    *,
    takes: Any = None,
    may_take: Any = None,
    query: Collection[str] = (),
    options: Collection[str] = (),
    errors: Collection[int] = (),
) -> Operation:
    """A route. `gives` is the answer with status 200, or all good answers by status; `errors` are those not every route has."""
    body = takes or may_take
    refusals = set(errors) | ({400, 413} if body else set()) | ({400} if query or options else set())
    refusals |= {400, 401, 429, 503} if is_guarded(path) else set()
    told = {**(gives if isinstance(gives, dict) else {200: gives}), **dict.fromkeys(sorted(refusals), Error)}
    said = Said(
        methods=tuple(methods.split()),
        text=(handler.__doc__ or "").strip(),
        gives=told,
        takes=body,
        needs_body=bool(takes),
        query=tuple(sorted(query)),
        options=tuple(options),
        guards=("token", "query") if is_guarded(path) else (),
    )
    return Operation(path, handler, said)
