"""A process dies at every place where it can, in a saga of six steps: singly and in pairs."""

from collections.abc import Iterable

import pytest

from shared.machine.plan import PlanDraft
from shared.simulation import crashes
from shared.simulation.scenario import Scenario, Setting
from shared.simulation.world import play
from tests.machine.support import draft

IDEMPOTENT = draft("a idem", "b idem a", "c idem_settled a", "d pure b,c", "e idem d", "f idem_stands e")
PROBEABLE = draft("a probe", "b probe a", "c probe b", "d probe c", "e probe d", "f probe e")
UNSAFE = draft("a idem", "b unsafe a", "c idem b", "d unsafe_keyed c", "e probe d", "f idem e")
ALONE = Setting(executors=1)
UNASKED = Setting(executors=1, qstash=False, ably=False)
LEASE_MS = 11_000
BY_MESSAGES = Setting(steps_per_message=1, direct=False)


def ends(scenarios: Iterable[Scenario]) -> set[str]:
    """What the runs came to; a broken promise fails the test with the crash that broke it."""
    found: set[str] = set()
    for scenario in scenarios:
        outcome = play(scenario)
        assert not outcome.check, f"{[str(fault) for fault in scenario.faults]}: {outcome.message}"
        found |= set(outcome.ends)
    return found


@pytest.mark.parametrize("setting", [Setting(), ALONE, BY_MESSAGES], ids=["two executors", "one", "a step a message"])
@pytest.mark.parametrize("plan", [IDEMPOTENT, PROBEABLE], ids=["idempotent", "probeable"])
def test_one_crash_anywhere_changes_nothing(plan: PlanDraft, setting: Setting) -> None:
    """It completes, every effect once."""
    assert ends(crashes.singly(plan, setting=setting)) == {"COMPLETED"}


def test_one_crash_anywhere_stops_an_unsafe_step_for_a_person_at_worst() -> None:
    """Whether it happened is not known; nothing is called twice."""
    assert ends(crashes.singly(UNSAFE)) == {"COMPLETED", "SUSPENDED (unknown effect)"}


def test_wherever_an_executor_dies_it_goes_on_when_it_is_back_though_nobody_asks_it() -> None:
    """No QStash, no Ably, and a watchdog that waits for leases: by virtual time none runs out. An intent is no exception."""
    outcomes = [play(one, kept=True) for one in crashes.singly(IDEMPOTENT, setting=UNASKED)]
    taken_up = [one for one in outcomes if any("left_behind.taken_up" in line for line in one.timeline)]

    assert {end for one in outcomes for end in one.ends} == {"COMPLETED"}
    assert len(taken_up) > len(outcomes) * 0.8, "the others held nothing, or nothing any more"
    assert max(float(one.timeline[-1].split()[0]) for one in outcomes) < LEASE_MS


def test_there_are_many_places_to_crash_at() -> None:
    """Six steps have several each: before and behind the intent, the call, the answer, the commit."""
    assert len(list(crashes.singly(IDEMPOTENT))) > 30


def test_two_crashes_anywhere_change_nothing() -> None:
    """Evenly chosen out of all pairs."""
    assert ends(crashes.in_pairs(IDEMPOTENT, most=250)) == {"COMPLETED"}
