"""What a model is told of a plan that failed: as data, bounded, and without what it is never told of a person. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from shared.machine.plan import PlanDraft, Step
from shared.machine.status import Cell
from shared.planner.llm import answer
from shared.planner.model import Profile
from shared.ports import Stopped

OUTPUT_MOST: Final = 2_000
"""Characters of one step's output."""
OUTPUTS_MOST: Final = 16_000
_WHERE: Final = {Cell.DONE: "done", Cell.SKIPPED: "skipped", Cell.FAILED: "failed"}
_SHORTEST: Final = 4
"""Values of a profile that are shorter are words like any other: a name such as Al."""


def hidden(profile: Profile) -> dict[str, str]:
    """What stands for every value of a profile: in a plan and its outputs any of them may occur."""
    return answer.known(profile, "\n".join([*profile.contacts, *profile.places]))


def told(stopped: Stopped, hidden: Mapping[str, str]) -> dict[str, Any]:
    """`plan`, `outputs` and `failed`, with the names of `hidden` in place of their values."""
    steps = [_step(step, Cell(chr(where))) for step, where in zip(stopped.plan.steps, stopped.cells, strict=True)]
    failed = [{"step": one.step, "code": one.code, "message": one.message} for one in stopped.failed]
    whole = {"plan": steps, "outputs": dict(_outputs(stopped.outputs)), "failed": failed}
    found: dict[str, Any] = _without(whole, _finder(hidden), {value: name for name, value in hidden.items()})
    return found


def said_before(stopped: Stopped, words: str, profile: Profile) -> str:
    """Whom the person has named already: in the words, and in the plan that was accepted. Outputs name nobody."""
    parts = [part for step in stopped.plan.steps for part in (step.args, step.map.over if step.map else None)]
    plan = msgspec.json.encode(parts).decode()
    others = [*profile.contacts.items(), *profile.places.items()]
    return "\n".join([words, plan, *(word for word, value in others if msgspec.json.encode(value).decode() in plan)])


def half_hidden(draft: PlanDraft, names: Iterable[str]) -> list[str]:
    """Steps with such a name within a longer text, where nothing is put in its place."""
    found = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, names)) or '(?!)'})(?!\w)")
    return [step.name for step in draft.steps if found.search(msgspec.json.encode(step.args).decode())]


def _step(step: Step, where: Cell) -> dict[str, Any]:
    state = "replaced" if step.replaced else _WHERE.get(where, "not begun")
    shown = {"name": step.name, "state": state, "args": step.args, "needs": step.needs}
    more = {"tool": step.tool, "when": step.when, "may_fail": step.may_fail, "sleep": step.sleep, "wait": step.wait}
    more |= {"map": step.map, "approve": step.approve, "child": bool(step.child)}
    plain: dict[str, Any] = msgspec.to_builtins(shown | {name: value for name, value in more.items() if value})
    return plain


def _outputs(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each as it is, or as the beginning of its text; nothing of those for which there is no room."""
    left = OUTPUTS_MOST
    for name, output in outputs.items():
        text = msgspec.json.encode(output).decode()
        shown = output if len(text) <= OUTPUT_MOST else f"{text[:OUTPUT_MOST]}…"
        left -= min(len(text), OUTPUT_MOST)
        if left < 0:
            return
        yield name, shown


def _finder(hidden: Mapping[str, str]) -> re.Pattern[str]:
    values = sorted((value for value in hidden.values() if len(value) >= _SHORTEST), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, values)) or r"(?!)")


def _without(value: Any, finder: re.Pattern[str], names: Mapping[str, str]) -> Any:
    match value:
        case str():
            return names[value] if value in names else finder.sub(lambda found: names[found[0]], value)
        case dict():
            return {
                finder.sub(lambda found: names[found[0]], name): _without(item, finder, names) for name, item in value.items()
            }
        case list() | tuple():
            return [_without(item, finder, names) for item in value]
        case _:
            return value
