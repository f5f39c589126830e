"""A plan that failed for a partner's good reason is made anew, if that was permitted: when, and what becomes of the answer.

Until a version is stored nothing has changed: whoever dies, is cancelled or gets no plan is undone as without it.
"""

import msgspec

from shared.machine.decision import Adopt
from shared.machine.draft import Draft
from shared.machine.events import Refused
from shared.machine.plan import Blueprint
from shared.machine.state import Adopted, Asked, Asking, Failure, Flawed, Replan, Unreachable
from shared.machine.status import Cause, Cell, Phase, Status
from shared.machine.versions import differences, follows

MOST_STEPS = 50
"""Of a plan that a model is shown."""
_UNDER_WAY = frozenset({Cell.WAITING, Cell.GRANTED, Cell.INTENDED, Cell.SETTLING, Cell.UNKNOWN})


def note(draft: Draft, cell: int, outcome: Refused) -> None:
    """A partner has said no for good to a step: with that fact it is stored what the next plan is to be told."""
    plan, step = draft.notes.replan, draft.step(cell)
    forward = cell < draft.blueprint.size and draft.cell(cell) is Cell.FAILED
    if plan is None or not forward or step.may_fail or draft.header.phase is not Phase.FORWARD:
        return
    failure = Failure(step.name, outcome.code[:100], outcome.message[:500])
    draft.note(replan=msgspec.structs.replace(plan, failed=(*plan.failed, failure)))


def wanted(draft: Draft) -> bool:
    """Whether another plan is looked for just now."""
    plan, header = draft.notes.replan, draft.header
    return plan is not None and bool(plan.failed) and header.cause is Cause.FAILED and header.phase is Phase.FORWARD


def hindrance(draft: Draft) -> str:
    """Why there can be no other plan; empty if there can."""
    plan, blueprint = _replan(draft), draft.blueprint
    if plan.made >= plan.most:
        return f"version {plan.made + 1} of the plan is the last there may be"
    if draft.header.deadline_ms and draft.now_ms >= draft.header.deadline_ms:
        return "its time is over"
    if blueprint.size > MOST_STEPS:
        return f"it has more than {MOST_STEPS} steps"
    if draft.layout.regions:
        return "a map of it has begun"
    refused = {failure.step for failure in plan.failed}
    for cell, step in enumerate(blueprint.plan.steps):
        where, fault = draft.cell(cell), draft.fault(cell)
        if where in _UNDER_WAY or (where is Cell.BACKOFF and fault is not None and fault.doubt):
            return f"{step.name} is under way, or may have happened"
        if where is Cell.FAILED and not (step.may_fail or step.replaced or step.name in refused):
            return f"{step.name} failed for another reason than a refusal"
    return ""


def give_up(draft: Draft, why: str) -> None:
    """There is no other plan: what is done is undone, as without one."""
    draft.note(asking=Asking(), replan=msgspec.structs.replace(_replan(draft), failed=(), asks=()))
    draft.say("replanning.given_up", message=why[:500])


def why_none(draft: Draft, asked: Asked) -> str:
    """What became of the calls to the model, in words."""
    said = draft.x.advice.said if draft.x.advice else None
    if isinstance(said, Unreachable):
        return said.message
    if isinstance(said, Flawed):
        return "; ".join(said.problems)
    return "it asks: " + " ".join(str(question.get("question", "")) for question in asked.questions)


def adopt(draft: Draft, found: Adopted, *, look_ms: int) -> Adopt | None:
    """The next version, with every old cell where it was. None if it is not one: somebody has acted since it was asked for.

    It waits for a yes if it does something else than was said, or if the version before had one.
    """
    before, after, plan = draft.blueprint, Blueprint(found.plan), _replan(draft)
    if not follows(before.plan, [ord(draft.cell(cell).value) for cell in range(before.size)], after.plan):
        return None
    asks = differences(before.plan, after.plan)
    confirm = found.confirm or plan.confirmed or bool(asks)
    version = plan.made + 2
    draft.forgive()
    if confirm:
        draft.move(Status.AWAITING_CONFIRMATION)
    draft.note(
        asking=Asking(),
        unconfirmed=confirm,
        replan=msgspec.structs.replace(plan, made=plan.made + 1, failed=(), asks=asks),
    )
    shown = [msgspec.to_builtins(one) for one in asks]
    draft.say("plan.replanned", version=version, before=before.hash, hash=after.hash, confirm=confirm, differences=shown)
    draft.progress()
    deadline_ms = draft.header.deadline_ms
    return Adopt(
        adopted=msgspec.structs.replace(found, cells=_cells(draft, after)),
        confirm=confirm,
        deadline_ms=deadline_ms,
        wake_at_ms=min(look_ms, deadline_ms) if deadline_ms else look_ms,
        changes=draft.then,
    )


def rejected(draft: Draft) -> bool:
    """A person has said no to a version; True if it was not the first: then what is done is undone."""
    plan = draft.notes.replan
    if plan is None or not plan.made:
        return False
    draft.note(unconfirmed=False, replan=msgspec.structs.replace(plan, most=plan.made))
    draft.blame(Cause.FAILED)
    return True


def called_off(draft: Draft) -> bool:
    """It stops while a version waits for a yes; True if it was not the first: then what is done is undone."""
    plan = draft.notes.replan
    if plan is None or not plan.made:
        return False
    draft.note(unconfirmed=False)
    return True


def forget(draft: Draft) -> None:
    """Somebody wants it stopped, or has put back what failed: no other plan is looked for."""
    plan = draft.notes.replan
    if plan is not None and plan.failed:
        draft.note(asking=Asking(), replan=msgspec.structs.replace(plan, failed=()))


def signed(draft: Draft) -> None:
    """A person has said yes to this version; to the next one they must, too."""
    if draft.notes.replan is not None:
        draft.note(replan=msgspec.structs.replace(draft.notes.replan, confirmed=True))


def _replan(draft: Draft) -> Replan:
    return draft.notes.replan or Replan(most=0)


def _cells(draft: Draft, after: Blueprint) -> str:
    """Old cells stay; what was replaced is skipped, unless it failed. A new one whose needs are all there is looked at."""
    old = "".join(_old(draft, cell, after) for cell in range(draft.blueprint.size))
    new = "".join(_new(old, after, cell) for cell in range(len(old), after.size))
    return old + new + "." * after.size


def _old(draft: Draft, cell: int, after: Blueprint) -> str:
    where = draft.cell(cell)
    return "k" if after.plan.steps[cell].replaced and where is not Cell.FAILED else where.value


def _new(old: str, after: Blueprint, cell: int) -> str:
    needs, join = after.needs[cell], after.plan.steps[cell].join
    there = [need for need in needs if need < len(old)]
    done = sum(1 for need in there if old[need] == "d")
    return "o" if len(there) == len(needs) or (join and done >= join) else "."
