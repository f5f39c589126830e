"""What an answer means for a message: delivered, tried again at a time, or failed. Pure.

Facts (docs: retry, rate-limit headers): 2xx is success; `489` with `Upstash-NonRetryable-Error: true` fails at once; else there
are `max_retries` more attempts, after a hint of the destination, the message's own expression, or `min(86400, e^(2.5 n))` s.
"""

import math
from typing import NamedTuple, TypeAlias

from services.qstash_dev import durations, expression, headers
from services.qstash_dev.durations import DAY_MS
from services.qstash_dev.model import Answer, Message

HINTS = ("Retry-After", "X-Ratelimit-Reset", "X-Ratelimit-Reset-Requests", "X-Ratelimit-Reset-Tokens")
NON_RETRYABLE_STATUS = 489


class Delivered(NamedTuple):
    """A 2xx."""


class RetryAt(NamedTuple):
    """To be tried again, not before this time (unix ms)."""

    due_ms: int


class Failed(NamedTuple):
    """Given up."""


Decision: TypeAlias = Delivered | RetryAt | Failed


def decide(message: Message, retried: int, answer: Answer, now_ms: int) -> Decision:
    """What to do after the attempt that saw `retried` retries before it."""
    if 200 <= answer.status < 300:
        return Delivered()
    if retried >= message.max_retries or _never(answer):
        return Failed()
    return RetryAt(now_ms + math.ceil(delay_ms(message, retried, answer, now_ms)))


def delay_ms(message: Message, retried: int, answer: Answer, now_ms: int) -> float:
    """How long to wait before the next attempt. The destination knows best, then the publisher, then the ladder."""
    hint = _hint_ms(answer, now_ms)
    if hint is not None:
        return hint
    if message.retry_delay:
        try:
            return min(DAY_MS, max(0.0, expression.evaluate(message.retry_delay, retried)))
        except expression.BadExpression:  # checked at publish for every count it can see; the ladder is a safe second
            pass
    return ladder_ms(retried + 1)


def ladder_ms(nth: int) -> float:
    """The n-th back-off, n from 1: about 12 s, 2m28s, 30m8s, 6h7m, then 24 h."""
    return min(86_400.0, math.exp(2.5 * min(nth, 10))) * 1_000


def _never(answer: Answer) -> bool:
    flag = headers.first("Upstash-Nonretryable-Error", answer.header)
    return answer.status == NON_RETRYABLE_STATUS and (flag or "").strip().lower() == "true"


def _hint_ms(answer: Answer, now_ms: int) -> float | None:
    """The first readable hint. One above a day is no hint: rate limits that reset at a date often give absolute seconds."""
    for name in HINTS:
        value = headers.first(name, answer.header)
        if value is None:
            continue
        try:
            hint = durations.parse_hint_ms(value, now_ms)
        except (ValueError, OverflowError):
            continue
        return hint if hint <= DAY_MS else None
    return None
