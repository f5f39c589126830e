"""Consent to what cannot be undone: only where the words ask for it before, or beside, something that may still fail."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def consent(steps: Sequence[dict[str, Any]], final: Collection[str]) -> None:
    """Let stand (`undo: {"leave": true}`) what a tool of `final` does, where another call does not come before it.

    The order is right already: what is left are several messages, of which only one can be the last, and what the words put
    behind a message.
    """
    needs = {step["name"]: step["needs"] for step in steps}
    for step in steps:
        if step.get("tool") in final:
            before = _ancestors(step["name"], needs)
            if any(_may_fail(other) and other["name"] not in before for other in steps if other is not step):
                step["undo"] = {"leave": True}


def _may_fail(step: Mapping[str, Any]) -> bool:
    return "tool" in step and not step.get("may_fail")


def _ancestors(name: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        fresh = set(needs[todo.pop()]) - found
        found |= fresh
        todo.extend(fresh)
    return found
