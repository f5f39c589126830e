"""Another version of a plan: the steps of the one before, where they stood, and new ones behind them. Pure.

Nothing that was decided of a step moves with it: its number, its name and so its effect's key stay, whether it is done or
replaced. What never happened is marked, and never will.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from shared.machine import refs
from shared.machine.accept import ArgsCheck, Limits, PlanRefused, accept
from shared.machine.consent import stands_before_failure
from shared.machine.plan import Contract, Cost, Effect, Plan, PlanDraft, Sleep, Step, StepDraft
from shared.machine.shapes import Problem
from shared.machine.state import Difference
from shared.machine.status import Cell

MOST_DIFFERENCES: Final = 20
_SHOWN: Final = 200
"""Characters of a value that a person is shown: differences are noted, and notes are loaded whole."""
_PEOPLES: Final = ("when", "join", "may_fail", "approve", "map", "sleep", "wait", "limits", "undo", "deadline_ms")
"""Of a step, beside its arguments: what somebody thought about, and must know of when it is gone."""
CAREFUL: Final = frozenset(
    "time times datetime date dates day days when arrival departure "  # when
    "start end until at hour hours minute minutes duration nights "  # when
    "party size people guests persons passengers seats rooms tickets adults children kids count quantity "  # how many
    "to cc bcc recipient recipients email phone contact "  # to whom: what a partner says must not name them
    "price prices amount cost costs cents fee total budget currency tip".split()  # how much
)
"""An argument with one of these words in its name is never changed without a person: `start_time`, `partySize`."""
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def gone(plan: Plan, cells: Sequence[int]) -> frozenset[int]:
    """Steps that did not happen: they failed and stopped the plan, or did not begin. `cells` as the record has them."""
    return frozenset(number for number, step in enumerate(plan.steps) if _is_gone(step, Cell(chr(cells[number]))))


def _is_gone(step: Step, where: Cell) -> bool:
    if step.replaced:
        return True
    return where not in {Cell.DONE, Cell.SKIPPED} and not (where is Cell.FAILED and step.may_fail)


def kept(plan: Plan, replaced: frozenset[int]) -> tuple[Step, ...]:
    """The steps of a version as they stand in the next one."""
    return tuple(
        msgspec.structs.replace(step, replaced=True) if number in replaced else step for number, step in enumerate(plan.steps)
    )


def follows(before: Plan, cells: Sequence[int], after: Plan) -> bool:
    """Whether `after` is a next version of `before` as it stands: nothing that is done is changed, moved or done again."""
    size = len(before.steps)
    replaced = gone(before, cells)
    same = after.steps[:size] == kept(before, replaced) and len(after.steps) > size
    pinned = all(after.contracts.get(name) == contract for name, contract in before.contracts.items())
    names = [step.name for step in after.steps]
    usable = {name for number, name in enumerate(names) if number not in replaced}
    needs = {need for step in after.steps[size:] for need in step.needs}
    fresh = not any(step.replaced for step in after.steps[size:])
    return same and pinned and fresh and len(set(names)) == len(names) and needs <= usable


# --- making one


def extended(
    before: Plan,
    cells: Sequence[int],
    draft: PlanDraft,
    *,
    contracts: Mapping[str, Contract],
    check_args: ArgsCheck,
    limits: Limits,
) -> Plan:
    """The next version: with the steps of `draft` for those that did not happen. PlanRefused, with places in `draft`."""
    replaced = gone(before, cells)
    names = {step.name for step in before.steps}
    problems = [
        Problem(f"plan.steps[{number}].name", f"{step.name!r} is a step of the plan already; choose a name that is not")
        for number, step in enumerate(draft.steps)
        if step.name in names
    ]
    problems += _unpinned(before, draft, contracts)
    if problems:
        raise PlanRefused(problems)
    done = [step.name for number, step in enumerate(before.steps) if number not in replaced]
    stubs = tuple(StepDraft(name=name, sleep=Sleep(ms=1)) for name in done)  # new steps may refer to what is done
    alone = accept(PlanDraft(steps=(*draft.steps, *stubs)), contracts=contracts, check_args=check_args, limits=limits)
    whole = joined(before, replaced, alone.steps[: len(draft.steps)], alone.contracts)
    if len(whole.steps) > limits.steps:
        raise PlanRefused([Problem("plan.steps", f"{len(whole.steps)} steps, but MAX_PLAN_STEPS is {limits.steps}")])
    if limits.consent and (stands := [*stands_before_failure(whole, over=frozenset(names))]):
        raise PlanRefused(placed(stands, len(before.steps)))
    return whole


def placed(problems: Sequence[Problem], size: int) -> list[Problem]:
    """Problems of a version, by the places of its new steps alone; `size`: steps of the version before."""

    def shifted(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"plan.steps[{number - size}]" if number >= size else f"the plan so far[{number}]"

    return [Problem(re.sub(r"^plan\.steps\[(\d+)\]", shifted, one.at), one.message) for one in problems]


def _unpinned(before: Plan, draft: PlanDraft, contracts: Mapping[str, Contract]) -> Iterator[Problem]:
    """A plan has one contract for a tool: what was pinned counts, also where the tool has changed since."""
    for number, step in enumerate(draft.steps):
        pinned = before.contracts.get(step.tool)
        if pinned is not None and contracts.get(step.tool, pinned) != pinned:
            text = f"{step.tool} has changed since the plan was made, and the plan keeps the old one; use another tool"
            yield Problem(f"plan.steps[{number}].tool", text)


def joined(before: Plan, replaced: frozenset[int], new: Sequence[Step], contracts: Mapping[str, Contract]) -> Plan:
    """One plan of both. An output that speaks of what did not happen is left out: nobody could make it."""
    names = {before.steps[number].name for number in replaced}
    output = before.output if not _speaks_of(before.output, names) else None
    return Plan(
        steps=(*kept(before, replaced), *new),
        contracts=dict(contracts) | before.contracts,
        timeout_ms=before.timeout_ms,
        output=output,
    )


def _speaks_of(output: Any, names: set[str]) -> bool:
    return any(ref.step in names for ref in refs.find(output))


# --- what is different


def differences(before: Plan, after: Plan) -> tuple[Difference, ...]:
    """What a person must say yes to: another time, size, price or recipient, an effect more, or one less.

    A new step takes the place of the first replaced one of its tool (or its kind) that has none yet. What changes nothing in
    the world is looked up freely.
    """
    size = len(before.steps)
    old = [step for step, now in zip(before.steps, after.steps, strict=False) if now.replaced and not step.replaced]
    new, left = after.steps[size:], list(old)
    found: list[Difference] = []
    for step in new:
        pair = next((one for one in left if _kind(one) == _kind(step)), None)
        if pair is not None:
            left.remove(pair)
            found += _changed(pair, step)
        elif _matters(step, after):
            found.append(Difference(step=step.name, field="step", after=_kind(step)))
    found += [Difference(step=step.name, field="step", before=_kind(step)) for step in left if _matters(step, before)]
    found += _dearer(old, new, after.contracts)
    return tuple(_short(one) for one in found[:MOST_DIFFERENCES])


def _kind(step: Step) -> str:
    kinds = (("sleep", step.sleep), ("wait", step.wait), ("child", step.child))
    return step.tool or next((name for name, value in kinds if value), "approval")


def _matters(step: Step, plan: Plan) -> bool:
    contract = plan.contracts.get(step.tool)
    return contract is None or contract.effect is not Effect.PURE


def _changed(before: Step, after: Step) -> Iterator[Difference]:
    old, new = dict(_careful(before.args)), dict(_careful(after.args))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Difference(step=after.name, field=name, before=old.get(name), after=new.get(name))
    for name in _PEOPLES:
        was, now = getattr(before, name), getattr(after, name)
        if was != now and not (name == "approve" and was is None):
            yield Difference(step=after.name, field=name, before=msgspec.to_builtins(was), after=msgspec.to_builtins(now))


def _careful(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Arguments, and what stands in them, that have one of those words in their name; with their places."""
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, inner in named:
        at = f"{place}.{name}" if place else str(name)
        if CAREFUL.isdisjoint(word.lower() for word in _WORD.findall(str(name))):
            yield from _careful(inner, at)
        else:
            yield at, inner


def _dearer(old: Sequence[Step], new: Sequence[Step], contracts: Mapping[str, Contract]) -> Iterator[Difference]:
    was, now = _cost(old, contracts), _cost(new, contracts)
    if now > was:
        yield Difference(step="", field="cost", before=was, after=now)


def _cost(steps: Sequence[Step], contracts: Mapping[str, Contract]) -> int:
    """At worst; of a map each item counts once, because how many there are was compared already."""
    costs = [(step, contracts[step.tool].cost) for step in steps if step.tool]
    return sum(cost.amount * (step.retry.attempts if cost.failed else 1) for step, cost in costs if isinstance(cost, Cost))


def _short(one: Difference) -> Difference:
    return msgspec.structs.replace(one, before=_cut(one.before), after=_cut(one.after))


def _cut(value: Any) -> Any:
    text = msgspec.json.encode(value).decode()
    return value if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
