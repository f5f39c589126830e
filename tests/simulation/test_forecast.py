"""What a plan is said to cost, held against runs of the real engine in which nothing goes wrong."""

import asyncio
import random
from collections import Counter
from typing import Any

from shared.forecast import Pace, Usual, forecast, standing
from shared.machine import accept as accepting
from shared.machine.plan import Approval, Awaited, Effect, Plan, PlanDraft, Sleep, StepDraft, UndoDraft, WaitFor
from shared.simulation.scenario import Scenario, Setting
from shared.simulation.world import play
from shared.tools.registry import Call, Registry

LASTS = {"quick": 40, "usual": 700, "slow": 2_400}
"""How long the tools of these runs take, ms."""
RUNS = 300
NETWORK_MS = 15


def registry() -> Registry:
    """Tools that take their time, and an effect that stands."""
    found = Registry()
    for name, ms in LASTS.items():
        found.add(_tool(name, ms), effect=Effect.IDEMPOTENT, timeout_ms=3_500, settle_ms=10_000, undo=_undo)
    found.add(_tool("final", 40), effect=Effect.IDEMPOTENT, settle_ms=10_000)
    return found


def _tool(name: str, ms: int) -> Any:
    async def tool(call: Call, *, value: Any = None) -> Any:
        await asyncio.sleep(ms / 1000)
        return {"n": call.key, "value": value}

    tool.__name__ = name
    tool.__doc__ = f"Takes {ms} ms."
    return tool


async def _undo(_: Call) -> Any:
    return {}


def accepted(draft: PlanDraft) -> Plan:
    """As ingress accepts it."""
    tools = registry()
    limits = accepting.Limits(steps=10_000, argument_bytes=65_536, step_ms=8_000)
    return accepting.accept(draft, contracts=tools.contracts(), check_args=tools.check_args, limits=limits)


def drawn(dice: random.Random) -> PlanDraft:
    """A plan of one to twelve steps, mostly calls."""
    steps: list[StepDraft] = []
    for number in range(dice.choice((1, 2, 3, 5, 8, 12))):
        names = [step.name for step in steps]
        needs = tuple(sorted(dice.sample(names, min(len(names), dice.choice((0, 1, 1, 2))))))
        name, kind = f"s{number}", dice.random()
        if kind < 0.75:
            steps.append(StepDraft(name=name, tool=dice.choice(tuple(LASTS)), needs=needs))
        elif kind < 0.87:
            steps.append(StepDraft(name=name, needs=needs, sleep=Sleep(ms=dice.choice((300, 1_900, 5_000, 90_000)))))
        elif kind < 0.95:
            steps.append(StepDraft(name=name, needs=needs, wait=WaitFor(events=(Awaited(name="go"),))))
        else:
            steps.append(StepDraft(name=name, tool="quick", needs=needs, approve=Approval()))
    return PlanDraft(steps=tuple(steps))


def test_the_messages_of_a_run_without_faults_are_as_forecast() -> None:
    """Within one, for 95 of 100 runs at least."""
    usual = {name: Usual(typical_ms=ms + NETWORK_MS) for name, ms in LASTS.items()}
    off: Counter[int] = Counter()
    for seed in range(RUNS):
        dice = random.Random(seed)
        draft, packed = drawn(dice), dice.choice((0, 0, 0, 1, 3))
        setting = Setting(parallel=16, steps_per_message=packed, finally_="answer")
        outcome = play(Scenario(seed=seed, plans=(draft,), setting=setting), registry=registry())
        assert not outcome.check, outcome.message
        if outcome.ends == {"COMPLETED": 1}:  # an approval may be refused, and that is another run
            said = forecast(accepted(draft), usual, Pace(parallel=16, steps_per_message=packed))
            off[outcome.counts["messages"] - said.messages] += 1
    near = off[-1] + off[0] + off[1]
    assert sum(off.values()) > RUNS * 0.8
    assert near >= 0.95 * sum(off.values()), off


def test_the_time_of_a_chain_is_that_of_its_calls_and_its_sleep() -> None:
    """Packed into invocations; between two of them there is a hop."""
    chain = PlanDraft(
        steps=(
            StepDraft(name="a", tool="usual"),
            StepDraft(name="b", needs=("a",), sleep=Sleep(ms=60_000)),
            StepDraft(name="c", tool="quick", needs=("b",)),
        )
    )
    found = forecast(accepted(chain), {"usual": Usual(typical_ms=700), "quick": Usual(typical_ms=40)}, Pace())
    assert (found.messages, found.duration_ms // 1_000, found.guessed) == (2, 60, ())


def test_what_is_not_known_is_named() -> None:
    """A tool that was never measured, a map over what a step will give, and who must act."""
    draft = PlanDraft(
        steps=(
            StepDraft(name="a", tool="quick"),
            StepDraft(name="b", tool="usual", needs=("a",), approve=Approval()),
        )
    )
    found = forecast(accepted(draft), {"quick": Usual(typical_ms=40)}, Pace())
    assert found.guessed == ("usual was never measured",)
    assert [(one.step, one.kind) for one in found.awaited] == [("b", "approval")]


def test_effects_that_cannot_be_taken_back_are_listed() -> None:
    """By the tool's contract, or because the plan wants them to stand."""
    draft = PlanDraft(
        steps=(
            StepDraft(name="a", tool="quick"),
            StepDraft(name="b", tool="usual", undo=UndoDraft(leave=True)),
            StepDraft(name="c", tool="final", undo=UndoDraft(leave=True)),
        )
    )
    assert standing(accepted(draft)) == ["b", "c"]
