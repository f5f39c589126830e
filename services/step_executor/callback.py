"""What QStash says of a call that it made for a step. Pure reading of its callback, and one signal."""

import base64
import binascii
from typing import Any

import msgspec

MOST_BYTES = 262_144


class Callback(msgspec.Struct, frozen=True, rename="camel"):
    """The part of QStash's callback (and failure callback) that says how the call ended (reference: callbacks)."""

    status: int = 0
    body: str = ""
    """base64"""
    retried: int = 0
    max_retries: int = 0


def said_by(found: Callback) -> dict[str, Any] | None:
    """What the step is told; None while QStash will try again (it calls back after every attempt).

    A 2xx is done. A 4xx is a refusal: it did not happen. Everything else leaves it open whether it happened.
    """
    answer = _answer(found.body)
    if 200 <= found.status < 300:
        return {"data": answer}
    if found.retried < found.max_retries:
        return None
    if 400 <= found.status < 500 and found.status not in {408, 425, 429}:
        return {"error": f"{found.status}: {_text(answer)}"}
    return {"unanswered": f"the call ended with status {found.status}: {_text(answer)}"}


def _answer(body: str) -> Any:
    try:
        raw = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) > MOST_BYTES:
        return {"left_out": True, "bytes": len(raw), "limit": MOST_BYTES}
    try:
        return msgspec.json.decode(raw) if raw else None
    except msgspec.DecodeError:
        return raw.decode("utf-8", "replace")


def _text(answer: Any) -> str:
    text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
    return text[:500]
