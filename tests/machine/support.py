"""Short ways to write a plan, a record in the middle of its life, and what happens to it."""

from typing import Any

import msgspec

from shared.machine import plan as plans
from shared.machine.accept import Limits, accept
from shared.machine.decide import decide
from shared.machine.decision import Changes, Decision, StartSteps, merge
from shared.machine.events import Attempted, Done, Outcome, Report, Room, Signalled, Ticked, Woke
from shared.machine.plan import Blueprint, Contract, Effect, PlanDraft, Retry, StepDraft, Undo
from shared.machine.refs import step_name_ok
from shared.machine.state import Execution, Fault, Header, Intent, Signal
from shared.machine.status import Cell, Status

NOW = 1_000_000
"""Unix ms at which the invocation of these tests began."""
SETTLE_MS = 15_000
LEASE_MS = 11_000
RETRY = Retry(attempts=3, base_ms=500, cap_ms=60_000)


def contract(effect: Effect, undo: Undo = Undo.NONE, *, timeout_ms: int = 3_000) -> Contract:
    """The facts of a tool of these tests."""
    return Contract(version="1", effect=effect, timeout_ms=timeout_ms, settle_ms=SETTLE_MS, retry=RETRY, undo=undo)


TOOLS = {
    "pure": contract(Effect.PURE),
    "idem": contract(Effect.IDEMPOTENT, Undo.TOMBSTONE),
    "idem_settled": contract(Effect.IDEMPOTENT, Undo.SETTLED),
    "idem_stands": contract(Effect.IDEMPOTENT),
    "probe": contract(Effect.PROBEABLE, Undo.SETTLED),
    "unsafe": contract(Effect.UNSAFE),
    "unsafe_keyed": contract(Effect.UNSAFE, Undo.TOMBSTONE),
    "slow": contract(Effect.IDEMPOTENT, Undo.TOMBSTONE, timeout_ms=8_000),
}
"""Tools by what they do to the world and how that is taken back."""


def step(text: str) -> StepDraft:
    """`"b idem a,c"`: step b calls idem and needs a and c. A fourth word is a reference, put into the args."""
    words = text.split()
    words += [""] * (4 - len(words))
    name, tool, needs, ref = words[:4]
    assert step_name_ok(name)
    args: dict[str, Any] = {"value": ref} if ref else {}
    return StepDraft(
        name=name, tool=tool or "idem", needs=tuple(need for need in needs.split(",") if need.strip("-")), args=args
    )


def draft(*steps: str) -> PlanDraft:
    """A plan as a caller writes it."""
    return PlanDraft(steps=tuple(step(text) for text in steps))


def blueprint(*steps: str, steps_limit: int = 100_000) -> Blueprint:
    """An accepted plan, compiled."""
    limits = Limits(steps=steps_limit, argument_bytes=65_536, step_ms=8_000)
    plan = accept(draft(*steps), contracts=TOOLS, check_args=lambda *_: iter(()), limits=limits)
    return Blueprint(plans.encode(plan))


def header(status: Status = Status.EXECUTING, **fields: Any) -> Header:
    """A header; PLANNED and the rest by name."""
    return Header(id="exe_00_t", tenant="t", plan="p", status=status, **fields)


def intent(attempt: int = 1, **fields: Any) -> Intent:
    """What was recorded before a call."""
    known: dict[str, Any] = {
        "key": "k",
        "args": {},
        "args_hash": "h",
        "at_ms": NOW,
        "sent_by_ms": NOW + LEASE_MS,
        "settle_at_ms": NOW + LEASE_MS + SETTLE_MS,
    }
    return Intent(attempt=attempt, **(known | fields))


def fault(attempt: int = 1, *, retry_at_ms: int = 0, doubt: bool = False) -> Fault:
    """How an attempt failed."""
    return Fault(attempt=attempt, code="c", message="m", at_ms=NOW, retry_at_ms=retry_at_ms, doubt=doubt)


