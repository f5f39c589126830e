"""What is told of executions: in lists, one by one, and when somebody acts upon them."""

from typing import Any, Literal

import msgspec

from shared.api.base import Links, Moment, Told
from shared.machine.plan import Plan
from shared.machine.state import Difference
from shared.planner.model import Question, Source
from shared.policies import Mark


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is going to be done."""

    name: str
    tool: str
    args: dict[str, Any]
    needs: tuple[str, ...]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of a new execution; its first hundred steps."""

    hash: str
    summary: str
    total_steps: int
    steps: tuple[PlannedStep, ...]
    sources: tuple[Source, ...]


class Begun(Told, frozen=True, kw_only=True):
    """202: the execution is durable. Of a repeated request, how it stands; `plan` is null while a model makes it."""

    id: str
    execution_id: str
    status: str
    repeated: bool = False
    plan: Summary | msgspec.UnsetType | None = msgspec.UNSET
    links: Links
    policies: tuple[Mark, ...] = ()


class Row(Told, frozen=True, kw_only=True):
    """An execution in a list."""

    id: str
    status: str
    reason: str | None
    cause: str | None
    text: str | None
    user_id: str | None
    created_at: Moment | None
    updated_at: Moment | None
    ended_at: Moment | None


class Rows(Told, frozen=True, kw_only=True):
    """A page of executions, newest first; `next` is the `before` of the next page."""

    executions: tuple[Row, ...]
    next: str | None


class PlanIdentity(Told, frozen=True, kw_only=True):
    """Which plan, and where the arguments of its steps come from."""

    hash: str
    summary: str | None
    sources: tuple[Source, ...]
    version: int
    """1, and one more for each time that other steps were planned after a failure."""
    differences: tuple[Difference, ...]
    """Of a version that waits for a person's yes: what it does differently."""


class LargeOutput(Told, frozen=True, kw_only=True):
    """Stands for an output that is too large to be shown; `path` gives it."""

    bytes: int
    sha256: str
    path: str


class Hold(Told, frozen=True, kw_only=True):
    """What a step waits for, or was granted. `message`: what a person is asked, beside the arguments."""

    kind: str
    message: str | msgspec.UnsetType = msgspec.UNSET
    args: Any = msgspec.UNSET
    args_hash: str | msgspec.UnsetType = msgspec.UNSET
    events: tuple[dict[str, str], ...] | msgspec.UnsetType = msgspec.UNSET
    got: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    by: str = ""
    child: str = ""
    since: Moment | None
    until: Moment | None
    remind_at: Moment | None


class OpenApproval(Told, frozen=True, kw_only=True):
    """What a person is asked: about these arguments."""

    execution_id: str
    step: str
    message: str | None
    kind: str
    args: Any = msgspec.UNSET
    args_hash: str | msgspec.UnsetType = msgspec.UNSET
    by: str = ""
    since: Moment | None
    until: Moment | None
    remind_at: Moment | None
    text: str | None
    status: str
    links: Links


class Approvals(Told, frozen=True, kw_only=True):
    """A page of them; `next` goes on where this one ended."""

    approvals: tuple[OpenApproval, ...]
    next: str | None


class Child(Told, frozen=True, kw_only=True):
    """The execution that a step runs as."""

    id: str
    path: str


class StepFault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a step has not come about. `at_ms` is unix ms."""

    code: str
    message: str
    at_ms: int | None = None


class StepUndo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the undo of a step stands. `ended_ms` is unix ms."""

    status: str
    by: str = ""
    ended_ms: int | None = None
    error: StepFault | None = None


class Step(Told, frozen=True, kw_only=True):
    """A step, or an item of a map. `items`: of a map that was spread, how many items stand where. `replaced`: another version
    of the plan has other steps in its place.
    """

    name: str
    tool: str
    status: str
    needs: tuple[str, ...] = ()
    input: Any = None
    output: Any = None
    attempts: int = 0
    key: str = ""
    error: StepFault | None = None
    undo: StepUndo | None = None
    hold: Hold | None = None
    items: dict[str, int | str] | None = None
    child: Child | None = None
    large_output: LargeOutput | None = None
    started_at: Moment | None
    ended_at: Moment | None
    retry_at: Moment | None
    replaced: bool = False


class Undone(Told, frozen=True, kw_only=True):
    """Names of steps: taken back, not to be taken back, left, under way, and those of which nobody knows."""

    done: tuple[str, ...]
    failed: tuple[str, ...]
    left: tuple[str, ...]
    open: tuple[str, ...]
    unknown: tuple[str, ...]
    more: bool


