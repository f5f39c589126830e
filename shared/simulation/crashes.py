"""Every place where a process can die in one plan's run, one after the other: singly, and in pairs."""

from collections.abc import Callable, Iterator

from shared.machine.plan import PlanDraft
from shared.simulation.faults import Fault
from shared.simulation.scenario import Scenario, Setting
from shared.simulation.world import play
from shared.tools.registry import Registry

AWAY_MS = 50


def places(scenario: Scenario, tools: Callable[[], Registry] | None = None) -> int:
    """How many steps the executors take in a run without further faults: a process can die before each of them."""
    return play(scenario, registry=tools() if tools else None).counts["steps"]


def singly(
    plan: PlanDraft, *, setting: Setting | None = None, tools: Callable[[], Registry] | None = None
) -> Iterator[Scenario]:
    """A scenario for each place, with a crash there. `tools` makes fresh tools; None: the simulation's own."""
    calm = Scenario(seed=1, plans=(plan,), setting=setting or Setting())
    for place in range(1, places(calm, tools) + 1):
        yield _with(calm, place)


def in_pairs(
    plan: PlanDraft, *, most: int, setting: Setting | None = None, tools: Callable[[], Registry] | None = None
) -> Iterator[Scenario]:
    """Scenarios with two crashes, the second anywhere behind the first; evenly chosen, `most` of them at most."""
    every = [(one, at) for one in singly(plan, setting=setting, tools=tools) for at in _behind(one, tools)]
    stride = max(1, -(-len(every) // most))
    for first, at in every[::stride]:
        yield _with(first, at)


def _behind(scenario: Scenario, tools: Callable[[], Registry] | None) -> range:
    return range(scenario.faults[0].at + 1, places(scenario, tools) + 1)


def _with(scenario: Scenario, place: int) -> Scenario:
    crash = Fault(stream="step", kind="kill", at=place, ms=AWAY_MS)
    return Scenario(seed=scenario.seed, plans=scenario.plans, setting=scenario.setting, faults=(*scenario.faults, crash))
