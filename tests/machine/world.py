"""A world to run whole sagas in: a record, tools whose effects can be counted, a clock that only this file moves.

`Run` does what the interpreter and the store do, without either: decide, keep, go on. Faults are given as data, so that a
run is one function of its faults. The tools are as mean as their effect class allows: a request without an answer may land
until its settle time is over, an idempotent one that was taken back without a tombstone may land once more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from shared.machine.decide import decide
from shared.machine.decision import (
    Changes,
    Command,
    Decision,
    End,
    Leave,
    Line,
    Load,
    Start,
    StartSteps,
    Suspend,
    Take,
    Wait,
    apply,
    merge,
)
from shared.machine.events import (
    Attempted,
    Done,
    Event,
    NotSent,
    Outcome,
    Refused,
    Report,
    Room,
    Signalled,
    Ticked,
    Unanswered,
    Woke,
)
from shared.machine.outcomes import NEVER_HAPPENED
from shared.machine.plan import Blueprint, Effect, Undo
from shared.machine.state import Execution, Fault, Header, Hold, Intent, Notes, Result, Signal
from shared.machine.status import OVER, TERMINAL, Cell, Phase, Reason, Status, way

LEASE_MS = 11_000
FATES = ("ok", "refused", "busy", "busy for long", "not sent", "lost", "landed", "late", "very late")
"""How a call ends. The last four: no answer, and the request never lands, has landed, lands in a second, lands as late as
it may."""


class Faults(NamedTuple):
    """All that goes wrong in one run. A moment is a number of the run's steps: between any two of them all can happen."""

    fates: tuple[tuple[str, int], ...] = ()
    """How the calls end, in the order in which they are made, and after how many ms."""
    crashes: frozenset[int] = frozenset()
    cancels: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()
    """Segments (by number) that begin only when their time is up."""
    deadline_ms: int = 0
    rest: tuple[str, int] = ("ok", 20)
    """How all further calls end."""


class Setting(NamedTuple):
    """What an invocation may take."""

    parallel: int = 8
    steps_per_message: int = 0
    stalled_limit: int = 0


class Town:
    """The tools' side: which effects stand, by key."""

    def __init__(self, blueprint: Blueprint, execution: str) -> None:
        calls = [step for step in blueprint.plan.steps if step.tool]
        self.contracts = {f"{execution}.{step.name}.1": blueprint.plan.contracts[step.tool] for step in calls}
        self.stands: Counter[str] = Counter()
        self.landed: Counter[str] = Counter()
        self.tombstones: set[str] = set()
        self.undone: list[str] = []
        self.coming: list[tuple[int, str]] = []

    def pass_to(self, now_ms: int) -> None:
        """Requests that are on their way until then land."""
        for at_ms, key in sorted(self.coming):
            if at_ms <= now_ms:
                self.coming.remove((at_ms, key))
                self.land(key)

    def land(self, key: str) -> None:
        """A forward request arrives."""
        contract = self.contracts[key]
        if contract.effect is Effect.PURE or key in self.tombstones:
            return
        if contract.effect is Effect.IDEMPOTENT and self.stands[key]:
            return
        self.landed[key] += 1
        self.stands[key] += 1

    def take_back(self, key: str) -> None:
        """An undo arrives."""
        self.stands[key] = 0
        self.undone.append(key)
        if self.contracts[key].undo is Undo.TOMBSTONE:
            self.tombstones.add(key)


class Call(NamedTuple):
    """A call on the wire."""

    start: Start
    fate: str
    started_ms: int
    ends_ms: int


class Crashed(Exception):
    """The process is gone, with everything it had not stored."""


class Broken(AssertionError):
    """A promise was broken."""


