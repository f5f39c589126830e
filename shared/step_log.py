"""What a tool logs while it is called: kept with its step, bounded, and free for tools that log nothing.

    call.log("asked the CRM", status=200)

The lines travel with the commit of the attempt's result. A process that dies in the middle of a call takes that call's lines
with it, and no others.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

MOST_LINES: Final = 100
"""Of one attempt."""
MOST_BYTES: Final = 16_384
"""Of one attempt, as JSON."""
MOST_MESSAGE: Final = 2_000
"""Characters."""
MOST_ATTEMPTS: Final = 10
"""Of one step, the latest."""
MOST_OF_EXECUTION: Final = 1_048_576
"""Bytes of all that an execution's steps have logged; more is not kept."""
_encode = msgspec.json.Encoder(enc_hook=str).encode
encode = msgspec.json.Encoder().encode
"""Of what an attempt has logged."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line."""

    at_ms: int
    """Unix ms by the store's clock."""
    level: str
    message: str
    fields: dict[str, Any] = {}


class Logged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one attempt logged."""

    attempt: int
    lines: tuple[LogLine, ...]
    truncated: bool = False
    """There was more than is kept of one attempt."""


decode = msgspec.json.Decoder(Logged).decode
Clean: TypeAlias = Callable[[Any], Any]


class Notebook:
    """What one call logs."""

    def __init__(self, now_ms: Callable[[], int], clean: Clean) -> None:
        """`clean` strikes out of a value what nobody may read."""
        self._now_ms = now_ms
        self._clean = [clean]
        self._lines: list[LogLine] = []
        self._bytes = 0
        self._full = False

    def also(self, clean: Clean) -> None:
        """Strike this out, too."""
        self._clean.append(clean)

    def add(self, message: str, level: str, fields: Mapping[str, Any]) -> None:
        """One line, unless there is no room."""
        if self._full or len(self._lines) >= MOST_LINES:
            self._full = True
            return
        line = self._line(message, level, fields)
        size = len(_encode(line))
        if self._bytes + size > MOST_BYTES:
            self._full = True
            return
        self._bytes += size
        self._lines.append(line)

    def logged(self, attempt: int) -> Logged | None:
        """All of it; None if nothing was logged."""
        if not self._lines and not self._full:
            return None
        return Logged(attempt=attempt, lines=tuple(self._lines), truncated=self._full)

    def _line(self, message: str, level: str, fields: Mapping[str, Any]) -> LogLine:
        said: Any = [str(message)[:MOST_MESSAGE], _plain(fields)]
        for clean in self._clean:
            said = clean(said)
        return LogLine(at_ms=self._now_ms(), level=level, message=said[0], fields=said[1])


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON reads them; what is no JSON is a text, and what nothing can be made of says so."""
    try:
        found: dict[str, Any] = msgspec.json.decode(_encode(dict(fields)))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return {"left_out": type(error).__name__}
    return found


_open: ContextVar[Notebook | None] = ContextVar("step_log", default=None)


def take_notes(notebook: Notebook) -> None:
    """From here on, in this task and in those that it starts, what is logged goes there."""
    _open.set(notebook)


def write(message: str, level: Level = "info", fields: Mapping[str, Any] | None = None) -> None:
    """Into the notebook of the call that we are in; nowhere outside of any."""
    if notebook := _open.get():
        notebook.add(message, level, fields or {})


def also_clean(clean: Clean) -> None:
    """Strike this out of what the call that we are in logs."""
    if notebook := _open.get():
        notebook.also(clean)
