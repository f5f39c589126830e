"""Cuts a failing scenario down while it still breaks the same promise: fewer faults, plans and steps, a plainer setting."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from shared.machine.accept import PlanRefused
from shared.machine.plan import PlanDraft
from shared.simulation.scenario import Scenario, Setting

_T = TypeVar("_T")
Fails = Callable[[Scenario], bool]


def shrink(scenario: Scenario, fails: Fails, *, most: int = 400) -> Scenario:
    """The smallest scenario found in `most` runs for which `fails` still holds. `scenario` itself fails."""
    found, left = scenario, most
    while True:
        for smaller in _smaller(found):
            left -= 1
            if left < 0:
                return found
            if _still(smaller, fails):
                found = smaller
                break
        else:
            return found


def _still(scenario: Scenario, fails: Fails) -> bool:
    try:
        return fails(scenario)
    except PlanRefused:  # a reference to a step that was cut away
        return False


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Scenarios one cut smaller, the boldest cuts first."""
    replace = msgspec.structs.replace
    yield from (replace(scenario, faults=faults) for faults in _fewer(scenario.faults))
    for number in range(len(scenario.plans) if len(scenario.plans) > 1 else 0):
        yield replace(scenario, plans=scenario.plans[:number] + scenario.plans[number + 1 :])
    for number, plan in enumerate(scenario.plans):
        for less in _fewer_steps(plan):
            yield replace(scenario, plans=(*scenario.plans[:number], less, *scenario.plans[number + 1 :]))
    plain = Setting(strict=scenario.setting.strict)
    for field in Setting.__struct_fields__:
        value = getattr(plain, field)
        if getattr(scenario.setting, field) != value:
            yield replace(scenario, setting=replace(scenario.setting, **{field: value}))
    for number, fault in enumerate(scenario.faults):
        if fault.at > 1:
            less_far = replace(fault, at=fault.at // 2)
            yield replace(scenario, faults=(*scenario.faults[:number], less_far, *scenario.faults[number + 1 :]))


def _fewer(some: tuple[_T, ...]) -> Iterator[tuple[_T, ...]]:
    half = len(some) // 2
    if half > 1:
        yield some[:half]
        yield some[half:]
    for number in range(len(some)):
        yield some[:number] + some[number + 1 :]


def _fewer_steps(plan: PlanDraft) -> Iterator[PlanDraft]:
    for step in plan.steps if len(plan.steps) > 1 else ():
        if not any(step.name in other.needs for other in plan.steps):
            yield msgspec.structs.replace(plan, steps=tuple(one for one in plan.steps if one is not step))
    if plan.timeout_ms is not None:
        yield msgspec.structs.replace(plan, timeout_ms=None)
