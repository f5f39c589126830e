"""What must be true of an execution that rests: its record, the town, what people and partners said, held against each other.

One small function a rule. A step kind with an end of its own adds a row to FAILS or to WAITS.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from shared.machine.plan import Blueprint, Effect, Undo
from shared.machine.status import OVER, SETTLED, TERMINAL, Cause, Cell, Phase, Reason, Status
from shared.simulation import peek
from shared.simulation.peek import Part, Seen
from shared.simulation.promises import must
from shared.simulation.scenario import DEATHS, DELAYS, Scenario
from shared.simulation.town import Town

ENDS_LATE_MS: Final = 20
"""A completion is decided before the deadline and stored a moment later."""
_LATEST: Final = 2**62

Intended = tuple[str, int, bool, int]
"""Key, attempt, whether it is a probe, and the how manieth."""


@dataclass
class Facts:
    """What was seen of one execution from outside."""

    scenario: Scenario
    now_ms: int = 0
    cancelled: bool = False
    paused: bool = False
    reopened: bool = False
    vetoed: bool = False
    """Somebody has said no to the plan."""
    stalled: int = 0
    """Fruitless segments before the latest one, with it."""
    ended_ms: int = 0
    sent: set[str] = field(default_factory=set)
    """Kinds of signals that were accepted."""
    supplied: set[str] = field(default_factory=set)
    """Steps for which a person said what came of them."""
    refused: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    intents: set[Intended] = field(default_factory=set)
    called: set[Intended] = field(default_factory=set)
    undo_starts: list[str] = field(default_factory=list)


@dataclass
class Case:
    """One execution before its judge."""

    seen: Seen
    blueprint: Blueprint
    facts: Facts
    town: Town | None
    children: dict[str, Seen]
    """By the name of their step."""

    def __post_init__(self) -> None:
        self.parts = list(peek.parts(self.seen, self.blueprint))

    @property
    def name(self) -> str:
        """For messages."""
        return self.seen.header.id


def judge(case: Case) -> None:
    """Broken, if a promise was."""
    status = case.seen.status
    if status is Status.COMPLETED:
        _completed(case)
    elif status is Status.REJECTED:
        unplanned = case.facts.scenario.setting.words and not case.seen.header.plan  # the model asked, or never answered
        untouched = (unplanned or "reject" in case.facts.sent) and not case.facts.intents
        must(untouched, "rejected before anything", f"{case.name} is REJECTED, after {sorted(case.facts.intents)}")
    elif status in TERMINAL:
        _stopped(case)
    else:
        _waits(case)
    if case.facts.cancelled:
        over = status in TERMINAL - {Status.REJECTED}
        fine = status is not Status.COMPLETED and (not over or case.seen.header.cause)
        must(fine, "a cancel counts", f"{case.name} was cancelled and is {status}")
    must(not (case.facts.vetoed and status is Status.COMPLETED), "a no counts", f"{case.name} is COMPLETED after a no")
    for part in case.parts:
        _part(case, part)
    consistent(case)
    _undo_order(case)
    unsent = case.facts.intents - case.facts.called
    must(not unsent or case.facts.scenario.has(*DEATHS), "what is intended is sent", f"{sorted(unsent)} were never sent")


def consistent(case: Case) -> None:
    """What holds even where the last second may be lost: the record does not contradict itself."""
    seen = case.seen
    if seen.status is Status.COMPLETED:
        _completed(case)
    for cell, where in enumerate(seen.cells[: case.blueprint.size]):
        told = where != ord("d") or cell in seen.results
        must(told, "a result for what is done", f"cell {cell} of {case.name} is done and has no result")
    if seen.over and seen.header.phase is Phase.UNDO:
        over = all(part.undo in OVER for part in case.parts)
        must(over, "undo whole", f"{case.name} ended while an undo was open: {seen.cells!r}")


def _completed(case: Case) -> None:
    seen, facts = case.seen, case.facts
    cells = [Cell(chr(cell)) for cell in seen.cells[: case.blueprint.size]]
    must(all(cell in SETTLED for cell in cells), "completed whole", f"{case.name} is COMPLETED as {seen.cells!r}")
    failed = [part for part in case.parts if part.cell < case.blueprint.size and part.where is Cell.FAILED]
    allowed = all(part.step.may_fail or part.step.replaced for part in failed)
    must(allowed, "completed whole", f"{case.name} is COMPLETED, and {[part.name for part in failed]} failed")
    late = facts.ended_ms - seen.header.deadline_ms if seen.header.deadline_ms else 0
    fine = late <= ENDS_LATE_MS or facts.scenario.has(*DELAYS, "reply_lost") or facts.scenario.setting.twice
    must(fine, "a deadline counts", f"{case.name} completed {late} ms after its deadline")


# --- why it stopped


def _stopped(case: Case) -> None:
    """CANCELLED, TIMED_OUT, FAILED, COMPENSATED, COMPENSATION_FAILED: for a reason that there was."""
    header, facts = case.seen.header, case.facts
    match header.cause:
        case Cause.CANCELLED:
            fair = facts.cancelled or facts.reopened
        case Cause.TIMED_OUT:
            fair = 0 < header.deadline_ms <= facts.now_ms
        case Cause.FAILED:
            fair = any(_may_fail(case, part) for part in case.parts)
        case _:
            fair = False
    because = [(part.name, fault.code) for part in case.parts if (fault := case.seen.fault(part.cell)) is not None]
    must(fair, "stopped for a reason", f"{case.name} is {header.status}, {header.cause or 'for nothing'}: {because}")


def _may_lead_nowhere(case: Case, part: Part) -> bool:
    """Only a partner's own answer is known to hold what is referred to."""
    steps = case.blueprint.plan.steps
    wanted = [steps[number] for number in case.blueprint.refs[case.blueprint.index[part.step.name]]]
    odd = any(not step.tool or step.map or step.name in case.facts.supplied for step in wanted)
    return odd or "nothing" in str(part.step)


