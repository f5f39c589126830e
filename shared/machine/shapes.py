"""What one step may be, looked at by itself: it does one thing, and everything about it has something to act upon."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from shared.machine.maps import MOST_ITEMS
from shared.machine.moments import unix_ms
from shared.machine.plan import StepDraft


class Problem(NamedTuple):
    """What is wrong, and where: `plan.steps[2].args.to`."""

    at: str
    message: str


def written(step: StepDraft, at: str) -> Iterator[tuple[str, Any]]:
    """Everything of a step that may hold references, with its place; its condition aside."""
    yield f"{at}.args", step.args
    if step.approve:
        yield f"{at}.approve.message", step.approve.message
    if step.map:
        yield f"{at}.map.over", step.map.over
    if step.sleep:
        yield f"{at}.sleep.until", step.sleep.until
    for number, event in enumerate(step.wait.events if step.wait else ()):
        yield f"{at}.wait.events[{number}].key", event.key
    for number, limit in enumerate(step.limits):
        yield f"{at}.limits[{number}].key", limit.key
    if step.undo:
        yield f"{at}.undo.args", step.undo.args


def problems(step: StepDraft, at: str) -> Iterator[Problem]:
    """What is wrong with the step as it stands."""
    if _is_plain(step):
        return
    actions = [name for name in ("tool", "sleep", "wait", "child") if getattr(step, name)]
    if len(actions) > 1:
        yield Problem(at, f"a step does one thing, and this one has {' and '.join(actions)}")
    if not actions and not step.approve:
        yield Problem(f"{at}.tool", "a step needs a tool, or sleep, wait, child or approve")
    if step.approve and actions and not step.tool:
        yield Problem(f"{at}.approve", f"a call is approved, or nothing else; put the {actions[0]} into a step of its own")
    yield from _map_problems(step, at)
    yield from _time_problems(step, at)
    yield from _wait_problems(step, at)
    yield from _join_problems(step, at)
    yield from _call_problems(step, at)


def _is_plain(step: StepDraft) -> bool:
    """Whether it calls a tool and nothing is said beside that: most steps are so, and there is nothing to look for."""
    beside = step.sleep or step.wait or step.child or step.approve or step.map or step.limits or step.undo
    return bool(step.tool) and not beside and step.join == "all"


def _map_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    if not step.map:
        return
    over = step.map.over
    if not step.tool or step.approve:
        yield Problem(f"{at}.map", "a map calls a tool, and is approved by a step before it")
    if isinstance(over, list | tuple):
        if len(over) > MOST_ITEMS:
            yield Problem(f"{at}.map.over", f"{len(over)} items, but a map goes over {MOST_ITEMS} at most")
        if (step.map.min_successful or 0) > len(over):
            yield Problem(f"{at}.map.min_successful", f"{step.map.min_successful} of {len(over)} items can never be done")
    elif not isinstance(over, str) or not (over.startswith("${") and over.endswith("}")):
        yield Problem(f"{at}.map.over", "give a list, or a reference to one")


def _time_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    if not step.sleep:
        return
    until = step.sleep.until
    if (step.sleep.ms is None) == (until is None):
        yield Problem(f"{at}.sleep", "give either ms or until")
    elif until is not None and not (isinstance(until, str) and "${" in until) and unix_ms(until) is None:
        yield Problem(f"{at}.sleep.until", "give unix ms, or a time with its offset, as 2026-05-01T19:00:00+02:00")


def _wait_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    if step.wait and bool(step.wait.events) == step.wait.callback:
        yield Problem(f"{at}.wait", "wait either for events or for a callback")
    if step.wait and step.wait.mode == "all" and len({one.name for one in step.wait.events}) < len(step.wait.events):
        yield Problem(f"{at}.wait.events", "events that all must come go by their names in the output: give each its own")


def _join_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    needs = len(set(step.needs))
    if step.join not in {"all", "any"} and int(step.join) > needs:
        yield Problem(f"{at}.join", f"it joins {step.join} of {needs} needs")
    if step.join != "all" and not needs:
        yield Problem(f"{at}.join", "it joins needs, and has none")


def _call_problems(step: StepDraft, at: str) -> Iterator[Problem]:
    """What is said of calls, where there is none."""
    if not step.tool:
        for name in ("limits", "retry", "timeout_ms", "deadline_ms"):
            if getattr(step, name):
                yield Problem(f"{at}.{name}", f"it is about calls, and this step calls no tool{_instead(step, name)}")
        if step.args and (step.sleep or step.wait):
            yield Problem(f"{at}.args", "nothing takes them: this step calls no tool")
        if step.undo and not (step.child and step.undo.leave):
            yield Problem(f"{at}.undo", "a child undoes itself" if step.child else "there is nothing to undo: it calls no tool")
    for number, limit in enumerate(step.limits):
        if not limit.key:
            yield Problem(f"{at}.limits[{number}].key", "give the key that the limit is counted under")
    if step.undo and step.undo.leave == bool(step.undo.tool):
        yield Problem(f"{at}.undo", "give either a tool, or leave: true")


def _instead(step: StepDraft, name: str) -> str:
    """Where the time of something else than a call is written."""
    if name not in {"timeout_ms", "deadline_ms"}:
        return ""
    kind = next((kind for kind in ("wait", "child", "approve") if getattr(step, kind)), "")
    return f"; give {kind}.timeout_ms" if kind else ""
