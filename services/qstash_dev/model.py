"""What is remembered of a message. Field names are this server's own; `views.py` writes what clients see."""

from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from services.qstash_dev.headers import Pairs


class State(StrEnum):
    """States of the event log, as the SDKs spell them (CANCELLED would break the Python one)."""

    CREATED = "CREATED"
    ACTIVE = "ACTIVE"
    RETRY = "RETRY"
    ERROR = "ERROR"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELED = "CANCELED"


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One accepted message, without its body and its progress. Times are unix milliseconds."""

    message_id: str
    url: str
    """The destination exactly as published: the signature's `sub`."""
    method: str
    header: Pairs
    """What is delivered, canonical names; forward prefixes are gone."""
    max_retries: int
    not_before_ms: int
    created_at_ms: int
    caller_ip: str
    retry_delay: str = ""
    timeout_ms: int = 0
    """0 means the server's own limit."""
    callback: str = ""
    failure_callback: str = ""
    callback_header: Pairs = msgspec.field(default_factory=list)
    """Publish headers of the callback: `Upstash-Callback-X` is kept as `Upstash-X`."""
    failure_callback_header: Pairs = msgspec.field(default_factory=list)
    labels: list[str] = msgspec.field(default_factory=list)
    flow_key: str = ""
    parallelism: int = 0
    period_s: int = 1


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """What decides when a due message may start, small enough to keep in memory for every waiting one."""

    origin: str
    flow_key: str
    parallelism: int
    created_at_ms: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination said, or why nothing was heard (`status` 0 and `error`)."""

    status: int
    header: dict[str, list[str]] = msgspec.field(default_factory=dict)
    body: bytes = b""
    error: str = ""


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to be stored."""

    message: Message
    body: bytes
    dedup: str = ""
    """The deduplication key, empty when the caller asked for none."""


def lane_of(message: Message) -> Lane:
    """The lane: one per origin and flow-control key."""
    parts = urlsplit(message.url)
    return Lane(f"{parts.scheme}://{parts.netloc}", message.flow_key, message.parallelism, message.created_at_ms)
