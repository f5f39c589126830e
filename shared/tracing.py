"""Traces: the port, which does nothing until a setting turns it on, and a trace's context as records and headers carry it.

A context is written `<trace>` (32 hex digits), or `<trace>-<span>-<flags>` where something is traced: W3C's traceparent without
its version. An execution keeps one from its creation on, so that its trace goes on whichever way it is woken.
"""

import re
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Final, Literal, Protocol, TypeAlias

Fact: TypeAlias = str | int | bool
"""An attribute's value. Never an argument, an output, an error's text, or anything that a caller wrote freely."""
Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]

HEADER: Final = "traceparent"
_W3C: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_SAMPLED: Final = 1

_current: ContextVar[str] = ContextVar("trace_context", default="")


class Span(Protocol):
    """Something that takes a while. Nothing here raises or waits."""

    def note(self, facts: Mapping[str, Fact]) -> None:
        """More of its attributes."""
        ...

    def event(self, name: str) -> None:
        """Something happened in it."""
        ...

    def failed(self, kind: str) -> None:
        """It ended badly; `kind` is one of few words and holds nothing of arguments or answers."""
        ...


class Tracer(Protocol):
    """Told of everything that the engine does for an execution. One for a process."""

    def span(
        self, name: str, *, kind: Kind = "internal", parent: str = "", link: str = "", facts: Mapping[str, Fact] | None = None
    ) -> AbstractContextManager[Span]:
        """Its context is `current` inside. `parent` and `link`: contexts; a current span of the parent's trace is the parent.

        An exception that leaves it is its failure, and goes on.
        """
        ...

    async def settle(self) -> None:
        """Before an invocation ends: hand over what is collected, if that is set, and wait for it a bounded time."""
        ...


class _NoSpan:
    def note(self, facts: Mapping[str, Fact]) -> None:
        """See the port."""

    def event(self, name: str) -> None:
        """See the port."""

    def failed(self, kind: str) -> None:
        """See the port."""


_NOTHING: Final[AbstractContextManager[Span]] = nullcontext(_NoSpan())


class NoTracer:
    """Nothing is traced."""

    def span(
        self,
        name: str,  # noqa: ARG002 - the port's
        *,
        kind: Kind = "internal",  # noqa: ARG002 - the port's
        parent: str = "",  # noqa: ARG002 - the port's
        link: str = "",  # noqa: ARG002 - the port's
        facts: Mapping[str, Fact] | None = None,  # noqa: ARG002 - the port's
    ) -> AbstractContextManager[Span]:
        """See the port."""
        return _NOTHING

    async def settle(self) -> None:
        """See the port."""


NO_TRACER: Final = NoTracer()


def read(traceparents: list[str]) -> str:
    """The context in a request's `traceparent` headers; empty for none, for two, and for what W3C calls invalid.

    Of the flags only "sampled" is known; what a later version adds behind them is not read.
    """
    found = _W3C.fullmatch(traceparents[0].strip(" \t")) if len(traceparents) == 1 else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return ""
    if found["trace"] == _NO_TRACE or found["span"] == _NO_SPAN:
        return ""
    return written(found["trace"], found["span"], sampled=bool(int(found["flags"], 16) & _SAMPLED))


def written(trace: str, span: str, *, sampled: bool) -> str:
    """A context of a traced span."""
    return f"{trace}-{span}-{'01' if sampled else '00'}"


def traceparent(context: str) -> str:
    """The header's value; empty where nothing is traced."""
    return f"00-{context}" if "-" in context else ""


def trace_id(context: str) -> str:
    """For people and logs: the trace alone."""
    return context.partition("-")[0]


def current() -> str:
    """The context of the span that we are in; empty outside of any."""
    return _current.get()


def entered(context: str) -> AbstractContextManager[None]:
    """Inside, `current` is this."""
    return _Entered(context)


def born() -> str:
    """What a new execution keeps: the span that makes it, or a trace of its own without one."""
    return current() or secrets.token_hex(16)


def nearest(context: str) -> str:
    """The span that we are in, if it is of this trace; else the context itself."""
    here = current()
    return here if here and (not context or trace_id(here) == trace_id(context)) else context


class _Entered:
    def __init__(self, context: str) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = _current.set(self._context)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
