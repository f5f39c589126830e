"""Seeds of the simulator: no promise is broken, the faults are real, and a seed is one timeline."""

from collections import Counter

import pytest

from shared.machine.status import Status
from shared.simulation import campaign
from shared.simulation.faults import STREAMS, Fault
from shared.simulation.scenario import Scenario, Setting, of_seed
from shared.simulation.shrink import shrink
from shared.simulation.world import play
from tests.machine.support import draft


@pytest.fixture(scope="module")
def summary() -> campaign.Summary:
    """A short campaign; `make sim` plays more."""
    return campaign.run(range(400))


def test_no_promise_is_broken(summary: campaign.Summary) -> None:
    """On a failure, the story of the first seed says why."""
    assert not summary.broken, campaign.explain(summary.broken[0][0])


def test_every_kind_of_fault_is_injected(summary: campaign.Summary) -> None:
    """A fault that never meets its event tests nothing. The rare ones are looked for among further seeds."""
    rare = {(stream, kind) for stream, some in STREAMS.items() for kind in some if f"{stream}.{kind}" not in summary.injected}
    for seed in range(400, 4_000):
        scenario = of_seed(seed)
        if rare & {(fault.stream, fault.kind) for fault in scenario.faults}:
            rare -= {(stream, kind) for stream, kind in rare if f"{stream}.{kind}" in play(scenario).injected}
    assert rare == set()


def test_every_end_is_reached(summary: campaign.Summary) -> None:
    """The seeds lead everywhere a saga can end today, and to a wait for a person."""
    ends = {end.split(" ")[0] for end in summary.ends}
    assert ends >= {"COMPLETED", "COMPENSATED", "COMPENSATION_FAILED", "CANCELLED", "TIMED_OUT", "FAILED", "SUSPENDED"}


def test_every_illegal_move_of_a_status_is_refused() -> None:
    """All pairs that the table does not have."""
    refused, pairs = campaign.illegal_moves_refused()
    assert refused == pairs > len(Status)


@pytest.mark.parametrize("seed", [0, 32, 403, 530, 860, 1289])
def test_a_seed_is_one_timeline(seed: int) -> None:
    """Twice the same, to the letter: also where many things happen in one millisecond."""
    first, second = (play(of_seed(seed), kept=True).timeline for _ in range(2))
    assert first == second


def test_keeping_the_timeline_changes_nothing() -> None:
    """Otherwise the story of a failing seed would be another seed's."""
    for seed in range(40):
        plain, told = play(of_seed(seed)), play(of_seed(seed), kept=True)
        assert (plain.ends, plain.counts, plain.moves) == (told.ends, told.counts, told.moves)


def test_a_step_that_becomes_ready_beside_a_running_sibling_is_called_once() -> None:
    """Both follow one step; the answer of the first must not start the second anew (their effects are counted)."""
    plan = draft("c idem", "a probe c", "b probe c", "d probe b")
    outcome = play(Scenario(seed=7, plans=(plan,), faults=(Fault(stream="call", kind="slow", at=2, ms=900),)))
    assert not outcome.check, outcome.message
    assert outcome.ends == {"COMPLETED": 1}
    assert outcome.counts["calls"] == 4


@pytest.mark.parametrize(
    ("setting", "needs"),
    [
        (Setting(qstash=False), "the watchdog's direct calls"),
        (Setting(qstash=False, ably=False), "the watchdog's direct calls, and nothing else"),
        (Setting(qstash=False, direct=False), "hints through Ably"),
        (Setting(direct=False), "the relay"),
        (Setting(executors=1, parallel=1, steps_per_message=1), "a message for every step"),
        (Setting(twice=True), "scripts that bear being applied twice"),
        (Setting(limit=False), "nobody to kill a slow invocation"),
    ],
)
def test_one_living_channel_is_enough(setting: Setting, needs: str) -> None:
    """`needs` is what this deployment goes on by."""
    plan = draft("a idem", "b probe a", "c unsafe b", "d pure c", "e idem_settled d", "f idem e")
    outcome = play(Scenario(seed=3, plans=(plan,), setting=setting))
    assert outcome.ends == {"COMPLETED": 1}, f"{needs}: {outcome.message}"


def test_hints_that_get_lost_are_given_again() -> None:
    """QStash is dead and nobody may call directly: an event of which Ably loses several still moves it on in the end."""
    lost = tuple(Fault(stream="mesh", kind="drop", at=number) for number in range(1, 7))
    dead = Setting(qstash=False, direct=False, steps_per_message=1)
    outcome = play(Scenario(seed=3, plans=(draft("a idem", "b probe a"),), setting=dead, faults=lost))
    assert (outcome.ends, outcome.injected["mesh.drop"]) == ({"COMPLETED": 1}, 6)


def test_without_any_channel_nothing_moves() -> None:
    """So that the tests above say something: the oracle would notice."""
    dead = Setting(qstash=False, ably=False, direct=False)
    outcome = play(Scenario(seed=3, plans=(draft("a idem"),), setting=dead))
    assert outcome.check == "comes to rest"


def test_a_failing_scenario_is_cut_down_to_what_matters() -> None:
    """Of ten faults and a plan of many steps, one of each is left."""
    scenario = next(one for one in map(of_seed, range(10_000)) if one.has("drop") and len(one.faults) > 6)
    less = shrink(scenario, lambda one: one.has("drop"))
    assert [fault.kind for fault in less.faults] == ["drop"]
    assert [len(plan.steps) for plan in less.plans] == [1]
    assert less.setting == Setting(strict=scenario.setting.strict)


def test_the_report_says_what_was_run_and_what_was_never_reached(summary: campaign.Summary) -> None:
    """For people: outcomes, faults, means, status moves."""
    text = campaign.render(summary)
    assert f"{summary.runs} runs" in text
    for title in ("outcomes", "faults injected", "an execution's mean", "status moves"):
        assert title in text


def test_a_seeds_story_names_its_faults_and_how_to_play_it_again() -> None:
    """Whoever reads it needs nothing else."""
    text = campaign.explain(403)
    assert "again: intention sim --seed 403" in text
    assert all(str(fault) in text for fault in of_seed(403).faults)


def test_seeds_differ() -> None:
    """Otherwise ten thousand of them would be one."""
    kinds = Counter(tuple(fault.kind for fault in of_seed(seed).faults) for seed in range(200))
    assert len(kinds) > 120
