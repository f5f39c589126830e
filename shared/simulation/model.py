"""The simulated language model, and its planner: right mostly; slow, away, wrong, refusing or asking where a fault says so.

Words are the number of a plan of the scenario, so that what it finds is what that plan is.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

from shared.machine.plan import Blueprint
from shared.machine.state import Adopted, Advice, Asked, Flawed, Unreachable
from shared.ports import Words
from shared.simulation.faults import Fault, Faults
from shared.simulation.noise import Noise
from shared.simulation.timeline import Timeline

QUESTION: Final = {"field": "time", "question": "When?", "candidates": []}
AWAY: Final = Unreachable(message="the model's endpoint answered 503")
Said: TypeAlias = Adopted | Asked | Flawed | Unreachable
_SAID: Final[dict[str, Said]] = {
    "busy": AWAY,
    "flawed": Flawed(problems=("there is no tool 'x'",), answer="x"),
    "refused": Unreachable(message="the model's endpoint answered 401", retryable=False),
    "asks": Asked(questions=(QUESTION,)),
}


class Model:
    """See `shared.ports.Planner`."""

    def __init__(self, *, faults: Faults, noise: Noise, timeline: Timeline) -> None:
        """What it finds is in `plans`."""
        self.plans: dict[int, bytes] = {}
        """By the words that stand for them."""
        self.asked: Counter[str] = Counter()
        """Calls, by the words."""
        self._faults = faults
        self._noise = noise
        self._timeline = timeline

    async def advise(
        self,
        words: Words,
        *,
        tenant: str,  # noqa: ARG002 - the port's
        call: int,
        model: bool,
        until_s: float,
        problems: Sequence[str],  # noqa: ARG002 - the port's
        before: Flawed | None,  # noqa: ARG002 - the port's
    ) -> Advice:
        """See the port."""
        instead = Asked(questions=(QUESTION,))
        if not model:
            return Advice(call=call, said=Unreachable(message="not asked", retryable=False), instead=instead)
        self.asked[words.text] += 1
        fault = self._faults.one("model")
        self._timeline.say("model", f"is asked (call {call}){f': {fault.kind}' if fault else ''}")
        slow_s = fault.ms / 1000 if fault and fault.kind == "slow" else self._noise.net_s()
        await asyncio.sleep(min(slow_s, until_s))
        said = AWAY if slow_s > until_s else self._said(int(words.text), fault)
        return Advice(call=call, said=said, tokens=100, instead=instead)

    def _said(self, number: int, fault: Fault | None) -> Said:
        if fault is not None and fault.kind in _SAID:
            return _SAID[fault.kind]
        blueprint = Blueprint(self.plans[number])
        return Adopted(
            plan=self.plans[number],
            hash=blueprint.hash,
            cells=blueprint.first_cells(),
            fields={"summary": "", "sources": "[]"},
            timeout_ms=blueprint.plan.timeout_ms or 0,
        )
