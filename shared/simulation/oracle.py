"""The promises, as checks: some after every command, some when everything has come to rest. It knows the town's side too."""

import pickle
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec

from shared.machine.decision import Changes, Start
from shared.machine.events import Outcome, Refused, Unanswered
from shared.machine.plan import Blueprint, Effect, Undo
from shared.machine.status import MOVES, OVER, TERMINAL, Cause, Cell, Phase, Reason, Status
from shared.memory import MemoryStore
from shared.ports import Accepted, Committed, Created, Entry, Flags, Going, Lease, NoLease
from shared.redisdb import wire
from shared.simulation import peek
from shared.simulation.peek import Seen
from shared.simulation.scenario import DEATHS, DELAYS, Scenario
from shared.simulation.town import Town

_SENT_LATE_MS = 2
"""The engine counts from the reply to its acquire, which is a little old when it arrives."""

_BOUNDARY_MS = 10_000
_ENDS_LATE_MS = 20
"""A completion is decided before the deadline and stored a moment later."""


class Broken(AssertionError):
    """A promise was broken. The first words name it; `check` is what a table of checks calls it."""

    def __init__(self, check: str, message: str) -> None:
        """`check`: a short name, the same for the same promise."""
        super().__init__(f"{check}: {message}")
        self.check = check


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Where one execution rests."""

    status: str
    cause: str
    reason: str
    outputs: dict[str, Any]
    """Of the steps that are done."""
    undone: list[str]
    """Steps whose undo is done."""


class Known:
    """What was seen of one execution so far; a failover takes it back together with the record."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self.results: dict[int, bytes] = {}
        self.owners: dict[int, str] = {}
        self.intents: set[tuple[str, int, bool, int]] = set()
        self.cancelled = False
        self.version = -1
        self.stalled = 0
        """Fruitless segments before the latest one, with it."""
        self.starts: Counter[int] = Counter()
        """Intents by the fence of their segment."""
        self.ended_ms = 0
        self.signals: dict[int, int] = {}
        """When what is in the inbox was accepted, until it is seen."""


