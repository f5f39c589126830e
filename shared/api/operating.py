"""What is told of plans before they run, and of what stands around executions: tools, quota, gates, dead letters, progress."""

from typing import Any, Literal

import msgspec

from shared.api.base import Links, Moment, Told
from shared.machine.plan import Contract
from shared.planner.model import Source
from shared.policies import Mark


class PricedStep(Told, frozen=True, kw_only=True):
    """What a step does, and how that is taken back. `approval` is what a person is told, or true."""

    name: str
    does: str
    args: dict[str, Any]
    needs: tuple[str, ...]
    tool: str = ""
    version: str | msgspec.UnsetType = msgspec.UNSET
    effect: str = ""
    undo: str = ""
    approval: str | bool = False


class AwaitedStep(Told, frozen=True, kw_only=True):
    """A wait that somebody else ends."""

    step: str
    kind: str


class Price(Told, frozen=True, kw_only=True):
    """What a plan is expected to take. `worstCost` null: only the run will tell."""

    messages: int
    reserved_messages: int
    duration_ms: int
    cost: int
    worst_cost: int | None
    awaits: tuple[AwaitedStep, ...]
    guessed: tuple[str, ...]


class Priced(Told, frozen=True, kw_only=True):
    """A plan that would be accepted. Nothing of it is stored."""

    hash: str
    summary: str
    steps: tuple[PricedStep, ...]
    sources: tuple[Source, ...]
    cannot_be_undone: tuple[str, ...]
    policies: tuple[Mark, ...]
    price: Price


class Tool(Told, frozen=True, kw_only=True):
    """A tool: what it promises, and its arguments as JSON Schema."""

    name: str
    summary: str
    contract: Contract
    args: dict[str, Any]
    versions: tuple[str, ...]


class Tools(Told, frozen=True, kw_only=True):
    """What steps can do."""

    tools: tuple[Tool, ...]


class Window(Told, frozen=True, kw_only=True):
    """Messages of a day or a month; a limit of null is none."""

    limit: int | None
    spent: int
    reserved: int
    left: int | None
    kept_for_accepted: int | None
    resets_at: Moment


class Concurrent(Told, frozen=True, kw_only=True):
    """Executions at a time; a limit of null is none."""

    limit: int | None
    running: int
    left: int | None


class Allowance(Told, frozen=True, kw_only=True):
    """How much a tenant has left."""

    level: str
    day: Window
    month: Window
    waiting: int
    concurrent: Concurrent


class Quota(Allowance, frozen=True, kw_only=True):
    """How a tenant stands."""

    tenant: str


class Gate(Told, frozen=True, kw_only=True):
    """What may not be called now."""

    gate: str
    kind: str
    tool: str | None
    tenant: str | None
    since: Moment | None
    until: Moment | None
    reason: str | None
    actor: str | None
    times: int
    probing: bool


class GateLine(Told, frozen=True, kw_only=True):
    """Who paused or resumed what."""

    at: Moment | None
    what: str
    gate: str
    actor: str
    reason: str


class Gates(Told, frozen=True, kw_only=True):
    """What is closed, and the latest words about it."""

    gates: tuple[Gate, ...]
    audit: tuple[GateLine, ...]


class RecordedGate(Told, frozen=True, kw_only=True):
    """Something that was done to a gate. Without an actor a circuit did it by itself."""

    id: str
    at: Moment | None
    what: Literal["paused", "resumed", "opened", "closed"]
    gate: str
    kind: Literal["pause", "circuit"]
    tool: str | None
    tenant: str | None
    actor: str | None
    reason: str | None


class GateRecord(Told, frozen=True, kw_only=True):
    """A page, the latest first; `next` is the `before` of the page after it, null on the last one."""

    audit: tuple[RecordedGate, ...]
    next: str | None


class ToolLatency(Told, frozen=True, kw_only=True):
    """Of the latest answered calls (a hundred at most) of the executor that told last. `p99Ms` needs twenty of them."""

    p50_ms: int
    p95_ms: int | None
    p99_ms: int | None
    calls: int
    at: Moment | None


class ToolBreaker(Told, frozen=True, kw_only=True):
    """A circuit breaker: the tools of one server (`name`) share one.

    `since` is null where nothing is on record, `until` unless it is open. `times`: how often it has opened without a good call
    in between. `failed` of `ofCalls` failed in the present window, which its first failure begins.
    """

    name: str
    state: Literal["closed", "open", "half-open"]
    since: Moment | None
    until: Moment | None
    reason: str | None
    times: int
    failures_in_a_row: int
    failed: int
    of_calls: int


class ToolPause(Told, frozen=True, kw_only=True):
    """Who paused a tool is for operators; a tenant sees who paused all its calls."""

    since: Moment | None
    reason: str | None
    actor: str | None


class ToolState(Told, frozen=True, kw_only=True):
    """How one tool does."""

    name: str
    latency: ToolLatency | None
    breaker: ToolBreaker
    paused: ToolPause | None


class ToolStates(Told, frozen=True, kw_only=True):
    """How all of them do. `operates`: whether the caller may pause and resume tools; `paused`: all calls of the caller are."""

    at: Moment | None
    operates: bool
    paused: ToolPause | None
    tools: tuple[ToolState, ...]


class GateResumed(Told, frozen=True, kw_only=True):
    """What came of a resume."""

    gate: str
    result: str


class Letter(Told, frozen=True, kw_only=True):
    """A dead letter: a message that died, or an execution that nothing moves."""

    id: str
    kind: str
    reason: str
    execution_id: str
    execution_status: str | None
    segment: int
    message_id: str | None
    dlq_id: str | None
    status: int | None
    retried: int
    response: str | None
    times: int
    first_at: Moment | None
    at: Moment | None
    links: Links


class Letters(Told, frozen=True, kw_only=True):
    """A page of them, newest first; `next` is the `before` of the next page."""

    letters: tuple[Letter, ...]
    next: str | None


class Resent(Told, frozen=True, kw_only=True):
    """What came of a resend; `status` of an execution that was not woken."""

    id: str
    execution_id: str
    result: str
    status: str | msgspec.UnsetType | None = msgspec.UNSET


class ResentRow(Told, frozen=True, kw_only=True):
    """What came of one letter."""

    id: str
    execution_id: str | None
    resent: bool
    result: str


class ResentMany(Told, frozen=True, kw_only=True):
    """What came of many; `next` is the `before` of the next request."""

    resent: int
    results: tuple[ResentRow, ...]
    next: str | None


class Discarded(Told, frozen=True, kw_only=True):
    """It is gone."""

    id: str
    result: str


class DiscardedMany(Told, frozen=True, kw_only=True):
    """How many are gone; `next` is the `before` of the next request."""

    discarded: int
    next: str | None


class ReaderToken(Told, frozen=True, kw_only=True):
    """A token that reads one channel. `expires` is unix ms; `url` where it is not Ably's own."""

    token: str
    channel: str
    expires: int
    url: str = ""
