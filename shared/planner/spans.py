"""From when to when: "from 3 to 4pm", "at 3pm for two hours"."""

import re
from datetime import time

import msgspec

from shared.planner import grammar, moments
from shared.planner.moments import Clock, TimeMention, When
from shared.planner.scan import Scan


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What was said about an end: a time of day for each reading of the beginning, or a length."""

    words: str = ""
    ends: tuple[tuple[time, time], ...] = ()
    """Readings: beginning and end."""
    minutes: int = 0


def read(scan: Scan, clock: Clock, things: dict[str, str]) -> tuple[Span, When]:
    """Take the words about beginning and end out of the text."""
    length = scan.take(grammar.DURATION)
    span = Span(words=length.group().strip(), minutes=moments.amount(length)) if length else Span()
    both = next((match for match in grammar.SPAN.finditer(scan.text) if _is_span(match)), None)
    if both is not None:
        scan.blank(both.start(), both.end())
    when = moments.read(scan, clock, things)
    if both is None:
        return span, when
    words = both.group().strip()
    readings = _shortest(_times(both, "1"), _times(both, "2"))
    beginning = TimeMention(words=words, times=tuple(sorted({start for start, _ in readings})))
    return Span(words=words, ends=readings, minutes=span.minutes), msgspec.structs.replace(when, times=(*when.times, beginning))


def _is_span(match: re.Match[str]) -> bool:
    """ "3-4" alone may be anything."""
    said = match.group().lower()
    return said.startswith(("from", "between")) or any(match[name] for name in ("minute1", "minute2", "half1", "half2"))


def _times(match: re.Match[str], number: str) -> tuple[time, ...]:
    hour, minute, half = int(match[f"hour{number}"]), int(match[f"minute{number}"] or "0"), match[f"half{number}"]
    return moments.half_day(hour, minute, half) if half else moments.either_half(hour, minute)


def _shortest(starts: tuple[time, ...], ends: tuple[time, ...]) -> tuple[tuple[time, time], ...]:
    """ "11 to 1pm" is two hours, not fourteen; with two that are equally short both are left."""
    readings = [(start, end) for start in starts for end in ends if start < end]
    lengths = [_minutes(end) - _minutes(start) for start, end in readings]
    return tuple(reading for reading, length in zip(readings, lengths, strict=True) if length == min(lengths))


def _minutes(value: time) -> int:
    return value.hour * 60 + value.minute
