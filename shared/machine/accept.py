"""From a draft to an accepted plan: every problem is found at once and named by its place. Which tools exist is passed in."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.machine import conditions, refs, shapes
from shared.machine.consent import stands_before_failure
from shared.machine.plan import Contract, Plan, PlanDraft, Retry, Step, StepDraft, is_address
from shared.machine.shapes import Problem
from shared.machine.values import RESERVED

__all__ = ["Limits", "PlanRefused", "Problem", "accept"]

MAX_DEPTH = 4
"""How deep plans may stand in plans."""
MESSAGE_REFS = 20
"""References in what a person is asked, each of which may stand for a long text."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan may be at most. A step's own time-out may not pass what one invocation can give it."""

    steps: int
    argument_bytes: int
    """Of the arguments of one step, and of everything else in it that may hold references."""
    step_ms: int
    consent: bool = False
    """Refuse effects that cannot be undone before what may still fail, unless the step consents (`undo: {"leave": true}`)."""


class PlanRefused(Exception):
    """The plan cannot be accepted; `problems` says everything that is wrong with it (the first twenty)."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """`problems` is not empty."""
        super().__init__("; ".join(f"{p.at}: {p.message}" for p in problems[:3]))
        self.problems = tuple(problems[:20])


ArgsCheck = Callable[[str, Mapping[str, Any], str], Iterator[Problem]]
"""(tool, args, place) -> what is wrong with the arguments' names and types."""


class Read(NamedTuple):
    """A step of a draft and what its texts say, read once: every rule asks about it."""

    step: StepDraft
    at: str
    found: tuple[refs.Ref, ...]
    """With their places; nothing of what is malformed."""
    asked: tuple[str, ...]
    """The steps that its condition speaks of."""
    problems: tuple[Problem, ...]
    """What is malformed."""

    @property
    def wants(self) -> Iterator[refs.Ref]:
        """What is asked for before it starts: all but what its undo wants."""
        beside = f"{self.at}.undo"
        return (ref for ref in self.found if not ref.place.startswith(beside))


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
    plan = _accept(draft, Rules(contracts, check_args, limits), "plan", 0)
    if limits.consent and (problems := [*stands_before_failure(plan)]):
        raise PlanRefused(problems)
    return plan


def _count(draft: PlanDraft) -> int:
    """Steps of the plan and of all plans in it; plans are decoded JSON, whose nesting the decoder bounds."""
    return len(draft.steps) + sum(_count(step.child) for step in draft.steps if step.child)


def _accept(draft: PlanDraft, rules: Rules, place: str, depth: int) -> Plan:
    if not draft.steps:
        raise PlanRefused([Problem(f"{place}.steps", "a plan needs at least one step")])
    if depth > MAX_DEPTH:
        raise PlanRefused([Problem(place, f"plans stand in plans {MAX_DEPTH} levels deep at most")])
    steps = [_read(step, f"{place}.steps[{number}]") for number, step in enumerate(draft.steps)]
    problems = [*_name_problems(steps, depth), *_output_problems(draft, place, rules, depth)]
    for one in steps:
        problems += _step_problems(one, rules)
    if problems:
        raise PlanRefused(problems)
    needs = _all_needs(steps)
    if cycle := _find_cycle(draft.steps, needs):
        raise PlanRefused([Problem(f"{place}.steps", "these steps wait for each other: " + _arrows(cycle))])
    tools = {name for step in draft.steps for name in (step.tool, step.undo.tool if step.undo else "") if name}
    return Plan(
        steps=tuple([_accepted(one.step, needs[one.step.name], rules, f"{one.at}.child", depth) for one in steps]),
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
        message_refs="${" in (step.approve.message if step.approve else ""),
        map=step.map,
        sleep=step.sleep,
        wait=step.wait,
        child=_accept(step.child, rules, place, depth + 1) if step.child else None,
    )


def _read(step: StepDraft, at: str) -> Read:
    found: list[refs.Ref] = []
    problems: list[Problem] = []
    for place, value in shapes.written(step, at):
        try:
            found += refs.find(value, place)
        except refs.BadReference as error:
            problems.append(Problem(error.place, error.reason))
    asked: tuple[str, ...] = ()
    try:
        asked = conditions.names(step.when)
    except conditions.BadCondition as error:
        problems.append(Problem(f"{at}.when", str(error)))
    return Read(step, at, tuple(found), asked, tuple(problems))


def _name_problems(steps: Sequence[Read], depth: int) -> Iterator[Problem]:
    seen: set[str] = set()
    for step, place, *_ in steps:
        at = f"{place}.name"
        if not refs.step_name_ok(step.name):
            yield Problem(at, f"{step.name[:80]!r} is no step name: a letter, then letters, digits, _ or -, 64 at most")
        if step.name in RESERVED:
            yield Problem(at, f"{step.name!r} stands for something else in references; choose another name")
        if step.name in seen:
            yield Problem(at, f"{step.name!r} is the name of an earlier step too")
        seen.add(step.name)
    called = _called(steps)
    for one in steps:
        yield from _need_problems(one, seen, depth)
        yield from _message_problems(one, called)


def _called(steps: Sequence[Read]) -> frozenset[str]:
    return frozenset(one.step.name for one in steps if one.step.wait and one.step.wait.callback)


