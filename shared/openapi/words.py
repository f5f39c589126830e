"""What the parameters of the engine's own services are called and may be, and how their callers prove who they are."""

from pathlib import Path
from typing import Any, Final

from shared.machine.status import Reason, Status
from shared.openapi.build import Api

STRING: Final[dict[str, Any]] = {"type": "string"}
EXECUTION: Final = "exe_0a_019aa0000000700080000000000000aa"


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {**STRING, "description": description, **more}


def _named(description: str, example: str) -> dict[str, Any]:
    return _text(description, minLength=1, examples=[example])


PLACES: Final = {
    "id": _named("the id of an execution (exe_...), a schedule (sch_...) or a dead letter", EXECUTION),
    "step": _named("a step's name", "book"),
    "user": _named("a user's id", "test-user"),
    "tool": _named("a tool's name", "send_sms"),
    "name": _named("an event's name", "payment.settled"),
    "token": _named("of the address that a waiting step was given", "ticket"),
}
"""What stands in paths."""

_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": 500, "description": "at most so many"}
QUERY: Final[dict[str, dict[str, Any]]] = {
    "limit": _LIMIT,
    "first": {"type": "integer", "minimum": 0, "maximum": 10**9, "description": "the number of the page's first one"},
    "before": _text("the `next` of the page before"),
    "after": _text("the `next` of the page before, or the id of a line"),
    "status": {"type": "array", "items": {"enum": [*Status]}, "description": "any of these; also with commas"},
    "reason": {"type": "array", "items": {"enum": [*Reason]}, "description": "any of these; also with commas"},
    "text": _text("part of the words, the summary, or the user's name", maxLength=200),
    "createdAfter": _text("with its offset: 2026-05-01T19:00:00Z", format="date-time"),
    "createdBefore": _text("with its offset: 2026-05-01T19:00:00Z", format="date-time"),
    "execution": _text("an execution's id", examples=[EXECUTION]),
    "tool": _text("of this tool only: what was done to it, and to its circuit", examples=["book_ride"]),
}
"""Query parameters of the engine."""

HEADERS: Final = {
    "Idempotency-Key": _text("the same request again with the same key is done once", maxLength=255, examples=["order-17"]),
    "X-Actor": _text("the person who acts, for the history", maxLength=100, examples=["anna"]),
    "Last-Event-ID": _text("the id of the last event that was seen: the stream goes on behind it"),
    "Accept": {"enum": ["application/json", "text/event-stream"], "description": "how the answer is wanted"},
    "Upstash-Message-Id": _text("of the delivered message"),
    "Upstash-Retried": _text("how often it was tried before"),
    "Prefer": _text("`respond-async`: answer at once, run then (only our own services)", examples=["respond-async"]),
}
SECURITY: Final = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "an API key (setting API_KEYS); in local mode a trusted address needs none",
    },
    "metrics": {"type": "http", "scheme": "bearer", "description": "the setting METRICS_TOKEN; needed by no trusted address"},
    "qstash": {
        "type": "apiKey",
        "in": "header",
        "name": "Upstash-Signature",
        "description": "QStash's signature of address and body (a JWT, HS256)",
    },
    "internal": {
        "type": "apiKey",
        "in": "header",
        "name": "Intention-Signature",
        "description": "the same, by a service of ours (setting INTERNAL_SIGNING_KEY)",
    },
    "ably": {"type": "apiKey", "in": "header", "name": "X-Ably-Signature", "description": "Ably's signature of the body"},
    "mesh": {"type": "apiKey", "in": "header", "name": "X-Mesh-Secret", "description": "the setting ABLY_WEBHOOK_SECRET"},
}
SIGNED: Final = ("qstash", "internal")
"""Guards of what QStash calls."""


def api_of(title: str, about: str, *schemes: str, examples: Path | None = None) -> Api:
    """What is said of a service of the engine; `schemes` are those that its routes name."""
    return Api(
        title=title,
        about=f"{about} {_ERRORS}",
        security={name: SECURITY[name] for name in schemes},
        places=PLACES,
        query=QUERY,
        headers=HEADERS,
        retry_after=frozenset({429}),
        examples=examples,
    )


_ERRORS: Final = (
    'Every answer that is not 2xx is {"error": {"code", "message", "details"}}: the code is for programs, the message names '
    "the place and the remedy. 429 and 503 say in Retry-After when to come back."
)
