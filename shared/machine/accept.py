"""From a draft to an accepted plan: every problem is found at once and named by its place. Which tools exist is passed in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.machine import refs
from shared.machine.plan import Contract, Plan, PlanDraft, Step, StepDraft


class Problem(NamedTuple):
    """What is wrong, and where: `plan.steps[2].args.to`."""

    at: str
    message: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan may be at most. A step's own time-out may not pass what one invocation can give it."""

    steps: int
    argument_bytes: int
    step_ms: int


class PlanRefused(Exception):
    """The plan cannot be accepted; `problems` says everything that is wrong with it (the first twenty)."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """`problems` is not empty."""
        super().__init__("; ".join(f"{p.at}: {p.message}" for p in problems[:3]))
        self.problems = tuple(problems[:20])


ArgsCheck = Callable[[str, Mapping[str, Any], str], Iterator[Problem]]
"""(tool, args, place) -> what is wrong with the arguments' names and types."""


def accept(draft: PlanDraft, *, contracts: Mapping[str, Contract], check_args: ArgsCheck, limits: Limits) -> Plan:
    """The plan that runs, with its tools' contracts pinned; PlanRefused otherwise."""
    if not draft.steps:
        raise PlanRefused([Problem("plan.steps", "a plan needs at least one step")])
    if len(draft.steps) > limits.steps:
        raise PlanRefused([Problem("plan.steps", f"{len(draft.steps)} steps, but MAX_PLAN_STEPS is {limits.steps}")])
    problems = [*_name_problems(draft.steps)]
    for number, step in enumerate(draft.steps):
        problems += _step_problems(step, f"plan.steps[{number}]", contracts, check_args, limits)
    if problems:
        raise PlanRefused(problems)
    needs = _all_needs(draft.steps)
    if cycle := _find_cycle(draft.steps, needs):
        raise PlanRefused([Problem("plan.steps", "these steps wait for each other: " + _arrows(cycle))])
    return Plan(
        steps=tuple(_accepted(step, needs[step.name], contracts[step.tool], limits) for step in draft.steps),
        contracts={step.tool: contracts[step.tool] for step in draft.steps},
        timeout_ms=draft.timeout_ms,
    )


def _arrows(names: Sequence[str]) -> str:
    """The way round, its middle left out when it is long: a message is for reading."""
    shown = names if len(names) <= 12 else [*names[:6], f"({len(names) - 11} more)", *names[-5:]]
    return " -> ".join(shown)


def _accepted(step: StepDraft, needs: tuple[str, ...], contract: Contract, limits: Limits) -> Step:
    return Step(
        name=step.name,
        tool=step.tool,
        args=step.args,
        needs=needs,
        retry=step.retry or contract.retry,
        timeout_ms=min(step.timeout_ms or contract.timeout_ms, limits.step_ms),
    )


def _name_problems(steps: Sequence[StepDraft]) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, step in enumerate(steps):
        at = f"plan.steps[{number}].name"
        if not refs.step_name_ok(step.name):
            yield Problem(at, f"{step.name[:80]!r} is no step name: a letter, then letters, digits, _ or -, 64 at most")
        if step.name in seen:
            yield Problem(at, f"{step.name!r} is the name of an earlier step too")
        seen.add(step.name)
    for number, step in enumerate(steps):
        for need in step.needs:
            if need not in seen:
                yield Problem(f"plan.steps[{number}].needs", f"there is no step {need!r}")
        for ref in _refs_or_nothing(step):
            if ref.step not in seen:
                yield Problem(f"plan.steps[{number}].args{ref.place[1:]}", f"there is no step {ref.step!r} to refer to")


def _step_problems(
    step: StepDraft, at: str, contracts: Mapping[str, Contract], check_args: ArgsCheck, limits: Limits
) -> Iterator[Problem]:
    if step.tool not in contracts:
        yield Problem(f"{at}.tool", f"there is no tool {step.tool[:80]!r}; there are: {', '.join(sorted(contracts))}")
        return
    if step.timeout_ms and step.timeout_ms > limits.step_ms:
        yield Problem(f"{at}.timeout_ms", f"{step.timeout_ms} ms is more than one invocation can give ({limits.step_ms} ms)")
    try:
        list(refs.find(step.args, f"{at}.args"))
    except refs.BadReference as error:
        yield Problem(error.place, error.reason)
        return
    size = len(msgspec.json.encode(step.args))
    if size > limits.argument_bytes:
        yield Problem(f"{at}.args", f"{size} bytes, but MAX_ARGUMENT_BYTES is {limits.argument_bytes}")
        return
    yield from check_args(step.tool, step.args, f"{at}.args")


def _refs_or_nothing(step: StepDraft) -> list[refs.Ref]:
    try:
        return list(refs.find(step.args))
    except refs.BadReference:
        return []  # told, with its place, by _step_problems


def _all_needs(steps: Sequence[StepDraft]) -> dict[str, tuple[str, ...]]:
    return {s.name: tuple(dict.fromkeys([*s.needs, *(ref.step for ref in refs.find(s.args))])) for s in steps}


def _find_cycle(steps: Sequence[StepDraft], needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The names along one cycle, first one repeated at the end; empty when there is none. No recursion: plans are long."""
    finished: set[str] = set()
    for root in steps:
        path: list[str] = []
        on_path: set[str] = set()
        todo: list[tuple[str, bool]] = [(root.name, False)]
        while todo:
            name, leaving = todo.pop()
            if leaving:
                path.pop()
                on_path.discard(name)
                finished.add(name)
            elif name in on_path:
                return [*path[path.index(name) :], name]
            elif name not in finished:
                path.append(name)
                on_path.add(name)
                todo.append((name, True))
                todo += [(need, False) for need in needs[name]]
    return []
