"""Plans from dice. A new kind of step is a small maker and a row in STEPS."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from shared.machine.plan import (
    Approval,
    Awaited,
    Each,
    Limited,
    PlanDraft,
    Sleep,
    StepDraft,
    UndoDraft,
    WaitFor,
)
from shared.simulation.town import TOOLS

NAMES: Final = "abcdefgh"
KEY: Final = "k1"
"""The one key that events by key have."""
EVENT: Final = "go"
_TOOL_NAMES: Final = [name for name in TOOLS for _ in range(1 if name.startswith("unsafe") else 2)]
_LITTLE: Final = ("pure", "idem", "idem_settled")

StepMaker = Callable[[random.Random, str, Sequence[str]], StepDraft]
"""(dice, the step's name, names of the steps before it) -> the step."""


def call(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    """A call of a tool, often with a reference to what came before; once in a while to what is not there."""
    needs = _needs(dice, before)
    args: dict[str, Any] = {}
    if needs and dice.random() < 0.5:
        args["value"] = f"${{{needs[0]}.{'nothing' if dice.random() < 0.03 else 'n'}}}"
    return StepDraft(name=name, tool=dice.choice(_TOOL_NAMES), args=args, needs=needs)


def _needs(dice: random.Random, before: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(dice.sample(before, min(len(before), dice.choice((0, 1, 1, 1, 2, 3))))))


def _free(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    """A call without references: what it needs may be skipped or fail."""
    return StepDraft(name=name, tool=dice.choice(_TOOL_NAMES), needs=_needs(dice, before))


def sleeping(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    """Lets time pass."""
    return StepDraft(name=name, needs=_needs(dice, before), sleep=Sleep(ms=dice.choice((1, 300, 1_900, 5_000, 90_000))))


def waiting(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    """Waits for events, of its own or by key."""
    events = [Awaited(name=EVENT, key=dice.choice(("", KEY)))]
    if dice.random() < 0.4:
        events.append(Awaited(name="stop", key=dice.choice(("", KEY))))
    wait = WaitFor(
        events=tuple(events),
        mode=dice.choice(("any", "any", "all")),
        timeout_ms=dice.choice((None, None, 500, 30_000)),
        on_timeout=dice.choice(("fail", "continue", "continue")),
    )
    return StepDraft(name=name, needs=_needs(dice, before), wait=wait)


def _callback(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    wait = WaitFor(callback=True, timeout_ms=dice.choice((None, 800, 60_000)), on_timeout=dice.choice(("fail", "continue")))
    return StepDraft(name=name, needs=_needs(dice, before), wait=wait)


def _approval(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    """Somebody is asked, about what came before."""
    timeout, remind = dice.choice((None, None, 60_000)), dice.choice((None, 20_000))
    tool, needs = dice.choice(("", *_LITTLE, "probe")), _needs(dice, before)
    approve = Approval(message=f"after ${{{needs[0]}}}?" if needs else "", timeout_ms=timeout, remind_ms=remind)
    return StepDraft(name=name, tool=tool, needs=needs, approve=approve)


def _map(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    count = dice.choice((0, 1, 2, 3, 5))
    least = dice.choice((None, None, max(0, count - 1)))
    each = Each(over=list(range(count)), concurrency=dice.choice((1, 2, 10)), min_successful=least)
    tool = dice.choice((*_LITTLE, "probe", "idem_stands"))
    return StepDraft(name=name, tool=tool, args={"value": "${item}"}, needs=_needs(dice, before), map=each)


def _child(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    makers = (call, call, _free, sleeping, waiting)
    names = NAMES[: dice.choice((1, 2, 2, 3))]
    steps = [dice.choice(makers)(dice, one, names[:number]) for number, one in enumerate(names)]
    return StepDraft(name=name, needs=_needs(dice, before), child=PlanDraft(steps=tuple(steps)))


def _when(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    step = _free(dice, name, before)
    if not step.needs:
        return step
    return msgspec.structs.replace(step, when=dice.choice((f"{step.needs[0]}.n == 'x'", f"{step.needs[0]}.n != 'x'")))


def _join(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    step = _free(dice, name, before)
    return msgspec.structs.replace(step, join=dice.choice(("any", 1, len(step.needs)))) if step.needs else step


def _lenient(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    return msgspec.structs.replace(_free(dice, name, before), may_fail=True)


def _impatient(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    return msgspec.structs.replace(_free(dice, name, before), deadline_ms=dice.choice((1, 1_000, 20_000)))


def _limited(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    limit = Limited(key="shared", most=1, per_ms=dice.choice((0, 0, 700)))
    return msgspec.structs.replace(_free(dice, name, before), limits=(limit,))


def _left(dice: random.Random, name: str, before: Sequence[str]) -> StepDraft:
    return msgspec.structs.replace(_free(dice, name, before), undo=UndoDraft(leave=True))


PLAIN: Final[Sequence[tuple[int, StepMaker]]] = ((1, call),)
STEPS: Final[Sequence[tuple[int, StepMaker]]] = (
    (8, call),
    (3, _free),
    (2, sleeping),
    (2, waiting),
    (1, _callback),
    (2, _approval),
    (2, _map),
    (2, _child),
    (2, _when),
    (2, _join),
    (2, _lenient),
    (1, _impatient),
    (1, _limited),
    (1, _left),
)
"""Kinds of steps: (weight, maker)."""


def plan(dice: random.Random) -> PlanDraft:
    """One to eight steps; half of the plans only call tools."""
    count = dice.choice((1, 2, 3, 3, 4, 4, 5, 6, 8))
    names = list(NAMES[:count])
    dice.shuffle(names)
    makers = [maker for weight, maker in dice.choice((PLAIN, STEPS)) for _ in range(weight)]
    steps = [dice.choice(makers)(dice, name, names[:number]) for number, name in enumerate(names)]
    timeout_ms = dice.choice((None,) * 12 + (50, 2_000, 30_000))
    return PlanDraft(steps=tuple(sorted(steps, key=lambda step: step.name)), timeout_ms=timeout_ms)


def is_plain(draft: PlanDraft) -> bool:
    """Whether it only calls tools, so that nobody but QStash and the watchdog ever wakes it."""
    return all(step.tool and not (step.approve or step.map or step.limits) for step in draft.steps)