class Oracle:
    """Watches one run."""

    def __init__(self, scenario: Scenario, memory: MemoryStore, town: Town | None) -> None:
        """`town` None: the tools are somebody's own, and their effects are not counted here."""
        self.scenario = scenario
        self.memory = memory
        self.town = town
        self.moves: Counter[tuple[Status, Status]] = Counter()
        self.wakes: Counter[str] = Counter()
        """How attempts to take a lease were answered."""
        self.accepted: set[str] = set()
        self.forgetful = False
        """A failover without durable barriers has happened: most promises are off (docs/operations.md says which)."""
        self.unanswered: set[str] = set()
        self.refused: set[str] = set()
        self.undo_starts: dict[str, list[str]] = {}
        self.called: set[tuple[str, int, bool, int]] = set()
        self.calls: Counter[tuple[str, int]] = Counter()
        """Calls that run now, by execution and by when their owner's lease ends."""
        self.entries: dict[str, Entry] = {}
        self.now_ms = 0
        self._known: dict[str, Known] = {}
        self._blueprints: dict[str, Blueprint] = {}

    # during the run

    def after(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        """A command was applied."""
        execution = _execution_of(args)
        if not execution:
            return
        if name == "acquire":
            self.wakes[answer.why.name.lower() if isinstance(answer, NoLease) else "lease"] += 1
        seen = peek.record(self.memory, execution)
        if seen is None:
            self._must(self.forgetful or name in {"create", "acquire"}, "lost", f"{execution} was accepted and is gone")
            return
        known = self._known.setdefault(execution, Known())
        if name == "create" and isinstance(answer, Created):
            self._blueprints[execution] = Blueprint(seen.plan)
        if isinstance(answer, Lease):
            known.stalled = answer.header.stalled
            self._leased(seen, kwargs["segment"])
        for entry in _entries_of(answer):
            self._fresh(name, entry)
        if name == "signal" and isinstance(answer, Accepted):
            known.cancelled |= kwargs["kind"] == "cancel"
            known.signals[seen.inbox] = self.now_ms
        self._seen_soon(known, seen)
        again = seen.ver == known.version
        if name in {"begin", "commit"} and isinstance(answer, Committed | Flags) and not again:
            self._committed(execution, known, args[0], kwargs["kept"], kwargs["going"], stored=isinstance(answer, Committed))
        known.version = seen.ver
        self._moved(known, seen)
        self._kept(known, seen)
        self._due(seen)

    def _seen_soon(self, known: Known, seen: Seen) -> None:
        """One step boundary: as long as one invocation, if nothing goes wrong but calls."""
        for position in [position for position in known.signals if position <= seen.seen]:
            waited_ms = self.now_ms - known.signals.pop(position)
            fine = waited_ms <= _BOUNDARY_MS or not self.scenario.smooth
            self._must(fine, "a signal is seen soon", f"after {waited_ms} ms")

    def _leased(self, seen: Seen, segment: int) -> None:
        """Whoever got the lease had something to do."""
        header = seen.header
        self._must(
            not 0 <= segment < header.segment, "a duplicate starts nothing", f"a message of segment {segment} got a lease"
        )
        early = header.status is Status.SUSPENDED and seen.inbox == seen.seen and seen.wake_ms > self.now_ms
        self._must(not early, "nobody is woken in vain", f"{header.id} waits for {seen.wake_ms - self.now_ms} ms more")

    def _fresh(self, name: str, entry: Entry) -> None:
        """QStash swallows a repeated id for ten minutes."""
        known = self.entries.setdefault(entry.id, entry)
        fine = known is entry or (name != "resend" and known == entry)
        self._must(fine or self.forgetful, "every message has an id of its own", f"{entry.id} ({known.reason}, {entry.reason})")

    def _committed(self, execution: str, known: Known, lease: Lease, kept: Changes, going: Going, *, stored: bool) -> None:
        """A commit counted: for the first time, that is, and not as a repeat of one that was answered before."""
        owner = known.owners.setdefault(lease.fence, lease.owner)
        self._must(owner == lease.owner, "one writer a fence", f"two owners wrote to {execution} under fence {lease.fence}")
        for part in (kept, going.changes) if stored else (kept,):
            if part.header is not None:  # it may make two moves or three: it wakes, turns to undoing, and suspends
                self._move(known, part.header.status)
        if going.kind == "intents" and stored:
            self._intended(execution, known, going.changes)
            known.starts[lease.fence] += len(going.changes.intents)
            most = self.scenario.setting.steps_per_message
            self._must(not most or known.starts[lease.fence] <= most, "steps a message", f"{execution} starts more than {most}")

    def _intended(self, execution: str, known: Known, changes: Changes) -> None:
        forward = [cell for cell in changes.intents if not self._blueprints[execution].is_undo(cell)]
        self._must(
            not (forward and known.cancelled), "no start after a cancel", f"cells {forward} of {execution} were intended"
        )
        for intent in changes.intents.values():
            known.intents.add((intent.key, intent.attempt, intent.probe, intent.asked))

    def _moved(self, known: Known, seen: Seen) -> None:
        self._move(known, seen.header.status)
        if seen.header.status in TERMINAL:
            self._must(
                not seen.owner and seen.due_ms is None, "nothing terminal wakes", f"{seen.header.id} is over and still due"
            )

    def _move(self, known: Known, target: Status) -> None:
        origin, known.status = known.status, target
        if origin is None or origin is target:
            return
        self._must(origin not in TERMINAL, "nothing terminal wakes", f"{origin} became {target}")
        known.ended_ms = self.now_ms if target in TERMINAL else 0
        path = _path(origin, target)
        self._must(path, "legal moves", f"{origin} became {target}")
        self.moves.update(pairwise(path))

    def _kept(self, known: Known, seen: Seen) -> None:
        for cell, text in known.results.items():
            same = seen.results.get(cell) == text
            self._must(same, "a result never changes", f"the result of cell {cell} was {text!r}, is {seen.results.get(cell)!r}")
        known.results = dict(seen.results)

    def _due(self, seen: Seen) -> None:
        if seen.header.status not in TERMINAL:
            fine = seen.due_ms is not None
            self._must(fine, "always due", f"{seen.header.id} is {seen.header.status} and nobody will look at it")

    def before_call(self, start: Start) -> None:
        """A call is about to be sent."""
        intent = start.intent
        execution = intent.key.split(".", 1)[0]
        known = self._known.get(execution) or Known()
        recorded = (intent.key, intent.attempt, intent.probe, intent.asked) in known.intents
        self._must(recorded or self.forgetful, "intent before the call", f"{intent.key} is called without a stored intent")
        late = self.now_ms - intent.sent_by_ms
        self._must(late <= _SENT_LATE_MS, "nothing is sent after the lease", f"{intent.key} is sent {late} ms too late")
        self.called.add((intent.key, intent.attempt, intent.probe, intent.asked))
        self.calls[execution, intent.sent_by_ms] += 1
        many = self.calls[execution, intent.sent_by_ms]
        self._must(many <= self.scenario.setting.parallel, "calls at once", f"{execution} makes {many} calls at once")
        if start.undo:
            self.undo_starts.setdefault(execution, []).append(start.step)

    def told(self, start: Start, outcome: Outcome) -> None:
        """What a caller was told."""
        self.calls[start.intent.key.split(".", 1)[0], start.intent.sent_by_ms] -= 1
        if isinstance(outcome, Unanswered):
            self.unanswered.add(start.intent.key)
        if isinstance(outcome, Refused) and not outcome.retryable:
            self.refused.add(start.intent.key)

    # failover

    def remember(self) -> bytes:
        """All that is tied to the record's history."""
        return pickle.dumps(self._known)

    def forget(self, then: bytes) -> None:
        """The record is what it was: so is what may be asked of it."""
        if not self.scenario.setting.strict:
            self.forgetful = True
        intents = {execution: known.intents for execution, known in self._known.items()}
        cancelled = {execution for execution, known in self._known.items() if known.cancelled}
        self._known = pickle.loads(then)  # noqa: S301 - our own bytes
        for execution, known in self._known.items():
            known.intents |= intents.get(execution, set())
            if not self.forgetful:  # a durable accepted cancel is not forgotten
                known.cancelled = execution in cancelled

    # at the end

    def resting(self, execution: str) -> bool:
        """Whether nothing more happens by itself: terminal, or a wait that only a person ends."""
        seen = peek.record(self.memory, execution)
        if seen is None:
            return self.forgetful
        status = seen.header.status
        waits = status is Status.SUSPENDED and not seen.timed and seen.inbox == seen.seen
        return status in TERMINAL or waits or (status is Status.PAUSED and seen.inbox == seen.seen)

    def finish(self, execution: str) -> str:
        """Judge one execution; what it came to, for the statistics."""
        seen = peek.record(self.memory, execution)
        if seen is None:
            self._must(self.forgetful, "lost", f"{execution} was accepted and is gone")
            return "forgotten"
        if self.forgetful:
            self._judge_itself(seen, self._blueprints[execution])
        else:
            self._judge(execution, seen)
        waits = f" ({seen.header.reason})" if seen.header.status not in TERMINAL else ""
        return f"{seen.header.status}{waits}"

    def final(self, execution: str) -> Ended:
        """Where an execution stands now, for people."""
        seen = peek.record(self.memory, execution)
        if seen is None:
            return Ended(status="forgotten", cause="", reason="", outputs={}, undone=[])
        blueprint = self._blueprints[execution]
        steps = range(blueprint.size)
        return Ended(
            status=str(seen.header.status),
            cause=str(seen.header.cause),
            reason=str(seen.header.reason),
            outputs={
                blueprint.step(cell).name: wire.result(seen.results[cell]).output for cell in steps if cell in seen.results
            },
            undone=[blueprint.step(cell).name for cell in steps if seen.cells[cell + blueprint.size] == ord("d")],
        )

    def _judge(self, execution: str, seen: Seen) -> None:
        blueprint, header = self._blueprints[execution], seen.header
        _EXPECTED.get(header.status, Oracle._no_rule)(self, seen, blueprint)
        if self._known[execution].cancelled:
            fine = header.status is not Status.COMPLETED and (header.status not in TERMINAL or header.cause)
            self._must(fine, "a cancel counts", f"{execution} was cancelled and is {header.status}")
        if self.town is not None:
            for number in range(blueprint.size):
                self._effect(seen, blueprint, number, self.town)
        if header.status in TERMINAL and header.phase is Phase.UNDO:
            over = all(Cell(chr(cell)) in OVER for cell in seen.cells[blueprint.size :])
            self._must(over, "undo whole", f"{execution} ended while an undo was open")
        self._judge_itself(seen, blueprint)
        self._undo_order(execution, seen, blueprint)
        unsent = self._known[execution].intents - self.called
        fine = not unsent or self.scenario.has(*DEATHS)
        self._must(fine, "what is intended is sent", f"{sorted(unsent)} were stored and never sent")

    def _judge_itself(self, seen: Seen, blueprint: Blueprint) -> None:
        """What holds even where the last second may be lost: the record does not contradict itself."""
        if seen.header.status is Status.COMPLETED:
            self._completed(seen, blueprint)
        for cell in range(2 * blueprint.size):
            told = seen.cells[cell] != ord("d") or cell in seen.results
            self._must(told, "a result for what is done", f"cell {cell} of {seen.header.id} is done and has no result")

    def _no_rule(self, seen: Seen, _: Blueprint) -> None:
        self._must(fact=False, check="comes to rest", message=f"{seen.header.id} rests as {seen.header.status}")

    def _completed(self, seen: Seen, blueprint: Blueprint) -> None:
        done = seen.cells[: blueprint.size].count(b"d") == blueprint.size
        self._must(done, "completed whole", f"{seen.header.id} is COMPLETED as {seen.cells!r}")
        late = self._known[seen.header.id].ended_ms - seen.header.deadline_ms if seen.header.deadline_ms else 0
        fine = late <= _ENDS_LATE_MS or self.scenario.has(*DELAYS, "reply_lost") or self.scenario.setting.twice
        self._must(fine, "a deadline counts", f"{seen.header.id} completed {late} ms after its deadline")

    def _stopped(self, seen: Seen, blueprint: Blueprint) -> None:
        """CANCELLED, TIMED_OUT, FAILED, COMPENSATED, COMPENSATION_FAILED: for a reason that there was."""
        header = seen.header
        match header.cause:
            case Cause.CANCELLED:
                fair = self._known[header.id].cancelled
            case Cause.TIMED_OUT:
                fair = 0 < header.deadline_ms <= self.now_ms
            case Cause.FAILED:
                fair = any(self._may_fail(seen, blueprint, cell) for cell in range(blueprint.size))
            case _:
                fair = False
        self._must(fair, "stopped for a reason", f"{header.id} is {header.status} because it {header.cause or 'did'}")

    def _may_fail(self, seen: Seen, blueprint: Blueprint, cell: int) -> bool:
        """Whether the partner refused, or every attempt was used up, or the arguments could not be made."""
        if chr(seen.cells[cell]) not in "fu":
            return False
        key = f"{seen.header.id}.{blueprint.step(cell).name}.1"
        attempts = max((attempt for name, attempt, *_ in self._known[seen.header.id].intents if name == key), default=0)
        fault = peek.faults(self.memory, seen.header.id).get(cell)
        unmade = fault is not None and fault.code == "bad_reference" and "nothing" in str(blueprint.step(cell).args)
        return key in self.refused or attempts >= blueprint.step(cell).retry.attempts or unmade

    def _suspended(self, seen: Seen, blueprint: Blueprint) -> None:
        header = seen.header
        match header.reason:
            case Reason.UNKNOWN_EFFECT:
                cells = [cell for cell in range(blueprint.size) if seen.cells[cell] == ord("u")]
                effects = {blueprint.contract(cell).effect for cell in cells}
                keys = {f"{header.id}.{blueprint.step(cell).name}.1" for cell in cells}
                died = self.scenario.has(*DEATHS) or keys <= self.unanswered
                fair = bool(cells) and effects <= {Effect.UNSAFE, Effect.PROBEABLE} and died
            case Reason.UNDELIVERABLE:
                fair = self._known[header.id].stalled > self.scenario.setting.stalled > 0 and not self.scenario.calm
            case _:
                fair = False
        self._must(fair, "waits for a reason", f"{header.id} waits for good: {header.reason} as {seen.cells!r}")

    def _effect(self, seen: Seen, blueprint: Blueprint, number: int, town: Town) -> None:
        """What stands in the world is what the status says."""
        status, contract, name = seen.header.status, blueprint.contract(number), blueprint.step(number).name
        forward, undo = Cell(chr(seen.cells[number])), Cell(chr(seen.cells[number + blueprint.size]))
        key = f"{seen.header.id}.{name}.1"
        stands, landed = town.stands[key], town.landed[key]
        pure = contract.effect is Effect.PURE
        if status is Status.COMPLETED:
            self._must(stands == (not pure), "exactly once", f"completed, and {name} ({contract.effect}) stands {stands} times")
        elif status is Status.COMPENSATION_FAILED:
            told = undo in {Cell.FAILED, Cell.LEFT}
            self._must(not stands or told, "undone or told", f"{name} ({contract.effect}) stands and nobody says so")
        elif status in TERMINAL:
            self._must(not stands, "undone", f"{status}, and {name} ({contract.effect}) stands")
        once = landed <= 1 or contract.effect is Effect.IDEMPOTENT
        self._must(once, "at most once", f"{name} ({contract.effect}) happened {landed} times")
        if forward is Cell.DONE and not pure and seen.header.phase is Phase.UNDO:
            self._must(undo is not Cell.IDLE, "undo for every effect", f"{name} happened and its undo was forgotten")
        if pure:
            self._must(undo is Cell.IDLE, "undo for effects only", f"{name} does nothing, and its undo is {undo.name}")
        if undo is Cell.DONE:
            fine = contract.undo is not Undo.NONE and not pure and forward is not Cell.IDLE
            self._must(fine, "undo for effects only", f"{name} never happened and was undone")

    def _undo_order(self, execution: str, seen: Seen, blueprint: Blueprint) -> None:
        first = [blueprint.index[name] for name in dict.fromkeys(self.undo_starts.get(execution, ()))]
        for earlier, later in pairwise(first):
            fair = seen.ended_ms.get(earlier, 2**62) >= seen.ended_ms.get(later, 2**62)
            self._must(fair, "undo order", f"{execution} was undone in the order {first}: not the reverse of completion")
        for number, cell in enumerate(first):
            before = _all_needs(blueprint, cell) & set(first[:number])
            self._must(not before, "undo order", f"{cell} of {execution} was undone after {before}, which it needed")

    def _must(self, fact: object, check: str, message: str) -> None:
        if not fact:
            raise Broken(check, message)


_EXPECTED = {
    Status.COMPLETED: Oracle._completed,  # noqa: SLF001 - the rules of this module
    Status.SUSPENDED: Oracle._suspended,  # noqa: SLF001
} | dict.fromkeys(TERMINAL - {Status.COMPLETED, Status.REJECTED}, Oracle._stopped)  # noqa: SLF001
"""What must be true of an execution that rests, by its status."""


def _entries_of(answer: Any) -> list[Entry]:
    """What a command put into the outbox."""
    if isinstance(answer, Entry):
        return [answer]
    entry = answer.entry if isinstance(answer, Created | Committed | Accepted) else None
    return [entry] if entry is not None else []


def _execution_of(args: tuple[Any, ...]) -> str:
    match args:
        case (str() as execution, *_) if execution.startswith("exe_"):
            return execution
        case (Lease() as lease, *_):
            return lease.header.id
        case (first, *_) if hasattr(first, "header"):
            return str(first.header.id)
        case (first, *_) if hasattr(first, "execution"):
            return str(first.execution)
        case _:
            return ""


def _path(origin: Status, target: Status) -> list[Status]:
    """The shortest way by legal moves, both ends included; empty if there is none. One commit may make two moves."""
    ways = [[origin]]
    for way in ways:
        for further in sorted(MOVES[way[-1]] - set(way)):
            if further is target:
                return [*way, further]
            if len(way) < 3:
                ways.append([*way, further])  # a queue: it is read while it grows
    return []


def _all_needs(blueprint: Blueprint, cell: int) -> set[int]:
    found: set[int] = set()
    todo = list(blueprint.needs[cell])
    while todo:
        need = todo.pop()
        if need not in found:
            found.add(need)
            todo += blueprint.needs[need]
    return found
