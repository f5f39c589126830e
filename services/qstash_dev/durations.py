"""Durations as texts. Two grammars: QStash's own for what is published, Go's for what a destination answers. Pure."""

import re
from email.utils import parsedate_to_datetime

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_UNITS = {"s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_PARTS = re.compile(r"([0-9]{1,12})([smhd])")
_WHOLE = re.compile(r"(?:[0-9]{1,12}[smhd])+")

_GO_UNITS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_GO_PARTS = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_GO_WHOLE = re.compile(r"\+?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+")


def parse_ms(text: str) -> int:
    """Milliseconds of `10s`, `1d10h30m` or a bare integer of seconds, which the workflow SDKs send. ValueError otherwise."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text) * SECOND_MS
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 10s or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))


def format_s(milliseconds: int) -> str:
    """The duration in whole seconds, as `parse_ms` reads it."""
    return f"{milliseconds // SECOND_MS}s"


def parse_go_ms(text: str) -> float:
    """Milliseconds of a Go duration (`6m5s`, `1.5s`, `300ms`); ValueError otherwise. Negative ones are not times to wait."""
    if not _GO_WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a Go duration")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PARTS.findall(text))


def parse_hint_ms(text: str, now_ms: int) -> float:
    """How long a response header asks to wait: seconds, an HTTP date, or a Go duration (docs: retry, rate-limit headers)."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text):
        return float(text) * SECOND_MS
    try:
        return parse_go_ms(text)
    except ValueError:
        return max(0.0, parsedate_to_datetime(text).timestamp() * 1_000 - now_ms)
