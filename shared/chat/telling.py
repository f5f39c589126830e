"""What came of an execution, in words. Pure: the words are the domains' own, and what they do not know is told as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from shared.machine.status import Status
from shared.planner.domain import StepShape
from shared.planner.domains import DOMAINS

_SHAPES: Final[dict[str, StepShape]] = {shape.tool: shape for row in DOMAINS for shape in row.steps}
_SPOKEN: Final = {
    Status.COMPLETED: "Done",
    Status.FAILED: "It failed",
    Status.CANCELLED: "It was cancelled",
    Status.TIMED_OUT: "It took too long",
    Status.REJECTED: "Nothing was done",
    Status.COMPENSATED: "It was taken back",
    Status.COMPENSATION_FAILED: "Not all of it could be taken back",
}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One step of what is over."""

    step: str
    tool: str
    output: Any = None
    error: str = ""


def outcome(summary: str, status: str, steps: Sequence[Told], output: Any = None) -> str:
    """One sentence or two: what was wanted, how it ended, and what came of it or went wrong.

    `output`: what the plan itself gives; then the steps' own outputs are not told.
    """
    ended = _SPOKEN.get(Status(status), status)
    if status == Status.COMPLETED:
        parts = [_json(output)] if output is not None else _outputs(steps)
    elif status == Status.REJECTED and isinstance(output, Mapping) and output.get("questions"):
        parts = [str(question.get("question", "")) for question in output["questions"]]
    else:
        parts = [f"{one.step}: {one.error}" for one in steps if one.error]
    head = f"{summary.rstrip('.')}. {ended}" if summary else ended
    said = f"{head}: {'; '.join(parts)}" if parts else head
    return said if said[-1] in ".?!" else f"{said}."


def _outputs(steps: Sequence[Told]) -> list[str]:
    return [words for one in steps if one.output is not None and (words := came(one.tool, one.output))]


def came(tool: str, output: Any) -> str:
    """What came of a call; empty if there is nothing to tell."""
    shape = _SHAPES.get(tool)
    if shape is None or not isinstance(output, Mapping):
        return _json(output)
    try:
        if shape.each is None:
            return shape.came.format_map(output)
        name, words, none = shape.each
        return ", ".join(words.format_map(one) for one in output[name]) or none
    except (KeyError, TypeError, AttributeError, ValueError):  # another server's answer: shown as it is
        return _json(output)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