FAILS: Final[dict[str, Callable[[Case, Part], object]]] = {
    "bad_reference": _may_lead_nowhere,
    "join_unmet": lambda _, part: part.step.join,
    "rejected": lambda case, _: "reject" in case.facts.sent,
    "approval_timeout": lambda _, part: part.step.approve and part.step.approve.timeout_ms,
    "wait_timeout": lambda _, part: part.step.wait and part.step.wait.timeout_ms,
    "child_ended": lambda _, part: part.step.child,
    "items_failed": lambda _, part: part.step.map,
    "deadline": lambda _, part: part.step.deadline_ms,
    "did_not_happen": lambda case, part: part.name in case.facts.supplied,
}
"""Ways to fail that are no partner's word: code -> whether it could be."""


def _may_fail(case: Case, part: Part) -> bool:
    """Whether there is a reason: a partner's refusal, attempts used up, or one of FAILS."""
    if part.where not in {Cell.FAILED, Cell.UNKNOWN}:
        return False
    fault = case.seen.fault(part.cell)
    if fault is not None and fault.code in FAILS:
        return bool(FAILS[fault.code](case, part))
    attempts = max((attempt for key, attempt, *_ in case.facts.intents if key == part.key), default=0)
    return part.key in case.facts.refused or attempts >= part.step.retry.attempts


# --- what it waits for


def _unknown(case: Case) -> bool:
    """Only an unsafe or probeable call, and only if nobody answered it, or its caller died. Or a child that left something."""
    unknown = [part for part in case.parts if part.where is Cell.UNKNOWN]
    calls = [part for part in unknown if not part.step.child]
    classes = all(part.contract.effect in {Effect.UNSAFE, Effect.PROBEABLE} or _borne(part) for part in calls)
    died = case.facts.scenario.has(*DEATHS) or {part.key for part in calls} <= case.facts.unanswered
    return bool(unknown) and classes and died


def _borne(part: Part) -> bool:
    """Whether the plan goes on without it: then an effect that may exist does not stop it, and a person must say."""
    return part.step.may_fail or (part.step.map is not None and part.step.map.min_successful is not None)


def _undeliverable(case: Case) -> bool:
    return case.facts.stalled > case.facts.scenario.setting.stalled > 0 and not case.facts.scenario.calm


def _held(reason: Reason) -> Callable[[Case], bool]:
    return lambda case: any(hold.kind is reason for _, hold in case.seen.waiting())


WAITS: Final[dict[Reason, Callable[[Case], bool]]] = {
    Reason.UNKNOWN_EFFECT: _unknown,
    Reason.UNDELIVERABLE: _undeliverable,
    Reason.EVENT: _held(Reason.EVENT),
    Reason.CALLBACK: _held(Reason.CALLBACK),
    Reason.APPROVAL: _held(Reason.APPROVAL),
    Reason.CHILD: _held(Reason.CHILD),
}
"""Waits that only somebody else ends: reason -> whether it has one."""


def _waits(case: Case) -> None:
    header = case.seen.header
    match header.status:
        case Status.PAUSED:
            fair = "pause" in case.facts.sent
        case Status.AWAITING_CONFIRMATION:
            replan = case.seen.notes.replan
            first = case.facts.scenario.setting.confirm and not case.facts.sent & {"confirm", "reject"}
            fair = first or (replan is not None and replan.made > 0 and case.seen.notes.unconfirmed)
        case Status.SUSPENDED if header.reason in WAITS:
            fair = WAITS[header.reason](case)
        case _:
            fair = False
    must(fair, "waits for a reason", f"{case.name} is {header.status} for good: {header.reason} as {case.seen.cells!r}")


