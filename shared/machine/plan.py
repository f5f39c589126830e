"""What is to be done: immutable, content-hashed, and compiled once per process into the form the machine walks."""

import hashlib
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from shared.machine import refs

Millis = Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400_000)]
"""A year at most: callers write these, and back-off arithmetic must not overflow in the middle of a saga."""


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


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often and how patiently; attempts count the first call. The default outlasts a partner's restart: about a minute."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 6
    base_ms: Millis = 500
    factor: Annotated[float, msgspec.Meta(ge=1, le=10)] = 3.0
    cap_ms: Millis = 60_000


UNDO_RETRY = Retry(attempts=10, base_ms=1_000, factor=2.0, cap_ms=60_000)
"""An undo is not given up lightly: about five minutes."""


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a tool that a plan pins when it is accepted, so that a later release cannot change a running saga."""

    version: str
    effect: Effect
    timeout_ms: Millis = 5_000
    settle_ms: Annotated[int, msgspec.Meta(ge=0)] = 15_000
    """After this long, a request sent earlier has happened or never will."""
    retry: Retry = Retry()
    undo: Undo = Undo.NONE


class StepDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step as a caller writes it. A reference in `args` is a need too and needs no second mention."""

    name: str
    tool: str
    args: dict[str, Any] = {}
    needs: tuple[str, ...] = ()
    retry: Retry | None = None
    timeout_ms: Millis | None = None


class PlanDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan as a caller writes it."""

    steps: tuple[StepDraft, ...]
    timeout_ms: Millis | None = None
    """The whole execution's; what is done by then is undone."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of an accepted plan: every need spelled out."""

    name: str
    tool: str
    args: dict[str, Any]
    needs: tuple[str, ...]
    retry: Retry
    timeout_ms: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted plan with the contracts it relies on. Its identity is the hash of its bytes."""

    steps: tuple[Step, ...]
    contracts: dict[str, Contract]
    timeout_ms: int | None = None


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Plan)


def encode(plan: Plan) -> bytes:
    """The plan's canonical bytes."""
    return _encoder.encode(plan)


def hash_of(data: bytes) -> str:
    """The identity of a plan's or arguments' bytes: 32 hex digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


class Blueprint:
    """A plan compiled for walking: names to numbers, needs both ways. Shared by all executions of the plan; never changed."""

    __slots__ = ("dependents", "hash", "index", "needs", "plan", "rank", "refs", "size")

    def __init__(self, data: bytes) -> None:
        """`data`: the canonical bytes of an accepted plan."""
        self.plan = _decoder.decode(data)
        self.hash = hash_of(data)
        self.size = len(self.plan.steps)
        self.index = {step.name: number for number, step in enumerate(self.plan.steps)}
        self.needs = tuple(tuple(self.index[need] for need in step.needs) for step in self.plan.steps)
        self.refs = tuple(tuple(sorted({self.index[r.step] for r in refs.find(s.args)})) for s in self.plan.steps)
        dependents: list[list[int]] = [[] for _ in range(self.size)]
        for number, needs in enumerate(self.needs):
            for need in needs:
                dependents[need].append(number)
        self.dependents = tuple(tuple(some) for some in dependents)
        self.rank = self._ranks()

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

    def step(self, cell: int) -> Step:
        """The step a cell belongs to: cells n..2n-1 are the undo lane."""
        return self.plan.steps[cell % self.size]

    def contract(self, cell: int) -> Contract:
        """The pinned facts of that step's tool."""
        return self.plan.contracts[self.step(cell).tool]

    def is_undo(self, cell: int) -> bool:
        """Whether the cell is of the undo lane."""
        return cell >= self.size

    def first_cells(self) -> str:
        """The cells of a new execution: steps without needs are ready."""
        return "".join("." if needs else "r" for needs in self.needs) + "." * self.size
