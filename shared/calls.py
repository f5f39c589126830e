"""The calls that a plan may make, with their places, its children's included, and what they cost. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from shared.machine import refs
from shared.machine.plan import UNDO_RETRY, Contract, Cost, Effect, Plan, Retry, Step, Undo


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """One step's calls of one tool: those of its map's items together."""

    at: str
    """The step's place: `plan.steps[2].child.steps[0]`."""
    path: tuple[str, ...]
    """The names of the step and of those that it stands in, from the outside in."""
    among: tuple[Mapping[str, Step], ...]
    """For each name of the path, the steps of the plan in which it stands."""
    step: Step
    tool: str
    args: Mapping[str, Any]
    contract: Contract
    retry: Retry
    undo: bool = False
    """It undoes the step, once something else has failed."""

    @property
    def count(self) -> int | None:
        """How many calls; None if only the run will tell."""
        if self.step.map is None:
            return 1
        return len(self.step.map.over) if isinstance(self.step.map.over, list | tuple) else None

    @property
    def args_at(self) -> str:
        """Where its arguments stand."""
        return f"{self.at}.undo.args" if self.undo else f"{self.at}.args"

    @property
    def stands(self) -> bool:
        """Whether what it does cannot be taken back, by consent or not."""
        if self.contract.effect is Effect.PURE:
            return False
        own = self.step.undo if not self.undo else None
        return own.leave if own else self.contract.undo is Undo.NONE

    @property
    def each(self) -> int:
        """What one of the calls may cost at most."""
        cost = cost_of(self.contract)
        return cost.amount * (self.retry.attempts if cost.failed else 1)

    def values(self, name: str) -> Sequence[Any] | None:
        """What an argument will be, over all calls; empty if it is left out, None if only the run will tell."""
        if name not in self.args:
            return ()
        value = self.args[name]
        if {ref.step for ref in refs.find(value)} <= {"item", "index"}:
            return self._of_items(value)
        return None

    def _of_items(self, value: Any) -> Sequence[Any] | None:
        """A reference in an item is resolved before the items are called with."""
        over = self.step.map.over if self.step.map else [None]
        if not isinstance(over, list | tuple) or any(True for _ in refs.find(over)):
            return None
        try:
            return [refs.resolve(value, {"item": item, "index": number}.__getitem__) for number, item in enumerate(over)]
        except refs.BadReference:
            return None


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan's calls cost, in units of `Cost`."""

    expected: int
    """If every step is called, and nothing goes wrong; of a map whose items are not known, one."""
    worst: int | None
    """With all attempts of what costs when it fails, and with the calls that undo. None: only the run will tell."""


def cost_of(contract: Contract) -> Cost:
    """What a call costs: nothing unless its tool says so."""
    return contract.cost if isinstance(contract.cost, Cost) else Cost(amount=0)


def calls_of(plan: Plan) -> Iterator[Called]:
    """Every call that the plan may make, undos that are calls of tools included."""
    yield from _calls_of(plan, "plan", (), ())


def _calls_of(plan: Plan, place: str, path: tuple[str, ...], among: tuple[Mapping[str, Step], ...]) -> Iterator[Called]:
    inside = (*among, {step.name: step for step in plan.steps})
    for number, step in enumerate(plan.steps):
        at, names = f"{place}.steps[{number}]", (*path, step.name)
        if step.replaced and not (step.tool and cost_of(plan.contracts[step.tool]).failed):
            continue  # it never happened; what failing cost was spent all the same
        if step.tool:
            yield Called(
                at=at, path=names, among=inside, step=step, tool=step.tool, args=step.args,
                contract=plan.contracts[step.tool], retry=step.retry,
            )  # fmt: skip
        if step.undo and step.undo.tool:
            yield Called(
                at=at, path=names, among=inside, step=step, tool=step.undo.tool, args=step.undo.args,
                contract=plan.contracts[step.undo.tool], retry=UNDO_RETRY, undo=True,
            )  # fmt: skip
        if step.child:
            yield from _calls_of(step.child, f"{at}.child", names, inside)


def spent(calls: Sequence[Called]) -> Spent:
    """What these calls cost together."""
    expected = sum(cost_of(one.contract).amount * (1 if one.count is None else one.count) for one in calls if not one.undo)
    unknown = any(one.count is None and one.each for one in calls)
    return Spent(expected=expected, worst=None if unknown else sum(one.each * (one.count or 0) for one in calls))
