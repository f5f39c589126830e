"""Draws docs/machine.md from the machine's own tables: `python -m shared.machine.draw`. A test compares the two."""

import ast
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from shared.machine.status import MOVES, OVER, REOPENINGS, TERMINAL, Cause, Cell, Phase, Reason, Status

PAGE = Path(__file__).parents[2] / "docs" / "machine.md"

_ABOUT_REASONS = {
    Reason.BACKOFF: "an attempt failed, and the next one is not due",
    Reason.SLEEP: "a step lets time pass",
    Reason.EVENT: "a step waits for an event",
    Reason.CALLBACK: "a step, or a tool that took a call over, waits to be called back",
    Reason.APPROVAL: "a person is asked",
    Reason.CHILD: "an execution of its own must end first",
    Reason.SLOT: "a limit of calls at a time is reached",
    Reason.MAP: "the items of a map are under way",
    Reason.CIRCUIT: "a tool is paused, or fails so often that nobody calls it",
    Reason.SETTLING: "a request without an answer may still land",
    Reason.UNKNOWN_EFFECT: "only a person can say whether an effect is there",
    Reason.UNDELIVERABLE: "segments came to nothing again and again; somebody must look",
    Reason.QUOTA: "no message can be paid for, and neither Ably nor direct calls are configured; it goes on when there is more",
}


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# The machine",
            "",
            "Written by `python -m shared.machine.draw` from the tables in `shared/machine/status.py`. Do not edit.",
            "",
            "## Statuses of an execution",
            "",
            *_statuses(),
            "",
            "A status that is not in its row is an illegal move: it raises and changes nothing. A terminal status is left only",
            "by `reopen`, on a person's word, never by a wake-up:",
            "",
            *(f"- {origin} → {_names(targets)}" for origin, targets in REOPENINGS.items()),
            "",
            "Beside the status stand the phase ("
            + " or ".join(f"`{phase}`" for phase in Phase)
            + "), the cause that stopped the",
            "forward lane (" + ", ".join(f"`{cause}`" for cause in Cause if cause) + "), and why it is suspended:",
            "",
            *(f"- `{reason}`: {text}" for reason, text in _ABOUT_REASONS.items()),
            "",
            "```mermaid",
            *_diagram(),
            "```",
            "",
            "## Cells",
            "",
            "One byte a cell. A plan of n steps has n forward cells and n undo cells behind them; each map that was spread",
            "adds one of each for every item.",
            "",
            *_cells(),
            "",
        ]
    )


def _names(statuses: frozenset[Status]) -> str:
    return ", ".join(status for status in Status if status in statuses)


def _statuses() -> Iterator[str]:
    yield "| status | may become |"
    yield "|---|---|"
    for origin in Status:
        yield f"| {origin} | {'(terminal)' if origin in TERMINAL else _names(MOVES[origin])} |"


def _diagram() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {Status.RECEIVED}"
    for origin in Status:
        yield from (f"    {origin} --> {target}" for target in Status if target in MOVES[origin])
    yield from (f"    {end} --> [*]" for end in Status if end in TERMINAL)


def _cells() -> Iterator[str]:
    told = attribute_docs(Cell)
    yield "| cell | byte | of an undo cell | meaning |"
    yield "|---|---|---|---|"
    for cell in Cell:
        yield f"| {cell.name} | `{cell.value}` | {'rests' if cell in OVER else 'open'} | {told.get(cell.name, '')} |"


def attribute_docs(kind: type[Enum]) -> dict[str, str]:
    """The strings under an enum's members, which Python itself does not keep."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
    found: dict[str, str] = {}
    name = ""
    for node in body.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]):
                pass
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                found[name] = " ".join(text.split())
    return found


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