def _message_problems(read: Read, called: frozenset[str]) -> Iterator[Problem]:
    """Of what a person is asked: it is shown, and kept in the history."""
    place = f"{read.at}.approve.message"
    found = [ref for ref in read.found if ref.place == place] if read.step.approve else []
    if any(is_address(ref, read.step.name, called) for ref in found):
        yield Problem(place, "a callback_url is a secret, and what a person is asked is shown to others: leave it out")
    if len(found) > MESSAGE_REFS:
        yield Problem(place, f"{len(found)} references, but {MESSAGE_REFS} at most: a person is to read it")


def _need_problems(read: Read, names: set[str], depth: int) -> Iterator[Problem]:
    step, at = read.step, read.at
    for need in step.needs:
        if need not in names:
            yield Problem(f"{at}.needs", f"there is no step {need!r}")
    for ref in read.found:
        yield from _name_problem(ref, names, ref.place, depth)
        if ref.step in {"item", "index"} and not (step.map and ref.place.startswith((f"{at}.args", f"{at}.undo.args"))):
            yield Problem(ref.place, f"${{{ref.step}}} is known in the arguments of a map only")
    for name in read.asked:
        if name not in names and (name != "input" or not depth):
            yield Problem(f"{at}.when", f"there is no step {name!r} to ask about")
    yield from _join_problems(read, names)


def _join_problems(read: Read, names: set[str]) -> Iterator[Problem]:
    """What a step refers to is a need, and would be counted: a join says itself what it joins."""
    step, at = read.step, read.at
    if step.join == "all":
        return
    asked = [(ref.place, ref.step) for ref in read.wants]
    for place, name in [*asked, *((f"{at}.when", name) for name in read.asked)]:
        if name in names and name not in {*step.needs, step.name}:
            yield Problem(place, f"{name!r} is not among the needs that this step joins; name it there")


def _name_problem(ref: refs.Ref, names: set[str], place: str, depth: int) -> Iterator[Problem]:
    if ref.step == "input" and not depth:
        yield Problem(place, "only the plan of a child has an ${input}")
    elif ref.step not in names and ref.step not in RESERVED:
        yield Problem(place, f"there is no step {ref.step!r} to refer to")


def _output_problems(draft: PlanDraft, place: str, rules: Rules, depth: int) -> Iterator[Problem]:
    names = {step.name for step in draft.steps}
    try:
        for ref in refs.find(draft.output, f"{place}.output"):
            yield from _name_problem(ref, names, ref.place, depth)
            if ref.step in {"item", "index"}:
                yield Problem(ref.place, f"${{{ref.step}}} is known in the arguments of a map only")
        yield from _size_problems([(f"{place}.output", draft.output)], rules.limits)
    except refs.BadReference as error:
        yield Problem(error.place, error.reason)


def _step_problems(read: Read, rules: Rules) -> Iterator[Problem]:
    step, at = read.step, read.at
    shape = [*shapes.problems(step, at), *read.problems]
    yield from shape
    if shape:
        return
    limits = rules.limits
    if step.timeout_ms and step.timeout_ms > limits.step_ms:
        yield Problem(f"{at}.timeout_ms", f"{step.timeout_ms} ms is more than one invocation can give ({limits.step_ms} ms)")
    if large := [*_size_problems(shapes.written(step, at), limits)]:
        yield from large
        return
    if step.tool:
        yield from _call_problems(step.tool, step.args, f"{at}.tool", f"{at}.args", rules)
    if step.undo and step.undo.tool:
        yield from _call_problems(step.undo.tool, step.undo.args, f"{at}.undo.tool", f"{at}.undo.args", rules)


def _size_problems(texts: Iterable[tuple[str, Any]], limits: Limits) -> Iterator[Problem]:
    for place, value in texts:
        if not value:
            continue
        size = len(msgspec.json.encode(value))
        if size > limits.argument_bytes:
            yield Problem(place, f"{size} bytes, but MAX_ARGUMENT_BYTES is {limits.argument_bytes}")


def _call_problems(tool: str, args: Mapping[str, Any], at: str, args_at: str, rules: Rules) -> Iterator[Problem]:
    if tool not in rules.contracts:
        yield Problem(at, f"there is no tool {tool[:80]!r}; there are: {', '.join(sorted(rules.contracts))}")
    else:
        yield from rules.check_args(tool, args, args_at)


def _all_needs(steps: Sequence[Read]) -> dict[str, tuple[str, ...]]:
    """Needs that are named, and those that references and conditions imply. An address is known before its step runs."""
    found = {}
    called = _called(steps)
    for read in steps:
        step = read.step
        referred = [ref.step for ref in read.wants if not is_address(ref, step.name, called)]
        names = dict.fromkeys([*step.needs, *referred, *read.asked])
        found[step.name] = tuple([name for name in names if name not in RESERVED])
    return found


def _in_order(steps: Sequence[StepDraft], needs: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether every step stands behind what it needs, as plans are mostly written."""
    seen: set[str] = set()
    for step in steps:
        if not seen.issuperset(needs[step.name]):
            return False
        seen.add(step.name)
    return True


def _find_cycle(steps: Sequence[StepDraft], needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The names along one cycle, first one repeated at the end; empty when there is none. No recursion: plans are long."""
    if _in_order(steps, needs):
        return []
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
