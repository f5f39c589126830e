"""Moments and durations as people say them. Pure."""

from datetime import UTC, datetime
from typing import Final

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_LONG: Final = 30 * _DAY


def ago(text: str, now: datetime) -> str:
    """`3 min ago`, `in 2 h`; a date where it is further away than a month. `text` is ISO 8601; what is none stays as it is."""
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return text
    seconds = (now - then).total_seconds()
    if abs(seconds) >= _LONG:
        return f"{then:%Y-%m-%d}"
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """`40 ms`, `1.2 s`, `12 s`, `3 min`, `2 h`, `5 d`: the largest unit that is full, and never rounded up to the next."""
    if seconds < 1:
        return f"{int(1000 * seconds)} ms"
    if seconds < 10:
        return f"{int(10 * seconds) / 10:.1f} s"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def between(start: str | None, end: str | None) -> str:
    """How long it took; empty while that is not known."""
    if not start or not end:
        return ""
    return span(max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()))


def utc_now() -> datetime:
    """By this machine's clock."""
    return datetime.now(UTC)