class Record:
    """What is stored: it alone survives a crash. Keeps the store's promises and checks the machine's."""

    def __init__(self, header: Header, blueprint: Blueprint) -> None:
        self.header = header
        self.blueprint = blueprint
        self.cells = bytearray(blueprint.plan.first_cells().encode())
        self.intents: dict[int, Intent] = {}
        self.faults: dict[int, Fault] = {}
        self.results: dict[int, Result] = {}
        self.holds: dict[int, Hold] = {}
        self.notes = Notes()
        self.commands: dict[str, Command] = {}
        self.history: list[Line] = []
        self.output: Any = None
        self.inbox: list[Signal] = []
        self.seen = 0

    def load(self, results: Any = ()) -> Execution:
        """A working copy, of what a new owner gets: never the whole record."""
        busy = {number for number, where in enumerate(self.cells) if where in b"ibsuwg"}
        return Execution(
            header=self.header,
            blueprint=self.blueprint,
            cells=bytes(self.cells),
            intents={cell: self.intents[cell] for cell in busy if cell in self.intents},
            faults={cell: self.faults[cell] for cell in busy if cell in self.faults},
            results={cell: self.results[cell].output for cell in results if cell in self.results},
            seen=self.seen,
            holds={cell: self.holds[cell] for cell in busy if cell in self.holds},
            notes=self.notes,
        )

    def write(self, changes: Changes) -> None:
        """Store; a result is written once."""
        if changes.header is not None:
            if not way(self.header.status, changes.header.status):
                raise Broken(f"{self.header.status} became {changes.header.status}")
            self.header = msgspec.structs.replace(changes.header, segment=self.header.segment, stalled=self.header.stalled)
        if changes.progress:
            self.header = msgspec.structs.replace(self.header, stalled=0)
        for cell, result in changes.results.items():
            if self.results.setdefault(cell, result) is not result:
                raise Broken(f"the result of cell {cell} was written twice")
        self.intents |= changes.intents
        self.faults |= changes.faults
        self.holds |= changes.holds
        self.notes = changes.notes or self.notes
        self.output = self.output if changes.output is None else changes.output
        self.history += changes.history
        self._write_cells(changes.cells)
        self._queue(changes.commands)
        self.seen = max(self.seen, changes.seen)

    def _write_cells(self, cells: dict[int, Cell]) -> None:
        for cell, target in cells.items():
            if cell >= len(self.cells):
                self.cells.extend(b"?" * (cell + 1 - len(self.cells)))
            if self.cells[cell] == ord("d"):
                raise Broken(f"done cell {cell} became {target.name}")
            self.cells[cell] = ord(target.value)
        if b"?" in self.cells:
            raise Broken("a cell of a map was never written")

    def _queue(self, commands: list[Command]) -> None:
        for command in commands:
            if self.commands.setdefault(command.id, command) != command:
                raise Broken(f"two commands are called {command.id}")

    def letters(self, positions: Iterable[int]) -> dict[int, Any]:
        """What signals said."""
        return {position: self.inbox[position - 1].payload for position in positions}

    def tell(self, kind: str, payload: Any = None) -> Signal:
        """A signal comes in."""
        self.inbox.append(Signal(position=len(self.inbox) + 1, kind=kind, payload=payload))
        return self.inbox[-1]

    def unseen(self) -> tuple[Signal, ...]:
        """What arrived and no owner has taken in."""
        return tuple(signal for signal in self.inbox if signal.position > self.seen)

    def raise_segment(self) -> None:
        """A segment is over."""
        self.header = msgspec.structs.replace(self.header, segment=self.header.segment + 1)