def execution(
    plan: Blueprint,
    cells: str = "",
    *,
    head: Header | None = None,
    intents: dict[int, Intent] | None = None,
    faults: dict[int, Fault] | None = None,
    results: dict[int, Any] | None = None,
    order: dict[int, int] | None = None,
) -> Execution:
    """A record in the middle of its life. The undo lane may be left out of `cells`; busy cells get an intent and a fault."""
    text = (cells or plan.plan.first_cells()).ljust(2 * plan.size, ".")
    busy = [number for number, where in enumerate(text) if where in "ibsu"]
    built = Execution(
        header=head or header(),
        blueprint=plan,
        cells=text.encode(),
        intents={number: intent() for number in busy} | (intents or {}),
        faults={number: fault(retry_at_ms=NOW) for number in busy if text[number] != "i"} | (faults or {}),
        results={n: {"n": n} for n, where in enumerate(text) if where == "d" and n < plan.size} if results is None else results,
    )
    built.order = order
    return built


def room(**fields: Any) -> Room:
    """A fresh invocation: nothing started, 7.5 s until the checkpoint."""
    known: dict[str, Any] = {
        "checkpoint_ms": NOW + 7_500,
        "cutoff_ms": NOW + 8_000,
        "lease_ms": NOW + LEASE_MS,
        "parallel": 8,
    }
    return Room(**(known | fields))


def woke(at_ms: int = 0, *signals: Signal, **fields: Any) -> Woke:
    """A new owner, `at_ms` into its invocation."""
    return Woke(now_ms=NOW + at_ms, room=room(**fields), signals=signals)


def ticked(at_ms: int = 0, **fields: Any) -> Ticked:
    """Time passed."""
    return Ticked(now_ms=NOW + at_ms, room=room(**fields))


def signalled(at_ms: int, *signals: Signal, **fields: Any) -> Signalled:
    """The inbox moved under a commit."""
    return Signalled(now_ms=NOW + at_ms, room=room(**({"started": 1} | fields)), signals=signals)


def answered(outcomes: dict[int, Outcome], at_ms: int = 100, **fields: Any) -> Attempted:
    """Calls of this invocation ended."""
    reports = tuple(
        Report(cell=cell, outcome=outcome, started_ms=NOW, ended_ms=NOW + at_ms) for cell, outcome in outcomes.items()
    )
    return Attempted(now_ms=NOW + at_ms, room=room(**({"started": 1} | fields)), reports=reports)


def cancel(position: int = 1) -> Signal:
    """Somebody wants it to stop."""
    return Signal(position=position, kind="cancel")


def resend(position: int = 1) -> Signal:
    """A person wants it tried again."""
    return Signal(position=position, kind="resend")


DONE = Done(output={"n": 1})


def starts(decision: Decision) -> list[str]:
    """Names of the steps that a decision starts; an undo with a minus before it, a probe with a question mark behind."""
    if not isinstance(decision.next, StartSteps):
        return []
    return [f"{'-' * start.undo}{start.step}{'?' * start.intent.probe}" for start in decision.next.starts]


def put(decision: Decision, cell: int) -> Cell | None:
    """Where a decision puts a cell: for keeps, or else if nothing has arrived meanwhile."""
    return decision.kept.cells.get(cell) or whole(decision).cells.get(cell)


def whole(decision: Decision) -> Changes:
    """All that a decision stores if nothing has arrived meanwhile."""
    return merge(decision.kept, getattr(decision.next, "changes", Changes()))


def outcome_of(x: Execution, event: Any) -> tuple[Decision, str]:
    """The decision and the name of what follows."""
    decision = decide(x, event)
    return decision, type(decision.next).__name__


def events(decision: Decision) -> list[str]:
    """What the history will say."""
    changes = getattr(decision.next, "changes", None)
    return [line.event for line in [*decision.kept.history, *(changes.history if changes else [])]]


def same(value: Any) -> bytes:
    """A value's bytes, for comparing before and after."""
    return msgspec.msgpack.encode(value)
