"""Times, bodies and states as a person reads them. Pure."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Any

from services.qstash_dev.page.html import Html, escaped, html

MAX_TEXT = 16_384


def clock(at_ms: int, now_ms: int) -> Html:
    """A time of day in UTC, and the whole date in its title."""
    at = datetime.fromtimestamp(at_ms / 1_000, UTC)
    far = abs(at_ms - now_ms) > 43_200_000
    text = f"{at:%d %b %H:%M:%S}" if far else f"{at:%H:%M:%S}.{at_ms % 1_000:03}"
    return html('<span class="nowrap" title="{full}">{text}</span>', full=f"{at:%Y-%m-%d %H:%M:%S} UTC", text=text)


def span(milliseconds: int) -> str:
    """A length of time in at most two units."""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1_000
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def ago(at_ms: int, now_ms: int) -> str:
    """How far away a time is, in whole seconds."""
    if abs(at_ms - now_ms) < 1_000:
        return "just now"
    far = span(round(abs(now_ms - at_ms) / 1_000) * 1_000)
    return f"{far} ago" if at_ms <= now_ms else f"in {far}"


def state(name: str) -> Html:
    """A state in its colour."""
    return html('<span class="state {name}">{name}</span>', name=name)


def coded(text: str) -> Html:
    """Text with `words` in another type."""
    return Html(re.sub("`([^`]*)`", r"<code>\1</code>", escaped(text)))


def headers(found: dict[str, list[str]] | None) -> str:
    """One header a line."""
    return "\n".join(f"{name}: {value}" for name, values in (found or {}).items() for value in values)


def body(text: str | None, encoded: str | None = None) -> str:
    """A body to read: JSON laid out, other text as it is, bytes as their number and their first ones."""
    if text is None and not encoded:
        return ""
    if text is None:
        text = _decoded(encoded or "")
    try:
        laid_out = json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text[:1] in {"{", "["} else text
    except (ValueError, RecursionError):
        laid_out = text
    return laid_out if len(laid_out) <= MAX_TEXT else f"{laid_out[:MAX_TEXT]}\n… {len(laid_out) - MAX_TEXT} more characters"


def _decoded(encoded: str) -> str:
    try:
        raw = base64.b64decode(encoded)
    except binascii.Error:
        return encoded
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"{len(raw)} bytes: {raw[:256].hex(' ')}{' …' if len(raw) > 256 else ''}"


def status(found: Any) -> str:
    """An HTTP status; the destination that did not answer has 0."""
    return "no answer" if found == 0 else "" if found is None else str(found)