# --- what stands


def _part(case: Case, part: Part) -> None:
    if part.step.child and part.undo_kind is Undo.CHILD:
        _child(case, part)
    if not part.calls:
        return
    pure = part.contract.effect is Effect.PURE
    if pure:
        must(part.undo is Cell.IDLE, "undo for effects only", f"{part.name} does nothing, and its undo is {part.undo.name}")
    if case.town is not None:
        _effect(case, part, case.town, pure=pure)
    supplied = part.name in case.facts.supplied
    undone = case.seen.header.phase is Phase.UNDO and not pure
    if undone and part.where is Cell.DONE and not supplied:
        must(part.undo is not Cell.IDLE, "undo for every effect", f"{part.name} happened and its undo was forgotten")
    if part.undo is Cell.DONE:
        fine = part.undo_kind is not Undo.NONE and part.where is not Cell.IDLE
        must(fine, "undo for effects only", f"{part.name} never happened and was undone")


def _effect(case: Case, part: Part, town: Town, *, pure: bool) -> None:
    """What stands in the world is what the status says."""
    status, stands = case.seen.status, town.stands[part.key]
    what = f"{part.name} ({part.contract.effect}, {part.where.name}) stands {stands} times"
    if part.contract.effect is not Effect.IDEMPOTENT:
        must(town.landed[part.key] <= 1, "at most once", f"{part.name} happened {town.landed[part.key]} times")
    if status is Status.COMPLETED:
        free = part.name in case.facts.supplied or ("." in part.name and part.where is not Cell.DONE)
        expected = part.where is Cell.DONE and not pure
        must(free or stands == expected, "exactly once", f"{case.name} is COMPLETED, and {what}")
    elif status is Status.COMPENSATION_FAILED:
        told = part.undo in {Cell.FAILED, Cell.LEFT}
        must(not stands or told, "undone or told", f"{what}, and nobody says so")
    elif status in TERMINAL:
        wanted = part.undo is Cell.LEFT and part.step.undo is not None and part.step.undo.leave
        must(not stands or wanted, "undone", f"{case.name} is {status}, and {what}")


_OTHERS: Final = frozenset({Reason.EVENT, Reason.CALLBACK, Reason.APPROVAL})


def _child(case: Case, part: Part) -> None:
    """A step's child ended as the step did."""
    child = case.children.get(part.name)
    ended = child.status if child else None
    if child is not None and case.seen.header.cause and not child.over:
        must(
            child.header.reason not in _OTHERS,
            "a child is told to stop",
            f"{part.name}'s child waits for {child.header.reason}",
        )
    if part.where is Cell.DONE and case.seen.status is Status.COMPLETED and part.name not in case.facts.supplied:
        must(ended is Status.COMPLETED, "a child's end", f"{part.name} is done, and its child is {ended}")
    if case.seen.status is Status.COMPENSATED and ended is not None:
        must(ended is not Status.COMPLETED, "undone", f"{case.name} is undone, and its child {part.name} is not")


def _undo_order(case: Case) -> None:
    by_name = {part.name: part for part in case.parts}
    real = [name for name in dict.fromkeys(case.facts.undo_starts) if name in by_name and name not in case.facts.supplied]
    first = [by_name[name] for name in real]
    ended = case.seen.ended_ms
    names = [part.name for part in first]
    for earlier, later in pairwise(first):
        fair = ended.get(earlier.cell, _LATEST) >= ended.get(later.cell, _LATEST)
        must(fair, "undo order", f"{case.name} was undone in the order {names}: not the reverse of completion")
    for number, part in enumerate(first):
        needed = _all_needs(case.blueprint, case.blueprint.index[part.step.name], case.facts.supplied)
        before = {case.blueprint.index[other.step.name] for other in first[:number]} & needed
        must(not before, "undo order", f"{part.name} of {case.name} was undone after {before}, which it needed")


def _all_needs(blueprint: Blueprint, cell: int, supplied: set[str]) -> set[int]:
    """What must have been done before it; a join goes on without some of its needs, what a person supplied without any."""
    found: set[int] = set()
    todo = [cell]
    while todo:
        step = todo.pop()
        free = blueprint.plan.steps[step].join or blueprint.plan.steps[step].name in supplied
        needs = () if free else blueprint.needs[step]
        todo += [need for need in needs if need not in found]
        found |= set(needs)
    return found
