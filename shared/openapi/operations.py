"""A route that says of itself what it takes and what it gives."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from shared.api.base import Refusal

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

HTML, REDIRECT, BYTES = "a page", "a redirect", "any bytes"
STREAM, TEXT = "server-sent events", "plain text"
"""Answers and bodies that are no JSON."""
NOT_JSON: Final = frozenset({HTML, REDIRECT, BYTES, STREAM, TEXT})


class Said(NamedTuple):
    """What an operation tells about itself."""

    methods: tuple[str, ...]
    """As they were asked for: Starlette adds HEAD to GET."""
    text: str
    gives: Mapping[int, Any]
    """Status -> a type that msgspec can describe, one of the words above, or a tuple of these: what the caller accepts."""
    takes: Any
    """The body likewise; None for none, a tuple for any of several."""
    needs_body: bool
    query: tuple[str, ...]
    options: tuple[str, ...]
    """Headers."""
    guards: tuple[str, ...]
    """Security schemes, any one of which is enough; none: open to everybody."""
    example: Any = None
    """A body, as JSON."""
    place: bool = False
    """Its answers 201 and 202 say in `Location` where what was made is found."""


class Operation(Route):
    """A route with its description."""

    def __init__(self, path: str, handler: Handler, said: Said) -> None:
        """As Starlette's own."""
        super().__init__(path, handler, methods=list(said.methods))
        self.said = said

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As Starlette's own; the handler can ask what its route takes (`scope["said"]`)."""
        scope["said"] = self.said
        await super().handle(scope, receive, send)


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
    guards: Collection[str] = ("key",),
    example: Any = None,
    place: bool = False,
    about: str = "",
) -> Operation:
    """A route of the engine, described: its first words are the handler's docstring, its refusals have the one error shape.

    `gives` is the answer with status 200, or all good answers by status; `takes` is the body's type (`may_take`: it may be left
    out), `example` one as JSON; `query` and `options` name parameters and headers that the service's `Api` describes; `errors`
    are refusals beyond those of every route with such a path, such a body, and such a guard. `guards` (): open to everybody.
    `about` stands for the handler's docstring where one handler serves many routes.
    """
    body = takes or may_take
    told = gives if isinstance(gives, dict) else {200: gives}
    said = Said(
        methods=tuple(methods.split()),
        text=" ".join((about or handler.__doc__ or "").split()),
        gives={**told, **dict.fromkeys(sorted(_refusals(path, body, query, guards) | set(errors)), Refusal)},
        takes=body,
        needs_body=bool(takes),
        query=tuple(query),
        options=tuple(options),
        guards=tuple(guards),
        example=example,
        place=place,
    )
    return Operation(path, handler, said)


def _refusals(path: str, body: Any, query: Collection[str], guards: Collection[str]) -> set[int]:
    found = {401, 503} if guards else set()
    if "qstash" in guards and "key" not in guards:  # what cannot be read is answered with 489, which each route says itself
        return found | {413}
    found |= {400, 413, 415} if body else set()
    found |= {400} if query or "key" in guards else set()  # also for a parameter where none is taken
    return found | ({404} if "{" in path else set())
