"""What is remembered of a workflow run. Times are unix milliseconds."""

import base64
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from services.qstash_dev.headers import Pairs
from services.qstash_dev.model import CallType, Message


class RunState(StrEnum):
    """States of a run, as the SDK spells them."""

    STARTED = "RUN_STARTED"
    SUCCESS = "RUN_SUCCESS"
    FAILED = "RUN_FAILED"
    CANCELED = "RUN_CANCELED"


class Invoker(msgspec.Struct, frozen=True, kw_only=True):
    """The run that invoked this one, and the step it waits with."""

    run_id: str
    url: str
    created_at_ms: int
    header: Pairs
    """Publish headers of the message that will bring it the outcome."""
    step: dict[str, Any]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What never changes in a run."""

    run_id: str
    url: str
    first: Message
    """The message that started it: its settings are those of every step that says nothing else."""
    invoker: Invoker | None = None


class Entry(NamedTuple):
    """One step of a run as it is stored: facts for this server, and the JSON that is delivered."""

    message_id: str
    at_ms: int
    call: CallType
    wire: bytes

    @property
    def body(self) -> bytes:
        """The step's own bytes."""
        return _wire.decode(self.wire).body

    def packed(self) -> bytes:
        """As it is stored."""
        return f"{self.message_id} {self.at_ms} {self.call} ".encode() + self.wire


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    message_id: str
    body: bytes  # msgspec writes bytes as base64, which is what the SDKs read
    call_type: str


_wire = msgspec.json.Decoder(_Wire)


def entry(message_id: str, at_ms: int, call: CallType, body: bytes) -> Entry:
    """A new step; a wait that is over is a step like any other."""
    call = CallType.STEP if call is CallType.WAIT else call
    wire = {"messageId": message_id, "body": base64.b64encode(body).decode(), "callType": call}
    return Entry(message_id, at_ms, call, msgspec.json.encode(wire))


def unpack(raw: bytes) -> Entry:
    """A stored step."""
    message_id, at_ms, call, wire = raw.split(b" ", 3)
    return Entry(message_id.decode(), int(at_ms), CallType(call.decode()), wire)


class _Place(msgspec.Struct, rename="camel"):
    step_id: int
    target_step: int = 0


_place = msgspec.json.Decoder(_Place)


def mark(one: Entry) -> str:
    """Which step of its run it is, as the SDKs count; empty for what is no such step."""
    if one.call is not CallType.STEP:
        return ""
    try:
        found = _place.decode(one.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return f"{found.step_id}:{found.target_step}"


class Run(NamedTuple):
    """A run as it stands."""

    record: Record
    state: RunState
    created_at_ms: int
    fields: dict[str, bytes]
    """Everything of the hash, see lua/run.lua."""
    steps: list[Entry]

    @property
    def going(self) -> bool:
        """Neither ended nor failed nor cancelled."""
        return self.state is RunState.STARTED

    def text(self, name: str) -> str:
        """A field, empty where there is none."""
        return self.fields.get(name, b"").decode()

    def facts(self, name: str) -> dict[str, Any]:
        """A field of JSON."""
        found: dict[str, Any] = msgspec.json.decode(self.fields.get(name) or b"{}")
        return found


class Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """One run that waits for an event."""

    run_id: str
    message_id: str
    deadline_s: int
    header: dict[str, list[str]]
    step: dict[str, Any]
    url: str
    timeout_url: str = ""
    timeout_body: str = ""
    timeout_header: dict[str, list[str]] = msgspec.field(default_factory=dict)
