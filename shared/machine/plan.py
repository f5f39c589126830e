"""What is to be done: immutable, content-hashed, and compiled once per process into the form the machine walks."""

import hashlib
from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from shared.machine import conditions, refs

Millis = Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400_000)]
"""A year at most: callers write these, and back-off arithmetic must not overflow in the middle of a saga."""


EVENT_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}\Z"
EVENT_KEY_MOST = 255

EventName = Annotated[str, msgspec.Meta(pattern=EVENT_NAME)]


class Effect(StrEnum):
    """What a tool does to the world, and so what may be done when an answer is missing."""

    PURE = "pure"
    """Nothing: call it again."""
    IDEMPOTENT = "idempotent"
    """Honours the key it is given: call it again with the same key."""
    PROBEABLE = "probeable"
    """Can be asked, once the settle time has passed, whether key K happened."""
    UNSAFE = "unsafe"
    """None of these: only a person can say."""


class Undo(StrEnum):
    """How an effect is taken back."""

    NONE = "none"
    """It is not: it stands, and is listed."""
    TOMBSTONE = "tombstone"
    """By the effect's key, and a forward request that lands later is refused: safe at any time."""
    SETTLED = "settled"
    """By the effect's key, but a late request would still land: only after the settle time."""
    CALL = "call"
    """By another tool that the step names, with arguments of its own: only what is known to have happened."""
    CHILD = "child"
    """By the child execution itself."""


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often and how patiently; attempts count the first call. The default outlasts a partner's restart: about a minute."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 6
    base_ms: Millis = 500
    factor: Annotated[float, msgspec.Meta(ge=1, le=10)] = 3.0
    cap_ms: Millis = 60_000
    retry_on: tuple[str, ...] = ()
    """Codes of refusals that are tried again whatever the tool says of them."""
    never_on: tuple[str, ...] = ()
    """Codes of refusals that are final whatever the tool says of them."""


UNDO_RETRY = Retry(attempts=10, base_ms=1_000, factor=2.0, cap_ms=60_000)
"""An undo is not given up lightly: about five minutes."""


class Limited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """So many calls at a time, or within a period, over all executions. First come, first served."""

    key: str = ""
    """What is counted under: steps with the same key share the limit. May hold references. A tool's own limit has none."""
    most: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    per_ms: Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400_000)] = 0
    """0: at a time."""
    hold: bool = False
    """Keep the slot while a tool that took the call over has not called back."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a call costs, in the smallest unit of the one currency (or credit) that an installation counts in: cents, say."""

    amount: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
    failed: bool = False
    """A call that fails costs as much: every attempt is counted."""


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a tool that a plan pins when it is accepted, so that a later release cannot change a running saga."""

    version: str
    effect: Effect
    timeout_ms: Millis = 5_000
    settle_ms: Annotated[int, msgspec.Meta(ge=0)] = 15_000
    """After this long, a request sent earlier has happened or never will."""
    retry: Retry = Retry()
    undo: Undo = Undo.NONE
    limit: Limited | None = None
    """Over all tenants."""
    schema: str = ""
    """The hash of what the tool takes: so that a change under the same version is noticed. Empty in older plans."""
    cost: Cost | msgspec.UnsetType = msgspec.UNSET
    """Not written where there is none, so that the hashes of plans without costs are what they were."""


NO_TOOL = Contract(version="", effect=Effect.PURE)
"""Stands for the contract of a step that calls nothing."""


class Sleep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let time pass: for so long, or until a moment. One of the two."""

    ms: Millis | None = None
    until: str | int | None = None
    """A reference, unix ms, or a time as RFC 3339 writes it, with its offset."""


