"""What can happen to an execution. Every event carries its time and what this invocation can still take."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from shared.machine.state import Signal


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution may cost of the model."""

    calls: int = 4
    tokens: int = 40_000
    cost_micro: int = 0
    """In millionths of the unit that the installation counts in; 0 = no limit."""
    call_ms: int = 7_000
    """How long one answer is waited for."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of this invocation. Times are unix milliseconds by the store's clock."""

    checkpoint_ms: int
    """Nothing starts at or after this moment."""
    cutoff_ms: int
    """A call still running now is cut off."""
    lease_ms: int
    """Our lease ends: nothing is sent after it."""
    parallel: int
    """Calls that may run at once."""
    starts_left: int | None = None
    """Steps that may still start here (STEPS_PER_MESSAGE); None = no limit."""
    started: int = 0
    """Steps that started here already."""
    stalled_limit: int = 0
    """Fruitless segments after which an operator is needed; 0 = no limit."""
    closed: Mapping[str, int] = {}
    """Tools that nobody calls now (paused, or their circuit is open), and until when, unix ms."""
    unpaid: bool = False
    """No message can be paid for, and none can be done without: whoever would leave waits for the quota."""
    patience: Patience = Patience()
    estimates: Mapping[str, int] = {}
    """Milliseconds a tool's call usually stays under, where enough calls were seen."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The tool answered: it happened."""

    output: Any


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The tool said that it did not happen."""

    code: str
    message: str
    retryable: bool = False
    retry_after_ms: int | None = None


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """The request never left: trying again is safe for every kind of effect."""

    message: str


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """Sent, and no answer that settles it: a time-out is never a failure."""

    message: str


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The tool took it over and will call the step's address when it is done."""

    output: Any = None


Outcome: TypeAlias = Done | Refused | NotSent | Unanswered | Accepted


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended."""

    cell: int
    outcome: Outcome
    started_ms: int
    ended_ms: int


class Woke(msgspec.Struct, frozen=True, kw_only=True):
    """A new owner loaded the record: everything INTENDED in it belongs to a dead one."""

    now_ms: int
    room: Room
    signals: tuple[Signal, ...] = ()


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of this invocation ended: all that were ready in one turn of the loop."""

    now_ms: int
    room: Room
    reports: tuple[Report, ...]


class Signalled(msgspec.Struct, frozen=True, kw_only=True):
    """The inbox had moved when the last commit came; its continuation was dropped."""

    now_ms: int
    room: Room
    signals: tuple[Signal, ...]


class Ticked(msgspec.Struct, frozen=True, kw_only=True):
    """Time passed (a short back-off is over), or what was asked for has been loaded."""

    now_ms: int
    room: Room


Event: TypeAlias = Woke | Attempted | Signalled | Ticked
