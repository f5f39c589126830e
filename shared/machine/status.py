"""Where an execution and each of its cells may stand, and the one table of legal moves.

Rule 1: everything that moves a status goes through `check_move`. Rule 2: an illegal move raises and changes nothing.
`docs/machine.md` is drawn from these tables (`python -m shared.machine.draw`).
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Status(StrEnum):
    """Where an execution stands."""

    RECEIVED = "RECEIVED"
    PLANNING = "PLANNING"
    PLANNED = "PLANNED"
    AWAITING_CONFIRMATION = "AWAITING_CONFIRMATION"
    EXECUTING = "EXECUTING"
    SUSPENDED = "SUSPENDED"
    PAUSED = "PAUSED"
    COMPENSATING = "COMPENSATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    COMPENSATED = "COMPENSATED"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"
    REJECTED = "REJECTED"


_S = Status
_ENDS_UNDONE = frozenset({_S.COMPENSATED, _S.COMPENSATION_FAILED})
_ENDS_EMPTY = frozenset({_S.FAILED, _S.CANCELLED, _S.TIMED_OUT})

TERMINAL: Final = frozenset({_S.COMPLETED, _S.REJECTED}) | _ENDS_UNDONE | _ENDS_EMPTY

MOVES: Final = MappingProxyType(
    {
        _S.RECEIVED: frozenset({_S.PLANNING}),
        _S.PLANNING: frozenset(
            {_S.PLANNED, _S.AWAITING_CONFIRMATION, _S.SUSPENDED, _S.PAUSED, _S.REJECTED, _S.CANCELLED},
        ),
        _S.PLANNED: frozenset({_S.EXECUTING}),
        _S.AWAITING_CONFIRMATION: frozenset({_S.EXECUTING, _S.PAUSED, _S.REJECTED, _S.CANCELLED, _S.TIMED_OUT}),
        _S.EXECUTING: frozenset({_S.SUSPENDED, _S.PAUSED, _S.AWAITING_CONFIRMATION, _S.COMPENSATING, _S.COMPLETED})
        | _ENDS_EMPTY,
        _S.SUSPENDED: frozenset({_S.PLANNING, _S.EXECUTING, _S.COMPENSATING}),
        _S.PAUSED: frozenset({_S.PLANNING, _S.AWAITING_CONFIRMATION, _S.EXECUTING, _S.COMPENSATING}),
        _S.COMPENSATING: frozenset({_S.SUSPENDED, _S.PAUSED}) | _ENDS_UNDONE,
    }
    | {end: frozenset[Status]() for end in TERMINAL}
)
"""From each status, where it may go. A terminal status is left only by the store's explicit `reopen`.

What is accepted with its plan begins as PLANNED; RECEIVED and PLANNING are for words that a model is to plan (`asking`).
EXECUTING awaits a confirmation when a new version of its plan does (`replanning`).
What rests is PLANNING, EXECUTING or COMPENSATING again before anything else becomes of it; one commit may store several moves.
"""

REOPENINGS: Final = MappingProxyType(
    {
        _S.FAILED: frozenset({_S.EXECUTING, _S.COMPENSATING}),
        _S.TIMED_OUT: frozenset({_S.EXECUTING, _S.COMPENSATING}),
        _S.CANCELLED: frozenset({_S.COMPENSATING}),
        _S.COMPLETED: frozenset({_S.COMPENSATING}),
        _S.COMPENSATION_FAILED: frozenset({_S.COMPENSATING}),
    }
)
"""What a person may reopen, and to what (audited, with the version that person saw)."""


class Phase(StrEnum):
    """Which lane runs: the plan, or its undoing. Beside the status, so that the undo lane can suspend too."""

    FORWARD = "forward"
    UNDO = "undo"


class Reason(StrEnum):
    """Why an execution is SUSPENDED."""

    NONE = ""
    BACKOFF = "back-off"
    SLEEP = "sleep"
    EVENT = "event"
    CALLBACK = "callback"
    APPROVAL = "approval"
    CHILD = "child"
    SLOT = "slot"
    MAP = "map"
    CIRCUIT = "circuit"
    SETTLING = "settling"
    UNKNOWN_EFFECT = "unknown effect"
    UNDELIVERABLE = "undeliverable"
    QUOTA = "quota"


class Cause(StrEnum):
    """What stopped the forward lane."""

    NONE = ""
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"


class Cell(StrEnum):
    """One byte a cell: where a step (or the undo of a step) stands. A plan of n steps has 2n cells, undo after forward."""

    IDLE = "."
    """Its needs are not done, or nobody asked for the undo."""
    OPENING = "o"
    """Its needs are met, and something is to be looked at first: a condition, an approval, a wait, the items of a map."""
    READY = "r"
    """To be started as soon as there is room."""
    GRANTED = "g"
    """READY, with what a person or a limit granted beside it: `Hold`."""
    WAITING = "w"
    """Something outside must come first, or its time: `Hold` says what."""
    INTENDED = "i"
    """The call may be on the wire: recorded before it is made."""
    BACKOFF = "b"
    """To be tried (again) at `Fault.retry_at_ms`."""
    SETTLING = "s"
    """A dead caller's request may still land: asked about at `Intent.settle_at_ms`."""
    UNKNOWN = "u"
    """Whether it happened is not known, and only a person can say."""
    DONE = "d"
    """It happened; its result is stored and never changes."""
    FAILED = "f"
    """It did not happen and will not be tried again. Of an undo: the effect stands."""
    SKIPPED = "k"
    """Its condition did not hold, or what it refers to was skipped."""
    LEFT = "l"
    """Undo lane only: cannot be undone, and stands."""


SETTLED: Final = frozenset({Cell.DONE, Cell.SKIPPED, Cell.FAILED})
"""Where a step of the plan rests: what needs it may go on. (One that FAILED and may not has stopped the lane.)"""

OVER: Final = frozenset({Cell.IDLE, Cell.DONE, Cell.FAILED, Cell.LEFT})
"""Where an undo cell rests: not asked for, or finished with. (A forward cell's IDLE still waits for its needs.)"""


class IllegalMove(Exception):
    """A status move that the table does not have; nothing was changed."""


def check_move(origin: Status, target: Status) -> Status:
    """`target`, if `origin` may become it; the same status again is no move."""
    if target != origin and target not in MOVES[origin]:
        raise IllegalMove(f"{origin} may not become {target}")
    return target


def way(origin: Status, target: Status) -> list[Status]:
    """The shortest way by legal moves, both ends included; empty if three moves do not lead there."""
    ways = [[origin]]
    for one in ways:
        if one[-1] is target:
            return one
        if len(one) < 4:
            ways += [[*one, further] for further in sorted(MOVES[one[-1]] - set(one))]  # a queue: it is read while it grows
    return []
