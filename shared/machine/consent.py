"""Effects that would be left standing: what cannot be undone comes last, or the plan consents to it."""

from collections.abc import Iterator, Mapping, Sequence

from shared.machine.plan import Contract, Effect, Plan, Step, Undo
from shared.machine.shapes import Problem


def stands_before_failure(plan: Plan, place: str = "plan", *, over: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Effects that cannot be taken back, made before or beside something that may still fail, which `leave: true` consents to.

    Only what a tool's contract says cannot be undone counts; sleeps, and waits that go on without an answer, never fail. Nor
    do the steps that are `over`.
    """
    for number, step in enumerate(plan.steps):
        at = f"{place}.steps[{number}]"
        if step.child:
            yield from stands_before_failure(step.child, f"{at}.child")
        if not _stands(step, plan.contracts):
            continue
        if later := _fails_after(plan.steps, step, over):
            yield Problem(
                f"{at}.undo",
                f"{step.tool or step.name} cannot be undone, and {later} may still fail after it; "
                'make it come last (needs), or consent that it stands: "undo": {"leave": true}',
            )


def _stands(step: Step, contracts: Mapping[str, Contract]) -> bool:
    """Whether the step does something that could not be taken back, and nobody consented to."""
    if step.undo or step.replaced:
        return False
    if step.child:
        return any(_stands(one, step.child.contracts) for one in step.child.steps)
    contract = contracts.get(step.tool)
    return contract is not None and contract.effect is not Effect.PURE and contract.undo is Undo.NONE


def _fails_after(steps: Sequence[Step], effect: Step, over: frozenset[str]) -> str:
    """Something that may fail when the effect is there already; empty if there is nothing."""
    if effect.map and effect.map.min_successful != 0:
        return "another of its items"
    before = _ancestors(steps, effect.name) | over | {effect.name}
    later = (step for step in steps if step.name not in before)
    return next((step.name for step in later if _may_fail(step)), "")


def _may_fail(step: Step) -> bool:
    """Whether the step can stop the plan: by being refused, rejected, or not answered in time."""
    if step.may_fail or step.sleep:
        return False
    if step.wait:
        return step.wait.timeout_ms is not None and step.wait.on_timeout == "fail"
    return True


def _ancestors(steps: Sequence[Step], name: str) -> set[str]:
    needs = {step.name: step.needs for step in steps}
    found: set[str] = set()
    todo = [name]
    while todo:
        for need in needs[todo.pop()]:
            if need not in found:
                found.add(need)
                todo.append(need)
    return found
