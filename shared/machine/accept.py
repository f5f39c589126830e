"""From a draft to an accepted plan: every problem is found at once and named by its place. Which tools exist is passed in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.machine import conditions, refs
from shared.machine.plan import Contract, Effect, Plan, PlanDraft, Retry, Step, StepDraft, is_address, wanted
from shared.machine.values import RESERVED

MAX_DEPTH = 4
"""How deep plans may stand in plans."""


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


class Rules(NamedTuple):
    """What a plan is held against."""

    contracts: Mapping[str, Contract]
    check_args: ArgsCheck
    limits: Limits


def accept(draft: PlanDraft, *, contracts: Mapping[str, Contract], check_args: ArgsCheck, limits: Limits) -> Plan:
    """The plan that runs, with its tools' contracts pinned; PlanRefused otherwise."""
    total = _count(draft)
    if total > limits.steps:
        raise PlanRefused([Problem("plan.steps", f"{total} steps, but MAX_PLAN_STEPS is {limits.steps}")])
    return _accept(draft, Rules(contracts, check_args, limits), "plan", 0)


def _count(draft: PlanDraft) -> int:
    """Steps of the plan and of all plans in it; plans are decoded JSON, whose nesting the decoder bounds."""
    return len(draft.steps) + sum(_count(step.child) for step in draft.steps if step.child)


def _accept(draft: PlanDraft, rules: Rules, place: str, depth: int) -> Plan:
    if not draft.steps:
        raise PlanRefused([Problem(f"{place}.steps", "a plan needs at least one step")])
    if depth > MAX_DEPTH:
        raise PlanRefused([Problem(place, f"plans stand in plans {MAX_DEPTH} levels deep at most")])
    problems = [*_name_problems(draft.steps, place), *_output_problems(draft, place)]
    for number, step in enumerate(draft.steps):
        problems += _step_problems(step, f"{place}.steps[{number}]", rules)
    if problems:
        raise PlanRefused(problems)
    needs = _all_needs(draft.steps)
    if cycle := _find_cycle(draft.steps, needs):
        raise PlanRefused([Problem(f"{place}.steps", "these steps wait for each other: " + _arrows(cycle))])
    steps = [
        _accepted(step, needs[step.name], rules, f"{place}.steps[{number}].child", depth)
        for number, step in enumerate(draft.steps)
    ]
    tools = {name for step in draft.steps for name in (step.tool, step.undo.tool if step.undo else "") if name}
    return Plan(
        steps=tuple(steps),
        contracts={name: rules.contracts[name] for name in sorted(tools)},
        timeout_ms=draft.timeout_ms,
        output=draft.output,
    )


def _arrows(names: Sequence[str]) -> str:
    """The way round, its middle left out when it is long: a message is for reading."""
    shown = names if len(names) <= 12 else [*names[:6], f"({len(names) - 11} more)", *names[-5:]]
    return " -> ".join(shown)


def _accepted(step: StepDraft, needs: tuple[str, ...], rules: Rules, place: str, depth: int) -> Step:
    contract = rules.contracts.get(step.tool)
    return Step(
        name=step.name,
        tool=step.tool,
        args=step.args,
        needs=needs,
        retry=step.retry or (contract.retry if contract else Retry()),
        timeout_ms=min(step.timeout_ms or (contract.timeout_ms if contract else 1), rules.limits.step_ms),
        join=0 if step.join == "all" else 1 if step.join == "any" else step.join,
        when=step.when,
        deadline_ms=step.deadline_ms or 0,
        may_fail=step.may_fail,
        undo=step.undo,
        limits=step.limits,
        approve=step.approve,
        map=step.map,
        sleep=step.sleep,
        wait=step.wait,
        child=_accept(step.child, rules, place, depth + 1) if step.child else None,
    )