class Run:
    """One execution from its first message to its end, or to a wait that only a person ends."""

    def __init__(self, blueprint: Blueprint, faults: Faults, setting: Setting) -> None:
        self.blueprint = blueprint
        self.faults = faults
        self.setting = setting
        self.now_ms = 1_000_000
        deadline_ms = self.now_ms + faults.deadline_ms if faults.deadline_ms else 0
        header = Header(id="exe_00_w", tenant="t", plan="p", status=Status.PLANNED, deadline_ms=deadline_ms)
        self.record = Record(header, blueprint)
        self.town = self._town(header.id)
        self.fates: Iterator[tuple[str, int]] = iter(faults.fates)
        self.moment = 0
        self.stop = Reason.NONE
        self.undo_starts: list[int] = []

    def _town(self, execution: str) -> Town:
        return Town(self.blueprint, execution)

    # the run

    def go(self) -> "Run":
        """Until it rests. A run that does not is broken."""
        while self.record.header.status not in TERMINAL and not self.stop:
            if self.moment > 3_000:
                raise Broken("this run does not come to rest")
            self._segment()
        self._at(self.now_ms + 10_000_000)  # whatever was on its way lands
        return self

    def _segment(self) -> None:
        self.started_ms = self.now_ms
        self.lease_ms = self.now_ms + LEASE_MS
        self.started = 0
        self.calls: list[Call] = []
        self.pending = Changes()
        head = self.record.header
        self.record.header = msgspec.structs.replace(head, stalled=head.stalled + 1)
        if head.segment in self.faults.late:
            self._at(self.now_ms + 7_600)
        self.x = self.record.load()
        try:
            wake_ms = self._work(Woke(now_ms=self.now_ms, room=self._room(), signals=self.record.unseen()))
        except Crashed:
            self._die()
            wake_ms = self.lease_ms + 1
        self._rest(wake_ms)

    def _rest(self, wake_ms: int) -> None:
        """Until the next segment."""
        if self.record.header.status is Status.SUSPENDED and self.record.unseen():
            wake_ms = self.now_ms  # a signal wakes it
        self._at(max(wake_ms, self.now_ms))

    def _work(self, event: Event) -> int:
        while True:
            decision = self._decide(event)
            going = decision.next
            self._tick()
            if isinstance(going, Load):
                event = self._load(going, decision.kept)
                continue
            flags = self._commit(decision)
            self._tick()
            if flags:
                event = Signalled(now_ms=self.now_ms, room=self._room(), signals=flags)
                continue
            match going:
                case Leave():
                    return self.now_ms
                case End():
                    return self.now_ms
                case Suspend():
                    return self._suspended(going)
                case StartSteps():
                    self._start(going.starts)
                case _:
                    pass
            event = self._wait(going.until_ms if isinstance(going, Wait | StartSteps) else None)

    def _suspended(self, going: Suspend) -> int:
        if going.wake_at_ms <= self.now_ms:
            raise Broken("a wait that is over before it begins")
        if not going.timed and not self.record.unseen():
            self.stop = going.reason
        return going.wake_at_ms

    def _tick(self) -> None:
        """One moment: a cancel may arrive here, and the process may die here."""
        self.moment += 1
        if self.moment in self.faults.cancels and self.record.header.status not in TERMINAL:
            self.record.inbox.append(Signal(position=len(self.record.inbox) + 1, kind="cancel"))
        if self.moment in self.faults.crashes:
            raise Crashed

    def _at(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.town.pass_to(now_ms)

    def _room(self) -> Room:
        per_message = self.setting.steps_per_message
        return Room(
            checkpoint_ms=self.started_ms + 7_500,
            cutoff_ms=self.started_ms + 8_000,
            lease_ms=self.lease_ms,
            parallel=self.setting.parallel,
            starts_left=per_message - self.started if per_message else None,
            started=self.started,
            stalled_limit=self.setting.stalled_limit,
        )

    # deciding and storing

    def _decide(self, event: Event) -> Decision:
        before = remembered(self.x)
        decision = decide(self.x, event)
        if remembered(self.x) != before:
            raise Broken("deciding changed the execution")
        if decide(self._rebuilt(), event) != decision:
            raise Broken("the stored state alone decides otherwise")
        return decision

    def _rebuilt(self) -> Execution:
        """The working copy made anew of what is stored, what was loaded, and what is on its way to the store."""
        again = self.record.load(self.x.results)
        again.header = msgspec.structs.replace(again.header, stalled=self.x.header.stalled, segment=self.x.header.segment)
        again.order, again.letters, again.slots = self.x.order, dict(self.x.letters), self.x.slots
        apply(again, self.pending)
        return again

    def _load(self, wanted: Load, kept: Changes) -> Event:
        self.pending = merge(self.pending, kept)
        apply(self.x, kept)
        have = set(wanted.results) & set(self.x.results)
        if have or (wanted.order and self.x.order is not None):
            raise Broken("asked for what is at hand")
        self.x.results |= {cell: self.record.results[cell].output for cell in wanted.results}
        self.x.letters |= self.record.letters(wanted.letters)
        if wanted.order:
            fresh = {cell: result.ended_ms for cell, result in self.pending.results.items()}
            stored = {cell: self.record.results[cell].ended_ms for cell in wanted.order if cell in self.record.results}
            self.x.order = stored | fresh
        return Ticked(now_ms=self.now_ms, room=self._room())

    def _commit(self, decision: Decision) -> tuple[Signal, ...]:
        kept = merge(self.pending, decision.kept)
        self._absorbed(kept)
        self.record.write(kept)
        apply(self.x, decision.kept)
        self.pending = Changes()
        if isinstance(decision.next, Wait | Load | Take):
            return ()
        if unseen := self.record.unseen():
            return unseen
        self._check_next(decision)
        self.record.write(decision.next.changes)
        apply(self.x, decision.next.changes)
        if not isinstance(decision.next, StartSteps):
            self.record.raise_segment()
        return ()

    def _absorbed(self, kept: Changes) -> None:
        taken = [one for one in self.record.unseen() if one.position <= kept.seen and one.kind == "cancel"]
        phase = (kept.header or self.record.header).phase
        if taken and phase is Phase.FORWARD and not (kept.header or self.record.header).cause:
            raise Broken("a cancel was taken in and left no trace")

    def _check_next(self, decision: Decision) -> None:
        going = decision.next
        if isinstance(going, StartSteps):
            if any(not is_undo(start) for start in going.starts) and self.record.header.cause:
                raise Broken("a forward intent after what stopped the plan was taken in")
            if self.now_ms >= self.started_ms + 7_500:
                raise Broken("started behind the checkpoint")
            if len(going.starts) + len(self.calls) > self.setting.parallel:
                raise Broken("more calls at once than allowed")
        elif self.calls:
            raise Broken("left while calls were running")
        idle = not self.started and not decision.kept.progress
        if isinstance(going, Leave) and idle and not going.changes.cells:
            raise Broken("a segment that did nothing asks for the next one at once")

    # calling

    def _start(self, starts: tuple[Start, ...]) -> None:
        for start in starts:
            self.started += 1
            if any(call.start.intent.key == start.intent.key for call in self.calls):
                raise Broken(f"{start.step} is started twice at once")
            if is_undo(start):
                self.undo_starts.append(self.x.layout.forward_of(start.cell))
            fate, took_ms = next(self.fates, self.faults.rest)
            took_ms = min(took_ms, start.timeout_ms)
            if took_ms == start.timeout_ms and fate == "ok":
                fate = "landed"
            self.calls.append(Call(start, fate, self.now_ms, self.now_ms + took_ms))

    def _wait(self, until_ms: int | None) -> Event:
        ends_ms = min((call.ends_ms for call in self.calls), default=None)
        if until_ms is not None and (ends_ms is None or until_ms < ends_ms):
            if until_ms <= self.now_ms:
                raise Broken("waits until the past: that never rests")
            self._at(until_ms)
            return Ticked(now_ms=self.now_ms, room=self._room())
        if ends_ms is None:
            raise Broken("waits for nothing")
        self._tick()
        self._at(ends_ms)
        ended = [call for call in self.calls if call.ends_ms == ends_ms]
        self.calls = [call for call in self.calls if call.ends_ms != ends_ms]
        reports = tuple(self._report(call) for call in sorted(ended, key=lambda call: call.start.cell))
        return Attempted(now_ms=self.now_ms, room=self._room(), reports=reports)

    def _report(self, call: Call) -> Report:
        cell, ended_ms = call.start.cell, self.now_ms
        return Report(cell=cell, outcome=self._outcome(call), started_ms=call.started_ms, ended_ms=ended_ms)

    def _outcome(self, call: Call) -> Outcome:
        match call.fate:
            case "refused":
                return Refused(code="no", message="no")
            case "busy":
                return Refused(code="busy", message="later", retryable=True)
            case "busy for long":
                return Refused(code="busy", message="much later", retryable=True, retry_after_ms=20_000)
            case "not sent":
                return NotSent(message="no way there")
            case "ok":
                return self._well(call.start)
            case _:
                self._send(call, self.now_ms)
                return Unanswered(message=call.fate)

    def _well(self, start: Start) -> Outcome:
        key = start.intent.key.removesuffix(".undo")
        if is_undo(start):
            self.town.take_back(key)
        elif start.intent.probe:
            if not self.town.stands[key]:
                return Refused(code=NEVER_HAPPENED, message="not seen")
        else:
            self.town.land(key)
        return Done(output={"n": start.cell})

    def _send(self, call: Call, last_ms: int) -> None:
        """A request whose answer nobody gets: sent until `last_ms`, it lands within the settle time or never."""
        key = call.start.intent.key.removesuffix(".undo")
        if call.start.intent.probe or call.fate == "lost":
            return
        if is_undo(call.start):
            self.town.take_back(key)
        elif call.fate == "late":
            self.town.coming.append((last_ms + 1_000, key))
        elif call.fate == "very late":
            self.town.coming.append((last_ms + self.town.contracts[key].settle_ms, key))
        else:
            self.town.land(key)

    def _die(self) -> None:
        for call in self.calls:
            if call.fate not in {"refused", "busy", "busy for long", "not sent"}:
                self._send(call, self.lease_ms if call.fate == "very late" else self.now_ms)


def is_undo(start: Start) -> bool:
    """Whether a call takes an effect back, be it by another tool."""
    return start.intent.key.endswith(".undo")


def remembered(x: Execution) -> tuple[bytes, ...]:
    """All of a working copy that must not change while deciding: everything but its memos (`unmet`, `lane`, `letters`)."""
    parts = (x.header, x.intents, x.faults, x.results, x.seen, x.order, x.settled, x.holds, x.notes, x.tally)
    indexes = (list(x.running), list(x.backoff), list(x.settling), list(x.undoing), list(x.waiting), list(x.spread))
    return (bytes(x.cells), *(msgspec.msgpack.encode(part) for part in (*parts, *indexes)))


def check(run: Run) -> None:
    """What must hold when everything has come to rest."""
    status, record, town = run.record.header.status, run.record, run.town
    size = run.blueprint.size
    for number, step in enumerate(run.blueprint.plan.steps):
        key = f"{record.header.id}.{step.name}.1"
        contract = run.blueprint.plan.contracts[step.tool]
        forward, undo = Cell(chr(record.cells[number])), Cell(chr(record.cells[number + size]))
        stands = town.stands[key]
        match status:
            case Status.COMPLETED:
                _hold(stands == (contract.effect is not Effect.PURE), f"completed, and {step.name} stands {stands} times")
            case Status.COMPENSATION_FAILED:
                _hold(not stands or undo in {Cell.FAILED, Cell.LEFT}, f"{step.name} stands and nobody says so")
            case Status.SUSPENDED:
                pass
            case _:
                _hold(not stands, f"{status}, and {step.name} stands")
        if contract.effect in {Effect.UNSAFE, Effect.PROBEABLE}:
            _hold(town.landed[key] <= 1, f"{step.name} happened {town.landed[key]} times")
        if forward is Cell.DONE and contract.effect is not Effect.PURE and record.header.phase is Phase.UNDO:
            _hold(undo is not Cell.IDLE, f"{step.name} happened and its undo was forgotten")
        if undo is Cell.DONE:
            fault = record.faults.get(number)
            may_exist = forward in {Cell.DONE, Cell.UNKNOWN, Cell.SETTLING} or (fault is not None and fault.doubt)
            _hold(may_exist and contract.undo is not Undo.NONE, f"{step.name} never happened and was undone")
    if status in TERMINAL and record.header.phase is Phase.UNDO:
        _hold(all(Cell(chr(cell)) in OVER for cell in record.cells[size:]), "ended while an undo was open")
    _check_undo_order(run)


def _check_undo_order(run: Run) -> None:
    first = list(dict.fromkeys(run.undo_starts))
    for earlier, later in pairwise(first):
        fair = _completed_ms(run, earlier) >= _completed_ms(run, later)
        _hold(fair, f"undone in the order {first}, which is not the reverse of the order of completion")
    for number, cell in enumerate(first):
        _hold(not _all_needs(run.blueprint, cell) & set(first[:number]), f"{cell} was undone after something it needed")


def _completed_ms(run: Run, cell: int) -> float:
    result = run.record.results.get(cell)
    return result.ended_ms if result is not None else float("inf")  # what may still come counts as later than all


def _all_needs(blueprint: Blueprint, cell: int) -> set[int]:
    found: set[int] = set()
    todo = list(blueprint.needs[cell])
    while todo:
        need = todo.pop()
        if need not in found:
            found.add(need)
            todo += blueprint.needs[need]
    return found


def _hold(fact: object, otherwise: str) -> None:
    if not fact:
        raise Broken(otherwise)