class Awaited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event by its name: sent to this execution, or with a `key` to whoever waits for that key."""

    name: EventName
    key: str = ""
    """May hold references. Up to EVENT_KEY_MOST printable characters when it is resolved."""


class WaitFor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Wait for events, or for one call of this step's own address (`${step.callback_url}`)."""

    events: tuple[Awaited, ...] = ()
    mode: Literal["any", "all"] = "any"
    callback: bool = False
    timeout_ms: Millis | None = None
    on_timeout: Literal["fail", "continue"] = "fail"


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person must say yes to exactly these arguments."""

    message: str = ""
    """What the person is asked. May hold references."""
    timeout_ms: Millis | None = None
    remind_ms: Millis | None = None
    """How often to remind."""


class Each(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Call the step's tool once for each item; `${item}` and `${index}` stand in its arguments."""

    over: Any
    """A list, or a reference to one."""
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    min_successful: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """The step is done when so many items are and the rest has failed; None = all of them."""


class UndoDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this step is undone instead of by its tool's own undo: by calling `tool`, or not at all (consent that it stands)."""

    tool: str = ""
    args: dict[str, Any] = {}
    leave: bool = False


class StepDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step as a caller writes it. A reference is a need too and needs no second mention.

    It does one thing: calls a `tool`, sleeps, waits, runs a `child`, or only asks for approval.
    """

    name: str
    tool: str = ""
    args: dict[str, Any] = {}
    needs: tuple[str, ...] = ()
    join: Literal["all", "any"] | Annotated[int, msgspec.Meta(ge=1)] = "all"
    """How many of its needs must be done: all, any one, or so many."""
    when: str = ""
    """A condition over references; the step is skipped when it does not hold."""
    retry: Retry | None = None
    timeout_ms: Millis | None = None
    """Of one attempt."""
    deadline_ms: Millis | None = None
    """Of all attempts together, from the first one on."""
    may_fail: bool = False
    """Its failure does not stop the plan."""
    undo: UndoDraft | None = None
    limits: Annotated[tuple[Limited, ...], msgspec.Meta(max_length=4)] = ()
    approve: Approval | None = None
    map: Each | None = None
    sleep: Sleep | None = None
    wait: WaitFor | None = None
    child: "PlanDraft | None" = None
    """A plan of its own that runs as an execution of its own; `args` are its `${input}`."""


class PlanDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan as a caller writes it."""

    steps: tuple[StepDraft, ...]
    timeout_ms: Millis | None = None
    """The whole execution's; what is done by then is undone."""
    output: Any = None
    """What the execution gives when it completes; may hold references."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step of an accepted plan: every need spelled out."""

    name: str
    tool: str
    args: dict[str, Any]
    needs: tuple[str, ...]
    retry: Retry
    timeout_ms: int
    join: int = 0
    """How many needs must be done; 0 = all."""
    when: str = ""
    deadline_ms: int = 0
    may_fail: bool = False
    undo: UndoDraft | None = None
    limits: tuple[Limited, ...] = ()
    approve: Approval | None = None
    message_refs: bool = False
    """Its approval's message is resolved. Older plans lack this: whatever their messages look like, they are shown so."""
    map: Each | None = None
    sleep: Sleep | None = None
    wait: WaitFor | None = None
    child: "Plan | None" = None
    replaced: bool = False
    """An earlier version's, which never happened and never will: it failed, or had not begun, when this version was made."""

    @property
    def special(self) -> bool:
        """Whether something is to be looked at before it can start."""
        return bool(self.when or self.join or self.approve or self.map or not self.tool)

    @property
    def first_cell(self) -> str:
        """Its cell in a new execution: without needs it is ready, and what a version replaced is skipped."""
        if self.replaced:
            return "k"
        return "." if self.needs else "o" if self.special else "r"


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An accepted plan with the contracts it relies on. Its identity is the hash of its bytes."""

    steps: tuple[Step, ...]
    contracts: dict[str, Contract]
    timeout_ms: int | None = None
    output: Any = None

    def first_cells(self) -> str:
        """The cells of a new execution: those of the steps, then those of their undos."""
        return "".join([step.first_cell for step in self.steps]) + "." * len(self.steps)


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Plan)


def encode(plan: Plan) -> bytes:
    """The plan's canonical bytes."""
    return _encoder.encode(plan)


