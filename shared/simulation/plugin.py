"""A pytest plugin: your own plan with fakes of your own tools, on the real engine, in virtual time, with faults.

The fixture is `simulate`; docs/simulation.md shows how it is used. Loaded by pytest when this distribution is installed,
otherwise with `-p shared.simulation.plugin`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import pytest

from shared.machine.plan import PlanDraft
from shared.simulation import crashes
from shared.simulation.faults import STREAMS, Fault
from shared.simulation.oracle import Ended
from shared.simulation.scenario import Scenario, Setting, around
from shared.simulation.world import play
from shared.tools.registry import Registry


class World(Protocol):
    """What your tools act upon; made anew for every run, so that you can count what happened in it."""

    def registry(self) -> Registry:
        """The tools, acting upon this world."""
        ...


W = TypeVar("W", bound=World)


@dataclass(frozen=True)
class Run(Generic[W]):
    """What one run came to."""

    final: Ended
    world: W
    scenario: Scenario
    timeline: Sequence[str]

    @property
    def status(self) -> str:
        """The status the execution rests in: terminal, or SUSPENDED where only a person helps."""
        return self.final.status

    @property
    def outputs(self) -> Mapping[str, Any]:
        """Outputs of the steps that are done, by name."""
        return self.final.outputs


class Simulate:
    """The fixture's value."""

    def __call__(
        self, plan: Mapping[str, Any] | PlanDraft, world: Callable[[], W], *, faults: Iterable[Fault] = (), **setting: Any
    ) -> Run[W]:
        """One run. AssertionError with the timeline if the engine broke a promise. `setting`: fields of `Setting`."""
        scenario = Scenario(seed=1, plans=(_draft(plan),), setting=Setting(**setting), faults=tuple(faults))
        return _played(scenario, world)

    def seeds(
        self,
        plan: Mapping[str, Any] | PlanDraft,
        world: Callable[[], W],
        *,
        count: int = 100,
        first: int = 0,
        check: Callable[[Run[W]], None] | None = None,
    ) -> list[Run[W]]:
        """Runs with the faults of `count` seeds; `check` says what must be true of each."""
        draft = _draft(plan)
        return [_checked(around(draft, seed), world, check) for seed in range(first, first + count)]

    def crashes(
        self,
        plan: Mapping[str, Any] | PlanDraft,
        world: Callable[[], W],
        *,
        pairs: int = 0,
        check: Callable[[Run[W]], None] | None = None,
        **setting: Any,
    ) -> list[Run[W]]:
        """Runs with a crash at every place where a process can die; then `pairs` of them with two crashes."""
        draft, chosen = _draft(plan), Setting(**setting)

        def tools() -> Registry:
            return world().registry()

        scenarios = list(crashes.singly(draft, setting=chosen, tools=tools))
        if pairs:
            scenarios += crashes.in_pairs(draft, most=pairs, setting=chosen, tools=tools)
        return [_checked(scenario, world, check) for scenario in scenarios]

    @staticmethod
    def fault(stream: str, kind: str, at: int, ms: int = 0) -> Fault:
        """`fault("call", "lost", 2)`: the second call gets no answer. ValueError for what there is not."""
        if kind not in STREAMS.get(stream, ()):
            raise ValueError(f"there is no fault {kind!r} of {stream!r}; there are: {STREAMS}")
        return Fault(stream=stream, kind=kind, at=at, ms=ms)


@pytest.fixture
def simulate() -> Simulate:
    """Run a plan on the real engine over simulated surroundings: docs/simulation.md."""
    return Simulate()


def _draft(plan: Mapping[str, Any] | PlanDraft) -> PlanDraft:
    return plan if isinstance(plan, PlanDraft) else msgspec.convert(plan, PlanDraft)


def _played(scenario: Scenario, world: Callable[[], W]) -> Run[W]:
    made = world()
    outcome = play(scenario, kept=True, registry=made.registry())
    if outcome.check:
        raise AssertionError("\n".join([outcome.message, *_told(scenario, outcome.timeline)]))
    return Run(final=outcome.finals[0], world=made, scenario=scenario, timeline=outcome.timeline)


def _checked(scenario: Scenario, world: Callable[[], W], check: Callable[[Run[W]], None] | None) -> Run[W]:
    run = _played(scenario, world)
    if check is not None:
        try:
            check(run)
        except AssertionError as error:
            error.add_note("\n".join(_told(scenario, run.timeline)))
            raise
    return run


def _told(scenario: Scenario, timeline: Sequence[str]) -> list[str]:
    return [f"seed {scenario.seed}, {scenario.setting}", *map(str, scenario.faults), *timeline]
