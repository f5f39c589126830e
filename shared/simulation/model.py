"""The simulated language model, and its planner: right mostly; slow, away, wrong, refusing or asking where a fault says so.

Words are the number of a plan of the scenario, so that what it finds is what that plan is. Where a plan failed it gives the
steps that did not happen once more, under other names; sometimes more or fewer of them, or (the engine must notice) a done one.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from shared.machine.accept import PlanRefused
from shared.machine.plan import Blueprint, Plan, PlanDraft, Step, StepDraft, encode, hash_of
from shared.machine.state import Adopted, Advice, Asked, Flawed, Unreachable
from shared.machine.versions import gone
from shared.ports import Stopped, Words
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

    def __init__(
        self, *, faults: Faults, noise: Noise, timeline: Timeline, extend: Callable[[Stopped, PlanDraft], Plan]
    ) -> None:
        """What it finds is in `plans`; `extend` makes the next version of one."""
        self._extend = extend
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
        stopped: Stopped | None = None,
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
        found = self._found(int(words.text)) if stopped is None else self._version(stopped, fault)
        said = AWAY if slow_s > until_s else _SAID.get(fault.kind, found) if fault is not None else found
        return Advice(call=call, said=said, tokens=100, instead=instead)

    def _found(self, number: int) -> Adopted:
        blueprint = Blueprint(self.plans[number])
        timeout_ms = blueprint.plan.timeout_ms or 0
        return _adopted(self.plans[number], cells=blueprint.plan.first_cells(), timeout_ms=timeout_ms)

    def _version(self, stopped: Stopped, fault: Fault | None) -> Said:
        kind = fault.kind if fault is not None else ""
        draft = _draft(stopped, kind)
        if not draft.steps:
            return _SAID["asks"]
        try:
            after = self._extend(stopped, draft)
        except PlanRefused as error:
            return Flawed(problems=tuple(problem.message for problem in error.problems))
        if kind == "again":
            after = msgspec.structs.replace(after, steps=tuple(_redone(step, stopped) for step in after.steps))
        return _adopted(encode(after))


def _adopted(plan: bytes, *, cells: str = "", timeout_ms: int = 0) -> Adopted:
    fields = {"summary": "", "sources": "[]"}
    return Adopted(plan=plan, hash=hash_of(plan), cells=cells, fields=fields, timeout_ms=timeout_ms)


def _draft(stopped: Stopped, kind: str) -> PlanDraft:
    """The calls that did not happen, under the next version's names."""
    steps, replaced = stopped.plan.steps, gone(stopped.plan, stopped.cells)
    left = [step for number, step in enumerate(steps) if number in replaced and not step.replaced and step.tool]
    version = 2 + max((int(step.name[1:] or 1) for step in steps if step.replaced), default=0)
    names = {step.name: f"{step.name[0]}{version}" for step in left}
    there = {step.name for number, step in enumerate(steps) if number not in replaced} | set(names)
    new = [_renamed(step, names, there) for step in left]
    if kind == "fewer":
        new = new[:-1]
    if kind == "more":
        new.append(StepDraft(name=f"x{version}", tool="idem", needs=tuple(names.values())))
    return PlanDraft(steps=tuple(new))


def _renamed(step: Step, names: Mapping[str, str], there: set[str]) -> StepDraft:
    args = {name: _reference(value, names) for name, value in step.args.items()}
    needs = tuple(names.get(need, need) for need in step.needs if need in there)
    return StepDraft(name=names[step.name], tool=step.tool, args=args, needs=needs)


def _reference(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\{(\w+)\.", lambda found: f"${{{names.get(found[1], found[1])}.", value)


def _redone(step: Step, stopped: Stopped) -> Step:
    """As if what is done had not happened."""
    known = {one.name for one in stopped.plan.steps}
    return msgspec.structs.replace(step, replaced=True) if step.name in known else step
