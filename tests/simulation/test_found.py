"""Runs that the simulator once found to break a promise, cut down to what matters."""

from typing import NamedTuple

import pytest

from shared.machine.plan import Approval, Limited, PlanDraft, StepDraft
from shared.simulation.faults import Fault
from shared.simulation.plans import NAMES
from shared.simulation.scenario import Scenario, Setting
from shared.simulation.world import play


class Found(NamedTuple):
    """A run, and what it comes to today."""

    why: str
    steps: tuple[StepDraft, ...]
    faults: tuple[Fault, ...]
    ends: dict[str, int]
    setting: Setting = Setting()
    timeout_ms: int | None = None
    seed: int = 1


def fault(stream: str, kind: str, at: int, ms: int = 0) -> Fault:
    """Shortly."""
    return Fault(stream=stream, kind=kind, at=at, ms=ms)


LIMIT = Limited(key="shared", most=1, per_ms=3_000)
CHILD = PlanDraft(steps=(StepDraft(name="a", tool="pure"),))
FOUND = [
    Found(
        why="a step that became ready and was started by one commit was started again by its sibling's answer",
        steps=(
            StepDraft(name="c", tool="idem"),
            StepDraft(name="a", tool="probe", needs=("c",)),
            StepDraft(name="b", tool="probe", needs=("c",)),
        ),
        faults=(fault("call", "slow", 3, 900),),
        ends={"COMPLETED": 1},
    ),
    Found(
        why="a callback that came too early for a step that waits for an approval ended every segment with an error",
        steps=(StepDraft(name="a", tool="idem", approve=Approval()), StepDraft(name="b", tool="idem")),
        faults=(fault("moment", "callback", 1), fault("moment", "callback", 2), fault("moment", "callback", 3)),
        ends={"COMPLETED": 1},
        setting=Setting(finally_="answer"),
        seed=2,
    ),
    Found(
        why="an effect without an answer was forgotten while its step stood in line for a slot",
        steps=(StepDraft(name="b", tool="idem", limits=(LIMIT,)),),
        faults=(fault("call", "late", 1, 20),),
        ends={"COMPENSATED": 1},
        timeout_ms=2_500,
    ),
    Found(
        why="a child's end met a parent that did not wait yet: its commit was forgotten by a failover, and the child was not",
        steps=(StepDraft(name="a", tool="pure"), StepDraft(name="b", child=CHILD, needs=("a",))),
        faults=(fault("command", "failover", 9, 400),),
        ends={"COMPLETED": 2},
    ),
]


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.why)
def test_what_was_found_is_mended(found: Found) -> None:
    """No promise is broken, and it ends as it should."""
    plan = PlanDraft(steps=found.steps, timeout_ms=found.timeout_ms)
    outcome = play(Scenario(seed=found.seed, plans=(plan,), setting=found.setting, faults=found.faults))
    assert not outcome.check, outcome.message
    assert outcome.ends == found.ends


@pytest.mark.parametrize("place", range(1, 16))
def test_a_child_and_its_parent_agree_after_a_failover_at_any_place(place: int) -> None:
    """Whatever the last moments were: with durable barriers both complete."""
    plan = PlanDraft(steps=(StepDraft(name="a", tool="pure"), StepDraft(name="b", child=CHILD, needs=("a",))))
    outcome = play(Scenario(seed=place, plans=(plan,), faults=(fault("command", "failover", place, 400),)))
    assert not outcome.check, outcome.message
    assert outcome.ends == {"COMPLETED": 2}


@pytest.mark.parametrize("place", range(1, 40))
def test_a_pause_and_a_resume_at_any_place_change_nothing(place: int) -> None:
    """Also when the resume arrives while the segment that pauses is at work."""
    steps = tuple(StepDraft(name=name, tool="idem") for name in NAMES[:3])
    faults = (fault("step", "pause", place), fault("step", "resume", place + 1), fault("step", "resume", place + 2))
    outcome = play(
        Scenario(seed=place, plans=(PlanDraft(steps=steps),), setting=Setting(parallel=1, finally_="answer"), faults=faults)
    )
    assert not outcome.check, outcome.message
    assert outcome.ends == {"COMPLETED": 1}