class Execution(Row, frozen=True, kw_only=True):
    """One execution with a page of its steps; `nextSteps` is the `first` of the next page."""

    phase: str
    segment: int
    version: int
    trace_id: str | None
    last_message_id: str | None
    wakes_at: Moment | None
    deadline: Moment | None
    plan: PlanIdentity
    output: Any
    questions: tuple[Question, ...] | None
    undo: Undone | None
    paused_by: str | None
    parent: str | None
    input: Any
    origin: dict[str, Any] | None
    steps: tuple[Step, ...]
    total_steps: int
    done_steps: int
    next_steps: int | None


class Items(Told, frozen=True, kw_only=True):
    """A page of the items of a map; `next` is the `first` of the next page."""

    items: tuple[Step, ...]
    total: int
    next: int | None


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. `id` is its place, `at_ms` its time in unix ms."""

    id: str
    event: str
    step: str = ""
    attempt: int = 0
    detail: dict[str, Any] = {}
    at_ms: int = 0


class History(Told, frozen=True, kw_only=True):
    """A page of what happened, the oldest first; `next` is the `after` of the next page."""

    history: tuple[HistoryLine, ...]
    next: str | None


class Wait(Told, frozen=True, kw_only=True):
    """One thing that must come first, and who moves it."""

    kind: str
    owner: str
    text: str
    step: str | None
    until: Moment | None
    detail: dict[str, Any]


class Why(Told, frozen=True, kw_only=True):
    """What an execution waits for. `broken` is null unless nothing would ever move it."""

    id: str
    why: str
    status: str
    reason: str | None
    phase: str
    cause: str | None
    waits: tuple[Wait, ...]
    more: bool
    due_at: Moment | None
    lease_until: Moment | None
    last_message_id: str | None
    unseen_signals: int
    broken: str | None


class Exported(Told, frozen=True, kw_only=True):
    """Everything of one execution. `endVersion` is its version when the document ended, `execution.version` when it began."""

    export: int
    """The version of this shape."""
    exported_at: Moment
    id: str
    tenant: str
    plan: Plan
    why: Why
    execution: Execution
    items: dict[str, tuple[Step, ...]]
    """Of each map that was spread."""
    history: tuple[HistoryLine, ...]
    end_version: int


# --- what came of an action


class Acted(Told, frozen=True, kw_only=True):
    """202: it is accepted; `will` says what it brings about."""

    id: str
    result: str
    will: str
    action: str
    by: str
    step: str | None


class Cancelling(Told, frozen=True, kw_only=True):
    """202: no further step starts."""

    id: str
    result: str
    undo: bool


class NotCancelled(Told, frozen=True, kw_only=True):
    """200: there was nothing to cancel."""

    id: str
    result: str
    status: str


class RunAgain(Told, frozen=True, kw_only=True):
    """202: another execution of the same plan. `standing` is what the old one did; `given`, what is not done again."""

    id: str
    execution_id: str
    repeated: bool
    kind: Literal["restart", "fork"]
    from_: str = msgspec.field(name="from")
    by: str
    step: str = ""
    standing: tuple[str, ...]
    given: tuple[str, ...]
    links: Links


class FilterCount(Told, frozen=True, kw_only=True):
    """How many fit, of one bounded look. `next`: where the next look begins, whose count is to be added; null after the last.

    With `createdBefore` in its filter an action is for what was counted, and for nothing that begins meanwhile.
    """

    count: int
    looked: int
    created_before: Moment
    next: str | None


class BulkRow(Told, frozen=True, kw_only=True):
    """What came of one execution: done, refused, or what would be done. `new` is the execution that a restart made."""

    id: str
    status: str
    result: Literal["done", "refused", "would"]
    will: str = ""
    code: str = ""
    message: str = ""
    new: str = ""


class BulkDone(Told, frozen=True, kw_only=True):
    """What came of all that fit; `next` is the `before` of the next request."""

    action: str
    by: str
    dry_run: bool
    done: int
    refused: int
    looked: int
    results: tuple[BulkRow, ...]
    next: str | None


class EventTold(Told, frozen=True, kw_only=True):
    """What came of an event for one execution."""

    execution_id: str
    id: str
    name: str
    result: str


class EventTaken(Told, frozen=True, kw_only=True):
    """202: the event is durable, and on its way to `woken` waits."""

    id: str
    name: str
    key: str
    woken: int


class Answered(Told, frozen=True, kw_only=True):
    """What came of a call."""

    result: str
