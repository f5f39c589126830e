"""A route that says of itself what it takes and what it gives."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.qstash_dev.openapi.shapes import Error

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

HTML, REDIRECT, BYTES = "a page", "a redirect", "any bytes"
"""Answers and bodies that are no JSON."""
HOOKS = "/v2/workflows/hooks/"


class Said(NamedTuple):
    """What an operation tells about itself."""

    methods: tuple[str, ...]
    """As they were asked for: Starlette adds HEAD to GET."""
    text: str
    gives: Mapping[int, Any]
    """Status -> a type that msgspec can describe, or one of the words above."""
    takes: Any
    """The body likewise; None for none."""
    needs_body: bool
    query: tuple[str, ...]
    options: tuple[str, ...]
    """Headers."""


class Operation(Route):
    """A route with its description."""

    def __init__(self, path: str, handler: Handler, said: Said) -> None:
        super().__init__(path, handler, methods=list(said.methods))
        self.said = said

    @property
    def guarded(self) -> bool:
        """Whether only known callers get in."""
        return is_guarded(self.path)


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
    )
    return Operation(path, handler, said)