def _name_problems(steps: Sequence[StepDraft], place: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, step in enumerate(steps):
        at = f"{place}.steps[{number}].name"
        if not refs.step_name_ok(step.name):
            yield Problem(at, f"{step.name[:80]!r} is no step name: a letter, then letters, digits, _ or -, 64 at most")
        if step.name in RESERVED:
            yield Problem(at, f"{step.name!r} stands for something else in references; choose another name")
        if step.name in seen:
            yield Problem(at, f"{step.name!r} is the name of an earlier step too")
        seen.add(step.name)
    for number, step in enumerate(steps):
        yield from _need_problems(step, f"{place}.steps[{number}]", seen)


def _need_problems(step: StepDraft, at: str, names: set[str]) -> Iterator[Problem]:
    for need in step.needs:
        if need not in names:
            yield Problem(f"{at}.needs", f"there is no step {need!r}")
    for ref in _refs_or_nothing(step):
        place = ref.place.replace("$", at, 1)
        if ref.step not in names and ref.step not in RESERVED:
            yield Problem(place, f"there is no step {ref.step!r} to refer to")
        if ref.step in {"item", "index"} and not step.map:
            yield Problem(place, f"${{{ref.step}}} is known in the arguments of a map only")
    for name in _condition_names(step):
        if name not in names and name != "input":
            yield Problem(f"{at}.when", f"there is no step {name!r} to ask about")


def _output_problems(draft: PlanDraft, place: str) -> Iterator[Problem]:
    names = {step.name for step in draft.steps} | {"input"}
    try:
        for ref in refs.find(draft.output, f"{place}.output"):
            if ref.step not in names:
                yield Problem(ref.place, f"there is no step {ref.step!r} to refer to")
    except refs.BadReference as error:
        yield Problem(error.place, error.reason)


def _step_problems(step: StepDraft, at: str, rules: Rules) -> Iterator[Problem]:
    shape = [*_shape_problems(step, at), *_wait_problems(step, at), *_text_problems(step, at)]
    yield from shape
    if shape:
        return
    limits = rules.limits
    if step.timeout_ms and step.timeout_ms > limits.step_ms:
        yield Problem(f"{at}.timeout_ms", f"{step.timeout_ms} ms is more than one invocation can give ({limits.step_ms} ms)")
    size = len(msgspec.json.encode(step.args))
    if size > limits.argument_bytes:
        yield Problem(f"{at}.args", f"{size} bytes, but MAX_ARGUMENT_BYTES is {limits.argument_bytes}")
        return
    if step.tool:
        yield from _call_problems(step.tool, step.args, f"{at}.tool", f"{at}.args", rules)
    if step.undo and step.undo.tool:
        yield from _call_problems(step.undo.tool, step.undo.args, f"{at}.undo.tool", f"{at}.undo.args", rules)


def _call_problems(tool: str, args: Mapping[str, Any], at: str, args_at: str, rules: Rules) -> Iterator[Problem]:
    if tool not in rules.contracts:
        yield Problem(at, f"there is no tool {tool[:80]!r}; there are: {', '.join(sorted(rules.contracts))}")
    else:
        yield from rules.check_args(tool, args, args_at)


def _shape_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    """What a step does must be one thing, and fit together."""
    actions = [name for name in ("tool", "sleep", "wait", "child") if getattr(step, name)]
    if len(actions) > 1:
        yield Problem(at, f"a step does one thing, and this one has {' and '.join(actions)}")
    if not actions and not step.approve:
        yield Problem(f"{at}.tool", "a step needs a tool, or sleep, wait, child or approve")
    if step.map and (not step.tool or step.approve):
        yield Problem(f"{at}.map", "a map calls a tool, and is approved by a step before it")
    if step.approve and actions and not step.tool:
        yield Problem(f"{at}.approve", f"a call is approved, or nothing else; put the {actions[0]} into a step of its own")
    if step.sleep and (step.sleep.ms is None) == (step.sleep.until is None):
        yield Problem(f"{at}.sleep", "give either ms or until")
    yield from _detail_problems(step, at)


def _detail_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    if step.join not in {"all", "any"} and int(step.join) > len(step.needs):
        yield Problem(f"{at}.join", f"it joins {step.join} of {len(step.needs)} needs")
    if step.join != "all" and not step.needs:
        yield Problem(f"{at}.join", "it joins needs, and has none")
    if step.limits and not step.tool:
        yield Problem(f"{at}.limits", "only calls are limited, and this step calls no tool")
    for number, limit in enumerate(step.limits):
        if not limit.key:
            yield Problem(f"{at}.limits[{number}].key", "give the key that the limit is counted under")
    if step.undo and step.undo.leave == bool(step.undo.tool):
        yield Problem(f"{at}.undo", "give either a tool, or leave: true")


def _wait_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    if step.wait and bool(step.wait.events) == step.wait.callback:
        yield Problem(f"{at}.wait", "wait either for events or for a callback")
    if step.wait and step.wait.mode == "all" and len({one.name for one in step.wait.events}) < len(step.wait.events):
        yield Problem(f"{at}.wait.events", "events that all must come go by their names in the output: give each its own")


def _text_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    try:
        list(refs.find(step.args, f"{at}.args"))
        list(refs.find((wanted(step)[1:], step.undo.args if step.undo else None), at))
        conditions.names(step.when)
    except refs.BadReference as error:
        yield Problem(error.place, error.reason)
    except conditions.BadCondition as error:
        yield Problem(f"{at}.when", str(error))


def _refs_or_nothing(step: StepDraft) -> list[refs.Ref]:
    """References with their places; nothing if one is malformed, which _text_problems tells."""
    undo = step.undo.args if step.undo else None
    try:
        found = [*refs.find(step.args, "$.args"), *refs.find(wanted(step)[1:], "$"), *refs.find(undo, "$.undo.args")]
    except refs.BadReference:
        return []
    return found


def _condition_names(step: StepDraft) -> tuple[str, ...]:
    try:
        return conditions.names(step.when)
    except conditions.BadCondition:
        return ()


def _all_needs(steps: Sequence[StepDraft]) -> dict[str, tuple[str, ...]]:
    """Needs that are named, and those that references and conditions imply. An address is known before its step runs."""
    found = {}
    for step in steps:
        referred = [ref.step for ref in refs.find(wanted(step)) if not is_address(ref)]
        names = dict.fromkeys([*step.needs, *referred, *conditions.names(step.when)])
        found[step.name] = tuple(name for name in names if name not in RESERVED)
    return found


def stands_before_failure(plan: Plan) -> Iterator[Problem]:
    """Effects that cannot be taken back, made before something that may still fail; `undo: {leave: true}` consents to it."""
    for number, step in enumerate(plan.steps):
        contract = plan.contracts.get(step.tool)
        if contract is None or contract.effect is Effect.PURE or contract.undo != "none" or step.undo:
            continue
        later = _may_fail_after(plan, step.name)
        if later:
            yield Problem(
                f"plan.steps[{number}].undo",
                f"{step.tool} cannot be undone, and {later} may still fail after it; put it last, or consent with leave: true",
            )


def _may_fail_after(plan: Plan, name: str) -> str:
    """A step with an effect that comes, or may come, after this one; empty if there is none."""
    before = _ancestors(plan, name)
    for step in plan.steps:
        contract = plan.contracts.get(step.tool)
        if step.name != name and step.name not in before and contract and contract.effect is not Effect.PURE:
            return step.name
    return ""


def _ancestors(plan: Plan, name: str) -> set[str]:
    needs = {step.name: step.needs for step in plan.steps}
    found: set[str] = set()
    todo = [name]
    while todo:
        for need in needs[todo.pop()]:
            if need not in found:
                found.add(need)
                todo.append(need)
    return found


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