def decode(data: bytes) -> Plan:
    """The plan of its canonical bytes."""
    return _decoder.decode(data)


def hash_of(data: bytes) -> str:
    """The identity of a plan's or arguments' bytes: 32 hex digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


NO_PLAN = encode(Plan(steps=(), contracts={}))
"""Stands for the plan of words that are not planned yet; their executions name no hash."""


class Blueprint:
    """A plan compiled for walking: names to numbers, needs both ways. Shared by all executions of the plan; never changed."""

    __slots__ = ("called", "dependents", "hash", "index", "needs", "plan", "rank", "refs", "size", "special")

    def __init__(self, data: bytes) -> None:
        """`data`: the canonical bytes of an accepted plan."""
        self.plan = decode(data)
        self.hash = hash_of(data)
        self.size = len(self.plan.steps)
        self.index = {step.name: number for number, step in enumerate(self.plan.steps)}
        self.called = frozenset(step.name for step in self.plan.steps if step.wait and step.wait.callback)
        """Steps that wait for a callback."""
        self.needs = tuple([tuple([self.index[need] for need in step.needs]) for step in self.plan.steps])
        self.refs = tuple([self._refs(step) for step in self.plan.steps])
        self.special = tuple([step.special for step in self.plan.steps])
        dependents: list[list[int]] = [[] for _ in range(self.size)]
        for number, needs in enumerate(self.needs):
            for need in needs:
                dependents[need].append(number)
        self.dependents = tuple([tuple(some) for some in dependents])
        self.rank = self._ranks()

    def _refs(self, step: Step) -> tuple[int, ...]:
        """The steps whose outputs it wants before it starts."""
        names = {ref.step for ref in refs.find(wanted(step)) if not is_address(ref, step.name, self.called)}
        if step.when:
            names.update(conditions.names(step.when))
        return tuple(sorted([self.index[name] for name in names if name in self.index]))

    def _ranks(self) -> tuple[int, ...]:
        """How deep each step stands: more than everything it needs, directly or not."""
        rank = [0] * self.size
        left = [len(needs) for needs in self.needs]
        free = [number for number, count in enumerate(left) if not count]
        for number in free:
            for dependent in self.dependents[number]:
                rank[dependent] = max(rank[dependent], rank[number] + 1)
                left[dependent] -= 1
                if not left[dependent]:
                    free.append(dependent)  # the list is a queue here: it is read while it grows
        return tuple(rank)

    def contract(self, step: int) -> Contract:
        """The pinned facts of a step's tool."""
        return self.plan.contracts.get(self.plan.steps[step].tool, NO_TOOL)

    def undo_contract(self, step: int) -> Contract:
        """The pinned facts of what undoes a step."""
        own = self.plan.steps[step].undo
        return self.plan.contracts[own.tool] if own and own.tool else self.contract(step)

    def undo_of(self, step: int) -> Undo:
        """How a step is undone."""
        own = self.plan.steps[step].undo
        if own is None:
            return Undo.CHILD if self.plan.steps[step].child else self.contract(step).undo
        return Undo.NONE if own.leave else Undo.CALL


def is_address(ref: refs.Ref, step: str, called: Collection[str]) -> bool:
    """Whether a reference in `step` is to where it, or one of `called`, can be called back: known before anything runs."""
    return ref.path == ("callback_url",) and (ref.step == step or ref.step in called)


def wanted(step: Step) -> tuple[Any, ...]:
    """All of a step that may hold references, except its undo's arguments and its condition."""
    message = step.approve.message if step.message_refs and step.approve else None
    events = tuple(event.key for event in step.wait.events) if step.wait else ()
    limits = tuple(limit.key for limit in step.limits) if step.limits else ()
    return step.args, message, step.map.over if step.map else None, step.sleep.until if step.sleep else None, events, limits
