"""Structured logs: JSON lines in production, aligned colours on a terminal. Event names are dotted and past tense.

Where an operator's guide tells people to look for a sentence ("Checkpoint saved [segment 2, next step: 5]"), the event
carries it as `message`, so that both a query on `event` and a plain grep find the line.
"""

import asyncio
import atexit
import logging
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, BinaryIO, TypeAlias

import msgspec
import structlog

Clean: TypeAlias = Callable[[str], str]
_ids: ContextVar[dict[str, Any]] = ContextVar("log_ids", default={})  # noqa: B039 - replaced and never changed
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(*, service: str, format: str, level: str, clean: Clean = str) -> None:  # noqa: A002 - the setting's own name
    """Set up structlog for this process, once, before the first logger is used. `clean` strikes secrets out of each line."""
    if format == "console":
        # Plain tracebacks: the default takes `rich` where it happens to be installed, which prints locals, and so headers.
        people = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), pad_event_to=22, exception_formatter=structlog.dev.plain_traceback
        )
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=True)
        steps: list[Any] = [with_ids, structlog.processors.add_log_level, stamp, _for_people, people]
        steps.append(lambda _, __, line: clean(line))
        factory: Any = structlog.WriteLoggerFactory(file=sys.stdout)  # a line and its end leave together
    else:
        steps = [lambda _, level, event: clean(_json(_complete(level, event)).decode()).encode()]
        factory = Lines(sys.stdout.buffer).logger
    structlog.configure(
        processors=steps,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    _ids.set({"service": service})


def tell_apart(**ids: Any) -> None:
    """From here on each line of this process has these ids, too."""
    _ids.set(_ids.get() | ids)


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Inside, and in tasks that are started there, each line has these ids."""
    token = _ids.set(_ids.get() | ids)
    try:
        yield
    finally:
        _ids.reset(token)


def with_ids(_: Any, __: str, event: "structlog.typing.EventDict") -> "structlog.typing.EventDict":
    """A line with the ids that are bound where it is written; a processor of structlog's. What the line says itself stands."""
    return {**_ids.get(), **event}


def _complete(level: str, event: "structlog.typing.EventDict") -> "structlog.typing.EventDict":
    """All of a line in one go: structlog's own processors, one after the other, take twice the time of everything else here."""
    if event.get("exc_info"):
        event = structlog.processors.format_exc_info(None, level, event)
    now = datetime.now(UTC).isoformat(timespec="microseconds")[:26]
    return {"timestamp": f"{now}Z", "level": level, "event": event.pop("event"), **_ids.get(), **event}


def get_logger() -> "structlog.typing.FilteringBoundLogger":
    """A logger; bind ids with `bound` at the start of a message."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def _for_people(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """The sentence comes first; what the supervisor's line prefix says, or only machines need, is left out."""
    for name in ("service", "trace", "key", "jti"):
        event.pop(name, None)
    sentence = event.pop("message", None)
    if sentence:
        event["event"] = f"{event['event']:<22} {sentence}"
    return event


class Lines:
    """Writes lines; those of one turn of the loop leave together: a system call for each costs more than the line itself."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is flushed each time."""
        self._file = file
        self._lines: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        atexit.register(self.flush)

    def logger(self, *_: Any) -> "Lines":
        """For structlog: there is one for the process."""
        return self

    def msg(self, line: bytes) -> None:
        """One line, without its end."""
        loop = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises where there is none
        with self._lock:
            self._lines.append(line)
            due = loop is not None and (self._loop is not loop or len(self._lines) == 1)
            self._loop = loop
        if loop is None:
            self.flush()
        elif due:
            loop.call_soon(self.flush)

    debug = info = warning = error = critical = msg

    def flush(self) -> None:
        """Write what is there."""
        with self._lock:
            lines, self._lines = self._lines, []
            for part in _parts(lines):
                self._file.write(part)
                self._file.flush()


def _parts(lines: list[bytes]) -> Iterator[bytes]:
    """Of whole lines, each of a size that a pipe takes at once: what another process writes there comes before or behind it."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) + 1 > select.PIPE_BUF:
            yield b"\n".join([*part, b""])
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield b"\n".join([*part, b""])


_json = msgspec.json.Encoder(enc_hook=str).encode
