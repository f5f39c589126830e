"""What was decided: changes to store, and what comes next. A decision names what changed, never a new copy of the state."""

from typing import Any, TypeAlias

import msgspec

from shared.machine.state import Adopted, Execution, Fault, Header, Hold, Intent, Notes, Result
from shared.machine.status import SETTLED, Cause, Cell, Reason, Status


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of the history: a dotted past-tense event, and about which step."""

    event: str
    step: str = ""
    attempt: int = 0
    detail: dict[str, Any] = {}


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Something that concerns another partition. It is stored with the commit that decided it and carried out at least once."""

    id: str
    """The same whenever the same is decided again; unique within the execution otherwise."""
    kind: str
    """What is to be done: `shared.commands` has one idempotent handler for each kind."""
    to: str = ""
    """What it is done to: an execution, most often."""
    payload: Any = None


class Changes(msgspec.Struct, kw_only=True):
    """What one part of a commit writes. Built by `decide`, read-only afterwards."""

    header: Header | None = None
    cells: dict[int, Cell] = {}
    intents: dict[int, Intent] = {}
    faults: dict[int, Fault] = {}
    results: dict[int, Result] = {}
    holds: dict[int, Hold] = {}
    notes: Notes | None = None
    output: Any = None
    """What the execution gives; None for nothing."""
    history: list[Line] = []
    commands: list[Command] = []
    logs: dict[int, tuple[bytes, ...]] = {}
    """What calls have logged, by cell, an attempt a text. Nothing is decided by it, and it is stored with what is."""
    seen: int = 0
    progress: bool = False
    """Something came of this segment: the count of fruitless ones starts again."""

    def __bool__(self) -> bool:
        return bool(self.header or self.cells or self.notes or self.history or self.commands or self.progress)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One call to make, once its intent is stored."""

    cell: int
    step: str
    tool: str
    intent: Intent
    timeout_ms: int
    version: str = ""
    """The tool's version that the plan pinned; empty: the newest."""
    undo: bool = False
    """Call the tool's own undo."""
    execution: str = ""
    tenant: str = ""


class StartSteps(msgspec.Struct, frozen=True, kw_only=True):
    """Store these intents, then make the calls; without any, store and decide again.

    `until_ms`: when something else may start, whatever the calls do.
    """

    starts: tuple[Start, ...]
    until_ms: int | None = None
    changes: Changes


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Calls are running, or a back-off ends soon enough to sit it out."""

    until_ms: int | None = None


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Deciding needs more of the record: these results, the order in which effects completed, or what early signals said."""

    results: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    letters: tuple[int, ...] = ()


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A slot that a call needs."""

    limit: str
    most: int
    per_ms: int
    member: str
    """One attempt of one step: giving its slot back late never frees the next attempt's."""
    step: str
    until_ms: int
    """When the call has happened or never will; the slot of a dead caller comes back then."""


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """Calls need slots: take them before anything is recorded, then decide again."""

    asks: tuple[Ask, ...]


class AskModel(msgspec.Struct, frozen=True, kw_only=True):
    """Store that the model is asked once more, then ask it. What it says comes as `Execution.advice`."""

    call: int
    model: bool
    """False: no call is left, and only the rules are asked."""
    until_ms: int
    """Nobody waits for the answer any longer."""
    changes: Changes


class Adopt(msgspec.Struct, frozen=True, kw_only=True):
    """Store the plan, and begin with it in the next segment; or wait until somebody has confirmed it."""

    adopted: Adopted
    confirm: bool
    deadline_ms: int
    wake_at_ms: int
    changes: Changes


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """The invocation is used up: checkpoint, and go on in the next segment."""

    next_step: str
    need: tuple[int, ...]
    """Results the next segment will want, so that it gets them with its first round trip."""
    changes: Changes


class Suspend(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing can be done before `wake_at_ms`, or before somebody acts."""

    reason: Reason
    wake_at_ms: int
    timed: bool
    """Whether time alone ends it (then a delayed message is queued)."""
    changes: Changes


class End(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal status."""

    status: Status
    cause: Cause
    changes: Changes


Next: TypeAlias = StartSteps | Wait | Load | Take | AskModel | Adopt | Leave | Suspend | End


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`kept` is stored whatever the inbox says; `next` only if nothing arrived meanwhile."""

    kept: Changes
    next: Next


def apply(execution: Execution, changes: Changes) -> None:
    """Bring the working copy up to what was stored."""
    if changes.header is not None:
        execution.header = changes.header
    if changes.notes is not None:
        execution.grow(changes.notes)
    execution.holds.update(changes.holds)
    execution.intents.update(changes.intents)
    execution.faults.update(changes.faults)
    for cell, result in changes.results.items():
        execution.results[cell] = result.output
    for cell, target in changes.cells.items():
        execution.move(cell, target)
        if target in SETTLED:
            _count_needs(execution, cell, target)
    for cell in changes.holds:
        execution.set_alarm(cell)
    if changes.seen > execution.seen:
        execution.seen = changes.seen


def _count_needs(execution: Execution, cell: int, target: Cell) -> None:
    if cell >= execution.layout.size:
        return
    for dependent in execution.blueprint.dependents[cell]:
        if dependent in execution.unmet:
            execution.unmet[dependent] -= 1
        if dependent in execution.met:
            execution.met[dependent] += target is Cell.DONE


_NOTHING = Changes()


def merge(first: Changes, second: Changes) -> Changes:
    """Both, the second on top; for changes that are decided in two goes and stored in one."""
    if first == _NOTHING:
        return second
    if second == _NOTHING:
        return first
    return Changes(
        header=second.header or first.header,
        cells=first.cells | second.cells,
        intents=first.intents | second.intents,
        faults=first.faults | second.faults,
        results=first.results | second.results,
        holds=first.holds | second.holds,
        notes=second.notes or first.notes,
        output=first.output if second.output is None else second.output,
        history=first.history + second.history,
        commands=first.commands + second.commands,
        logs={cell: first.logs.get(cell, ()) + second.logs.get(cell, ()) for cell in first.logs | second.logs},
        seen=max(first.seen, second.seen),
        progress=first.progress or second.progress,
    )
