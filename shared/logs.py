"""Structured logs: JSON lines in production, aligned colours on a terminal. Event names are dotted and past tense.

Where an operator's guide tells people to look for a sentence ("Checkpoint saved [segment 2, next step: 5]"), the event
carries it as `message`, so that both a query on `event` and a plain grep find the line.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
import structlog

Clean: TypeAlias = Callable[[str], str]
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(*, service: str, format: str, level: str, clean: Clean = str) -> None:  # noqa: A002 - the setting's own name
    """Set up structlog for this process, once, before the first logger is used. `clean` strikes secrets out of each line."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if format == "console" else "iso", utc=True),
    ]
    if format == "console":
        # Plain tracebacks: the default takes `rich` where it happens to be installed, which prints locals, and so headers.
        people = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), pad_event_to=22, exception_formatter=structlog.dev.plain_traceback
        )
        renderer: list[Any] = [_for_people, people, lambda _, __, line: clean(line)]
        factory: Any = structlog.PrintLoggerFactory(file=sys.stdout)
    else:
        as_json = structlog.processors.JSONRenderer(serializer=_json)
        renderer = [structlog.processors.format_exc_info, as_json, lambda _, __, line: clean(line.decode()).encode()]
        factory = structlog.BytesLoggerFactory(file=sys.stdout.buffer)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def get_logger() -> "structlog.typing.FilteringBoundLogger":
    """A logger; bind ids with `structlog.contextvars.bound_contextvars` at the start of a message."""
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


def _json(event: dict[str, Any], **_: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)
