"""What an HTTP answer says of the effect: done, not done, or neither. Pure."""

from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from shared.numbers import whole
from shared.tools.outbound import Answer
from shared.tools.registry import ToolRefused, ToolUnanswered

SHOWN: Final = 300
BUSY: Final = frozenset({408, 425, 429})
"""Not now: the same request may be made again."""
SENT_ON: Final = frozenset({302, 303})
"""How servers send a browser on, often after they did what it asked for."""
LONGEST_WAIT_MS: Final = 86_400_000


def check(answer: Answer, *, pure: bool, now_s: float) -> None:
    """Nothing for a 2xx. ToolRefused: it was not done. ToolUnanswered: nobody can tell. `pure`: there is nothing to be done."""
    status = answer.status
    if 200 <= status < 300:
        return
    said = f"{status}: {answer.text[:SHOWN]}" if answer.body else f"status {status} without a word"
    wait = retry_after_ms(answer.headers.get("retry-after", ""), now_s)
    if status in BUSY or (status == 503 and wait is not None):
        raise ToolRefused(f"http_{status}", said, retryable=True, retry_after_ms=wait)
    if status >= 500 or status < 300 or (status in SENT_ON and not pure):
        raise ToolUnanswered(f"the answer leaves open whether it was done: {said}")
    if status < 400:
        raise ToolRefused(f"http_{status}", f"it points elsewhere ({status}), and that is not followed")
    raise ToolRefused(f"http_{status}", said)


def retry_after_ms(text: str, now_s: float) -> int | None:
    """`Retry-After` in ms, a day at most; seconds or a date. None for none, or one that cannot be read."""
    seconds = whole(text.strip())
    if seconds is None:
        try:
            seconds = int(parsedate_to_datetime(text).timestamp() - now_s)
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0) * 1000, LONGEST_WAIT_MS)


def content(answer: Answer) -> Any:
    """The body as JSON, or as text where it is none; what was cut off says so, because half a document is none."""
    if answer.truncated:
        return {"left_out": True, "reason": "the answer was larger than it may be"}
    if not answer.body:
        return None
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return answer.text
