"""An execution as it will be once the changes decided so far are stored. `decide` writes here, never into the execution."""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Any

import msgspec

from shared.machine.decision import Changes, Command, Line
from shared.machine.events import Report
from shared.machine.plan import UNDO_RETRY, Contract, Retry, Step
from shared.machine.state import Execution, Fault, Header, Hold, Intent, Layout, Result
from shared.machine.status import SETTLED, Cause, Cell, Phase, Reason, Status, check_move

_READY = frozenset({Cell.READY, Cell.GRANTED})


class Draft:
    """An overlay: reads fall through to the execution; writes collect in `kept`, and once `go_on` was called in `then`.

    `kept` are facts and is stored whatever the inbox says. `then` is what follows from them, and is stored only if nothing has
    arrived meanwhile: otherwise it is decided again.
    """

    def __init__(self, execution: Execution, now_ms: int) -> None:
        """`now_ms` stamps what is written."""
        self.x = execution
        self.blueprint = execution.blueprint
        self.now_ms = now_ms
        self.kept = Changes()
        self.then = Changes()
        self._out = self.kept
        self._cells: dict[int, Cell] = {}
        self._targets: set[Cell] = set()
        """Where cells were moved to: most questions about the rest are answered by this."""
        self._unmet: dict[int, int] = {}
        self._met: dict[int, int] = {}
        self.moves = 0
        """How often a cell was moved."""
        self.header = execution.header
        """The header as changed so far."""
        self.notes = execution.notes
        """The notes as changed so far."""
        self.layout = execution.layout
        """Where the cells of maps that were spread just now are, too."""

    def go_on(self) -> None:
        """The facts are in: what is written from here on is the continuation."""
        self._out = self.then

    # reading

    def step(self, cell: int) -> Step:
        """The step a cell belongs to."""
        steps = self.blueprint.plan.steps
        return steps[cell if cell < len(steps) else self.layout.step(cell)]

    def contract(self, cell: int) -> Contract:
        """The pinned facts of what the cell calls."""
        layout, blueprint = self.layout, self.blueprint
        if cell < blueprint.size:
            return blueprint.contract(cell)
        step = layout.step(cell)
        return blueprint.undo_contract(step) if layout.is_undo(cell) else blueprint.contract(step)

    def name(self, cell: int) -> str:
        """The step's name, with the item's number behind a dot."""
        step = self.step(cell).name
        item = self.layout.item(cell) if cell >= self.blueprint.size else -1
        return step if item < 0 else f"{step}.{item}"

    def key(self, cell: int) -> str:
        """The effect key: it never changes with the attempt. An undo's key is the effect's with `.undo`."""
        name = self.name(cell)
        key = f"{self.header.id}.{name}.{self.notes.generations.get(name, 1)}"
        return f"{key}.undo" if self.layout.is_undo(cell) else key

    def policy(self, cell: int) -> Retry:
        """How often and how patiently the cell is tried."""
        return UNDO_RETRY if self.layout.is_undo(cell) else self.step(cell).retry

    def cell(self, cell: int) -> Cell:
        """Where a cell stands."""
        return self._cells.get(cell) or self.x.cell(cell)

    def at(self, target: Cell, index: Iterable[int]) -> list[int]:
        """The cells that stand at `target`; `index` is the execution's own index of it."""
        changed = self._cells
        if target not in self._targets:
            return [cell for cell in index if cell not in changed] if index else []
        stored = [cell for cell in index if cell not in changed]
        return stored + [cell for cell, where in changed.items() if where is target]

    def ready(self) -> Iterator[int]:
        """Cells that may start, in the plan's order: the same from a working copy as from a record just loaded."""
        changed, layout = self._cells, self.layout
        fresh = []
        if not self._targets.isdisjoint(_READY):
            fresh = sorted([cell for cell, where in changed.items() if where in _READY and not layout.is_undo(cell)])
        stored = (cell for cell in self.x.ready() if cell not in changed) if changed else self.x.ready()
        return _merged(fresh, stored) if fresh else stored

    def opening(self) -> list[int]:
        """Steps whose needs are met and that must be looked at, in the plan's order."""
        changed = self._cells
        found = [cell for cell in self.x.opening() if cell not in changed]
        if Cell.OPENING in self._targets:
            found += [cell for cell, where in changed.items() if where is Cell.OPENING]
        return sorted(found) if len(found) > 1 else found

    def running(self) -> list[int]:
        """Calls of this invocation that have not ended."""
        return self.at(Cell.INTENDED, self.x.running)

    def waiting(self) -> list[int]:
        """Cells that wait for something outside."""
        return self.at(Cell.WAITING, self.x.waiting)

    def fault(self, cell: int) -> Fault | None:
        """How the cell's latest attempt failed."""
        return self.then.faults.get(cell) or self.kept.faults.get(cell) or self.x.faults.get(cell)

    def hold(self, cell: int) -> Hold | None:
        """What the cell waits for, or was granted."""
        return self.then.holds.get(cell) or self.kept.holds.get(cell) or self.x.holds.get(cell)

    def attempt(self, cell: int) -> int:
        """The number of the next attempt, 1 for the first."""
        fault = self.fault(cell)
        return fault.attempt + 1 if fault else 1

    def asked(self, cell: int) -> int:
        """How often it was asked already whether the latest attempt happened."""
        fault = self.fault(cell)
        return fault.asked if fault else 0

    def settled_steps(self) -> int:
        """How many steps of the plan are settled."""
        size, settled = self.blueprint.size, self.x.settled
        for cell, where in self._cells.items():
            if cell < size:
                settled += (where in SETTLED) - (self.x.cell(cell) in SETTLED)
        return settled

    def count(self, start: int, end: int, *targets: Cell) -> int:
        """How many of the cells in [start, end) stand at one of `targets`."""
        tally = self.x.tally.get(start) if start >= 2 * self.blueprint.size else None
        known = sum(self._stored(target, start, end, tally) for target in targets)
        for cell, where in self._cells.items():
            if start <= cell < end:
                before = cell < len(self.x.cells) and self.x.cell(cell) in targets
                known += (where in targets) - before
        return known

    def _stored(self, target: Cell, start: int, end: int, tally: dict[int, int] | None) -> int:
        return self.x.cells.count(target.value.encode(), start, end) if tally is None else tally[ord(target.value)]

    def find(self, target: Cell, start: int, end: int) -> Iterator[int]:
        """The cells in [start, end) that stand at `target`, in order: a search through bytes."""
        fresh = sorted(cell for cell, where in self._cells.items() if where is target and start <= cell < end)
        return _merged(fresh, self._find_stored(target.value.encode(), start, end))

    def _find_stored(self, byte: bytes, start: int, end: int) -> Iterator[int]:
        at = self.x.cells.find(byte, start, end)
        while at >= 0:
            if at not in self._cells:
                yield at
            at = self.x.cells.find(byte, at + 1, end)

    def spread(self) -> list[int]:
        """Maps whose items have not all ended."""
        return [cell for cell in self.at(Cell.WAITING, self.x.spread) if cell < self.blueprint.size and self.step(cell).map]

    def due(self) -> list[int]:
        """Cells whose wait ends by now, or reminds somebody: what is later is not looked at."""
        heap, todo = self.x.alarms, [0]
        if not heap and Cell.WAITING not in self._targets:
            return []
        while heap and not self.x.rings(*heap[0]):
            heappop(heap)  # a memo grown stale
        found: set[int] = set()
        while todo:
            at = todo.pop()
            if at < len(heap) and heap[at][0] <= self.now_ms:
                found.add(heap[at][1])
                todo += (2 * at + 1, 2 * at + 2)
        fresh = {cell for cell, where in self._cells.items() if where is Cell.WAITING}
        return sorted(cell for cell in found | fresh if self.cell(cell) is Cell.WAITING)

    def next_alarm(self) -> tuple[int, int] | None:
        """(unix ms, cell) of the first wait that ends, or reminds, later than now."""
        if not self.x.alarms and Cell.WAITING not in self._targets:
            return None
        changed = [cell for cell, where in self._cells.items() if where is Cell.WAITING]
        fresh = [(at_ms, cell) for cell in changed if (hold := self.hold(cell)) for at_ms in (hold.until_ms, hold.remind_ms)]
        return min((*(one for one in fresh if one[0] > self.now_ms), *islice(self._alarms(), 1)), default=None)

    def _alarms(self) -> Iterator[tuple[int, int]]:
        """Alarms of what this draft left alone, the next one first."""
        heap = self.x.alarms
        todo = [(heap[0], 0)] if heap else []
        while todo:
            alarm, at = heappop(todo)
            if alarm[0] > self.now_ms and alarm[1] not in self._cells and self.x.rings(*alarm):
                yield alarm
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(heap):
                    heappush(todo, (heap[child], child))

    def has_output(self, cell: int) -> bool:
        """Whether the output is at hand (and need not be loaded)."""
        return cell in self.then.results or cell in self.kept.results or cell in self.x.results

    def output(self, cell: int) -> Any:
        """The output of a done cell."""
        fresh = self.then.results.get(cell) or self.kept.results.get(cell)
        return fresh.output if fresh else self.x.results[cell]

    def changed_cells(self) -> dict[int, Cell]:
        """What was moved so far."""
        return self._cells

    def changed(self) -> bool:
        """Whether the continuation has anything in it."""
        return bool(self.then)

    # writing

    def say(self, event: str, cell: int | None = None, attempt: int = 0, **detail: Any) -> None:
        """A line for the history."""
        step = "" if cell is None else self.name(cell)
        self._out.history.append(Line(event=event, step=step, attempt=attempt, detail=detail))

    def command(self, name: str, kind: str, to: str, payload: Any) -> None:
        """Something for another partition; `name` makes it the same command whenever it is decided again."""
        self._out.commands.append(Command(id=name, kind=kind, to=to, payload=payload))

    def put(self, cell: int, target: Cell, fault: Fault | None = None, hold: Hold | None = None) -> None:
        """Move a cell, and note how it failed, or what it waits for."""
        self._out.cells[cell] = self._cells[cell] = target
        self._targets.add(target)
        self.moves += 1
        if fault is not None:
            self._out.faults[cell] = fault
        if hold is not None:
            self._out.holds[cell] = hold

    def note(self, **changed: Any) -> None:
        """Change the notes."""
        self._out.notes = self.notes = msgspec.structs.replace(self.notes, **changed)
        if self.layout.regions != self.notes.maps:
            self.layout = Layout(self.blueprint.size, self.notes.maps)

    def head(self, header: Header) -> None:
        """Change the header."""
        self._out.header = self.header = header

    def give(self, output: Any) -> None:
        """What the execution gives."""
        self._out.output = output

    def seen(self, position: int) -> None:
        """A signal was taken up; somebody acted, so the count of fruitless segments starts again."""
        self._out.seen = max(self._out.seen, position)
        self._out.progress = True

    def progress(self) -> None:
        """Something came of this segment."""
        self._out.progress = True

    def move(
        self,
        status: Status,
        *,
        phase: Phase | None = None,
        reason: Reason | None = None,
        cause: Cause | None = None,
    ) -> None:
        """Move the execution as a whole; the reason is cleared unless given. IllegalMove if the table lacks it."""
        self.head(moved(self.header, status, phase=phase, reason=reason, cause=cause))

    def blame(self, cause: Cause) -> None:
        """The forward lane stops for `cause`; the first cause stands."""
        if not self.header.cause:
            self.head(msgspec.structs.replace(self.header, cause=cause))
            self.say("execution.stopped", cause=cause)

    def forgive(self) -> None:
        """A person has dealt with what stopped the forward lane."""
        self.head(msgspec.structs.replace(self.header, cause=Cause.NONE))

    def finish(self, report: Report, intent: Intent, output: Any) -> None:
        """A called cell is done: keep its result, and make ready what waited for it only."""
        result = Result(output=output, attempt=intent.attempt, started_ms=report.started_ms, ended_ms=report.ended_ms)
        self.done(report.cell, result)

    def done(self, cell: int, result: Result) -> None:
        """A cell is done."""
        self._out.results[cell] = result
        self.settle(cell, Cell.DONE)

    def fail(self, cell: int, fault: Fault) -> None:
        """A cell is given up: that stops the plan, unless the step may fail. An item is its map's affair."""
        if self.layout.is_undo(cell) or cell >= self.blueprint.size:
            self.put(cell, Cell.FAILED, fault)
        elif self.step(cell).may_fail:
            self.settle(cell, Cell.FAILED, fault)
        else:
            self.put(cell, Cell.FAILED, fault)
            self.blame(Cause.FAILED)

    def doubt(self, cell: int, fault: Fault) -> None:
        """A cell is given up, and its effect may exist: UNKNOWN, so that undoing reaches it. That stops the plan, too.

        Where the plan bears the failure it goes on, and a person must speak before it completes: what comes instead of the
        step must not begin while the step may have happened.
        """
        borne = self.step(cell).may_fail or self._borne_by_map(cell)
        self.put(cell, Cell.UNKNOWN, fault)
        if not borne:
            self.blame(Cause.FAILED)

    def _borne_by_map(self, cell: int) -> bool:
        """Whether so many other items may still be done that the map does not need this one."""
        region, each = self.layout.region(cell), self.step(cell).map
        if region is None or each is None or each.min_successful is None:
            return False
        start, end = region.start, region.start + region.count
        return self.count(start, end, Cell.FAILED, Cell.UNKNOWN) < region.count - min(each.min_successful, region.count)

    def refuse(self, cell: int, code: str, message: str) -> None:
        """A cell fails before anything is called."""
        fault = Fault(attempt=self.attempt(cell), code=code, message=message[:1000], at_ms=self.now_ms)
        lane = "undo" if self.layout.is_undo(cell) else "step"
        self.say(f"{lane}.failed", cell, fault.attempt, code=code, message=fault.message)
        self.fail(cell, fault)

    def settle(self, cell: int, target: Cell, fault: Fault | None = None) -> None:
        """A cell rests; what waited for it only may go on."""
        self.put(cell, target, fault)
        if cell < self.blueprint.size:
            self._release(cell)

    def _release(self, cell: int) -> None:
        for dependent in self.blueprint.dependents[cell]:
            left = self._open_needs(dependent) - 1
            self._unmet[dependent] = left
            joined = self._joins_now(dependent, cell)
            if self.cell(dependent) is Cell.IDLE and (left == 0 or joined):
                self.put(dependent, Cell.OPENING if self._to_be_looked_at(dependent) else Cell.READY)

    def _joins_now(self, cell: int, need: int) -> bool:
        """Whether, with this need, enough of those of an `any` or k-of-n join are done: counted on, as open needs are."""
        join = self.blueprint.plan.steps[cell].join
        if not join:
            return False
        known = self._met.get(cell)
        if known is None:
            known = self.x.met.get(cell)
        if known is None:
            known = self.x.met[cell] = sum(1 for one in self.blueprint.needs[cell] if self.x.cell(one) is Cell.DONE)
        self._met[cell] = known + (self.cell(need) is Cell.DONE)
        return self._met[cell] >= join

    def needs_done(self, cell: int) -> int:
        """How many of a step's needs are done, and not only settled."""
        return sum(1 for need in self.blueprint.needs[cell] if self.cell(need) is Cell.DONE)

    def _to_be_looked_at(self, cell: int) -> bool:
        if self.blueprint.special[cell]:
            return True
        return any(self.cell(ref) is not Cell.DONE for ref in self.blueprint.refs[cell])

    def _open_needs(self, cell: int) -> int:
        if cell in self._unmet:
            return self._unmet[cell]
        known = self.x.unmet.get(cell)
        if known is None:
            # First touch of this join in this segment; `apply` counts it down from here on. A memo, not a decision.
            known = sum(1 for need in self.blueprint.needs[cell] if self.x.cell(need) not in SETTLED)
            self.x.unmet[cell] = known
        return known


def _merged(fresh: list[int], stored: Iterator[int]) -> Iterator[int]:
    """Both in one order; each is in order by itself. Nothing of `stored` is looked up before it is wanted."""
    at = 0
    for cell in stored:
        while at < len(fresh) and fresh[at] < cell:
            yield fresh[at]
            at += 1
        yield cell
    yield from fresh[at:]


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
