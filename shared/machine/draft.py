"""An execution as it will be once the changes decided so far are stored. `decide` writes here, never into the execution."""

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Any

import msgspec

from shared.machine.decision import Changes, Line
from shared.machine.events import Report
from shared.machine.state import Execution, Fault, Header, Intent, Result
from shared.machine.status import Cause, Cell, Phase, Reason, Status, check_move


class Draft:
    """An overlay: reads fall through to the execution, writes collect in `kept`."""

    def __init__(self, execution: Execution, now_ms: int) -> None:
        """`now_ms` stamps what is written."""
        self.x = execution
        self.blueprint = execution.blueprint
        self.now_ms = now_ms
        self.kept = Changes()
        self._unmet: dict[int, int] = {}

    # reading

    @property
    def header(self) -> Header:
        """The header as changed so far."""
        return self.kept.header or self.x.header

    def cell(self, cell: int) -> Cell:
        """Where a cell stands."""
        return self.kept.cells.get(cell) or self.x.cell(cell)

    def at(self, target: Cell, index: Iterable[int]) -> Iterator[int]:
        """The cells that stand at `target`; `index` is the execution's own index of it."""
        changed = self.kept.cells
        yield from (cell for cell in index if cell not in changed)
        yield from (cell for cell, where in changed.items() if where is target)

    def ready(self) -> Iterator[int]:
        """Steps that are READY, in the plan's order: the same from a working copy as from a record just loaded."""
        changed, size = self.kept.cells, self.blueprint.size
        fresh = sorted(cell for cell, where in changed.items() if where is Cell.READY and cell < size)
        return merge(fresh, (cell for cell in self.x.ready() if cell not in changed))

    def running(self) -> list[int]:
        """Calls of this invocation that have not ended."""
        return list(self.at(Cell.INTENDED, self.x.running))

    def fault(self, cell: int) -> Fault | None:
        """How the cell's latest attempt failed."""
        return self.kept.faults.get(cell) or self.x.faults.get(cell)

    def attempt(self, cell: int) -> int:
        """The number of the next attempt, 1 for the first."""
        fault = self.fault(cell)
        return fault.attempt + 1 if fault else 1

    def asked(self, cell: int) -> int:
        """How often it was asked already whether the latest attempt happened."""
        fault = self.fault(cell)
        return fault.asked if fault else 0

    def done_steps(self) -> int:
        """How many steps of the plan are done."""
        size = self.blueprint.size
        return self.x.done + sum(1 for cell, where in self.kept.cells.items() if where is Cell.DONE and cell < size)

    def has_output(self, cell: int) -> bool:
        """Whether the step's output is at hand (and need not be loaded)."""
        return cell in self.kept.results or cell in self.x.results

    def output(self, name: str) -> Any:
        """The output of a done step, by name."""
        cell = self.blueprint.index[name]
        fresh = self.kept.results.get(cell)
        return fresh.output if fresh else self.x.results[cell]

    # writing

    def say(self, event: str, cell: int | None = None, attempt: int = 0, **detail: Any) -> None:
        """A line for the history."""
        step = "" if cell is None else self.blueprint.step(cell).name
        self.kept.history.append(Line(event=event, step=step, attempt=attempt, detail=detail))

    def put(self, cell: int, target: Cell, fault: Fault | None = None) -> None:
        """Move a cell, and note how it failed."""
        self.kept.cells[cell] = target
        if fault is not None:
            self.kept.faults[cell] = fault

    def move(
        self,
        status: Status,
        *,
        phase: Phase | None = None,
        reason: Reason | None = None,
        cause: Cause | None = None,
    ) -> None:
        """Move the execution as a whole; the reason is cleared unless given. IllegalMove if the table lacks it."""
        self.kept.header = moved(self.header, status, phase=phase, reason=reason, cause=cause)

    def blame(self, cause: Cause) -> None:
        """The forward lane stops for `cause`; the first cause stands."""
        if not self.header.cause:
            self.kept.header = msgspec.structs.replace(self.header, cause=cause)
            self.say("execution.stopped", cause=cause)

    def finish(self, report: Report, intent: Intent, output: Any) -> None:
        """A cell is done: keep its result, and make ready what waited for it only."""
        cell = report.cell
        self.put(cell, Cell.DONE)
        self.kept.results[cell] = Result(
            output=output, attempt=intent.attempt, started_ms=report.started_ms, ended_ms=report.ended_ms
        )
        if not self.blueprint.is_undo(cell):
            self._release(cell)

    def _release(self, cell: int) -> None:
        for dependent in self.blueprint.dependents[cell]:
            left = self._open_needs(dependent) - 1
            self._unmet[dependent] = left
            if left == 0:
                self.put(dependent, Cell.READY)

    def _open_needs(self, cell: int) -> int:
        if cell in self._unmet:
            return self._unmet[cell]
        known = self.x.unmet.get(cell)
        if known is None:
            # First touch of this join in this segment; `apply` counts it down from here on. A memo, not a decision.
            cells, done = self.x.cells, ord(Cell.DONE)
            known = sum(1 for need in self.blueprint.needs[cell] if cells[need] != done)
            self.x.unmet[cell] = known
        return known


def moved(
    header: Header,
    status: Status,
    *,
    phase: Phase | None = None,
    reason: Reason | None = None,
    cause: Cause | None = None,
) -> Header:
    """`header` after a legal move."""
    return msgspec.structs.replace(
        header,
        status=check_move(header.status, status),
        phase=phase or header.phase,
        reason=reason or Reason.NONE,
        cause=cause or header.cause,
    )
