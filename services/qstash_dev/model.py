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


class CallType(StrEnum):
    """What a message is to its workflow run; the values of Upstash-Workflow-CallType, and one of our own."""

    STEP = "step"
    TO_CALLBACK = "toCallback"
    FROM_CALLBACK = "fromCallback"
    FAILURE = "failureCall"
    WAIT = "wait"
    """A step that is not there yet: it comes with a notification, or when the time is over."""


class RunRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which workflow run a message belongs to, and as what."""

    run_id: str
    url: str = ""
    call: CallType = CallType.STEP
    init: bool = False
    invoke: bool = False
    created_at_ms: int = 0
    """When the run began; 0 until somebody looked."""
    event: str = ""
    """What a WAIT waits for."""


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
    """0 means no such limit; so does a rate of 0."""
    rate: int = 0
    period_s: int = 1
    queue: str = ""
    behind: str = ""
    """The queue whose next message waits for this one, a callback."""
    group: str = ""
    """The URL group it was published to, and the endpoint's name in it."""
    endpoint: str = ""
    schedule_id: str = ""
    redacted: list[str] = msgspec.field(default_factory=list)
    """What is not to be shown: `body`, `header` for all of them, `header[Name]`."""
    body_hash: str = ""
    """SHA-256 of a redacted body; where it is shown, the body itself may not be at hand."""
    run: RunRef | None = None


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """What decides when a due message may start, small enough to keep in memory. `put.lua` reads it by place."""

    origin: str
    flow_key: str = ""
    parallelism: int = 0
    created_at_ms: int = 0
    rate: int = 0
    period_s: int = 1
    queue: str = ""


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


def with_facts(publish: Publish, **facts: str) -> Publish:
    """The same message with some of its fields changed."""
    return msgspec.structs.replace(publish, message=msgspec.structs.replace(publish.message, **facts))


def origins(message: Message) -> dict[str, str]:
    """Where a message came from, in QStash's names; what does not apply is absent."""
    facts = {"topicName": message.group, "endpointName": message.endpoint, "scheduleId": message.schedule_id}
    return {name: value for name, value in facts.items() if value}


def gated(message: Message) -> bool:
    """Whether it passes a gate in Redis, so that others may wait for its end."""
    return bool(message.queue or message.behind or message.flow_key)


def lane_of(message: Message) -> Lane:
    """The lane of a message: its destination's origin, and the gates in Redis that it passes before."""
    parts = urlsplit(message.url)
    return Lane(
        origin=f"{parts.scheme}://{parts.netloc}",
        flow_key=message.flow_key,
        parallelism=message.parallelism,
        created_at_ms=message.created_at_ms,
        rate=message.rate,
        period_s=message.period_s,
        queue=message.queue,
    )
