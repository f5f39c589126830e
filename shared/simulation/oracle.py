"""Watches a run: some promises are checked after every command and before every call, the rest when everything rests.

What is true of one resting execution stands in `verdicts`.
"""

import pickle
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import msgspec

from shared.machine.children import child_id
from shared.machine.decision import Changes, Start
from shared.machine.events import Outcome, Refused, Unanswered
from shared.machine.plan import NO_PLAN, Blueprint
from shared.machine.state import Layout
from shared.machine.status import TERMINAL, Cell, Reason, Status, way
from shared.memory import MemoryStore
from shared.ports import Accepted, Committed, Created, Entry, Flags, Going, Lease, NoLease, Reopened
from shared.redisdb import wire
from shared.simulation import peek, verdicts
from shared.simulation.peek import Seen
from shared.simulation.promises import must
from shared.simulation.scenario import Scenario
from shared.simulation.town import Town
from shared.simulation.verdicts import Case, Facts

SENT_LATE_MS: Final = 2
"""The engine counts from the reply to its acquire, which is a little old when it arrives."""
BOUNDARY_MS: Final = 10_000
_PERSONS: Final = frozenset(verdicts.WAITS) - {Reason.CHILD}
_STOPS: Final = frozenset({"cancel", "compensate"})


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
    """What was seen of one execution's record so far; a failover takes it back together with the record."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self.results: dict[int, bytes] = {}
        self.owners: dict[int, str] = {}
        self.version = -1
        self.starts: Counter[int] = Counter()
        """Intents by the fence of their segment."""
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
        self.forgetful = False
        """A failover without durable barriers has happened: most promises are off (docs/operations.md says which)."""
        self.now_ms = 0
        self.facts: dict[str, Facts] = {}
        self._calls: Counter[tuple[str, int]] = Counter()
        """Calls that run now, by execution and by when their owner's lease ends."""
        self._limited: Counter[str] = Counter()
        """Calls that run now under a limit."""
        self._entries: dict[str, Entry] = {}
        self._known: dict[str, Known] = {}
        self._plans: dict[str, bytes] = {}
        self._blueprints: dict[str, Blueprint] = {}

    def blueprint(self, execution: str) -> Blueprint:
        """The plan of an execution, a child's too."""
        return self._blueprints[execution]

    # after a command

    def after(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        """A command was applied."""
        execution = _execution_of(args)
        if not execution:
            return
        if name == "acquire":
            self.wakes[answer.why.name.lower() if isinstance(answer, NoLease) else "lease"] += 1
        seen = peek.record(self.memory, execution)
        if seen is None:
            must(self.forgetful or execution not in self._known, "lost", f"{execution} was accepted and is gone")
            return
        known = self._known.setdefault(execution, Known())
        facts = self.facts.setdefault(execution, Facts(self.scenario))
        if self._plans.get(execution) != seen.plan:  # words get theirs later, and a failover may take it back
            must(execution not in self._plans or self._may_change(execution, seen), "a plan never changes", execution)
            self._versioned(execution, seen)
            self._plans[execution], self._blueprints[execution] = seen.plan, Blueprint(seen.plan)
        check = _CHECKS.get(name)
        if check is not None:
            check(self, known, facts, seen, args, kwargs, answer)
        for entry in _entries_of(answer):
            self._fresh(entry)
        known.version = seen.ver
        self._seen_soon(known, seen)
        self._moved(known, facts, seen)
        self._kept(known, seen)

    def _may_change(self, execution: str, seen: Seen) -> bool:
        """Only from none to one, and from one version to the next; where a failover happened, also back."""
        most = self.scenario.setting.replans
        version = seen.notes.replan is not None and 0 < seen.notes.replan.made <= most
        return self._plans[execution] == NO_PLAN or version or self.scenario.has("failover")

    def _versioned(self, execution: str, seen: Seen) -> None:
        """A version keeps what is done; what does other things than the one before waits for a yes."""
        replan, before = seen.notes.replan, self._blueprints.get(execution)
        if before is None or not before.size or replan is None or not replan.made or self.scenario.has("failover"):
            return
        after, size = Blueprint(seen.plan), before.size
        known = zip(before.plan.steps, after.plan.steps, seen.cells, strict=False)
        same = all(now == was if where == ord("d") else now.name == was.name for was, now, where in known)
        must(same and after.size > size, "a version keeps what is done", f"{execution} as {seen.cells!r}")
        old = [step.tool for step, now in zip(before.plan.steps, after.plan.steps, strict=False) if step != now]
        new = [step.tool for step in after.plan.steps[size:]]
        asked = replan.confirmed or Counter(old) - Counter(pure=99) != Counter(new) - Counter(pure=99)
        must(not asked or seen.notes.unconfirmed, "a person is asked", f"{execution} goes on with {new} for {old}")

    def _acquired(self, _: Known, facts: Facts, seen: Seen, *call: Any) -> None:
        """Whoever got the lease had something to do."""
        _args, kwargs, answer = call
        if not isinstance(answer, Lease):
            return
        facts.stalled = answer.header.stalled
        header, segment = seen.header, kwargs["segment"]
        must(not 0 <= segment < header.segment, "a duplicate starts nothing", f"a message of segment {segment} got a lease")
        early = header.status is Status.SUSPENDED and seen.inbox == seen.seen and seen.wake_ms > self.now_ms
        must(not early, "nobody is woken in vain", f"{header.id} waits for {seen.wake_ms - self.now_ms} ms more")

    def _signalled(self, known: Known, facts: Facts, seen: Seen, *call: Any) -> None:
        _args, kwargs, answer = call
        if not isinstance(answer, Accepted):
            return
        facts.cancelled |= kwargs["kind"] in _STOPS
        facts.sent.add(kwargs["kind"])
        if kwargs["kind"] in {"pause", "resume", *_STOPS}:
            facts.paused = kwargs["kind"] == "pause"
        if kwargs["kind"] == "reject" and seen.status is Status.AWAITING_CONFIRMATION and seen.inbox == seen.seen + 1:
            facts.vetoed = True  # nothing that came before it says otherwise
        if kwargs["kind"] in {"skip", "settle", "callback"}:
            facts.supplied.add(str(kwargs["payload"].get("step", "")))
        known.signals[seen.inbox] = self.now_ms

    def _reopened(self, known: Known, facts: Facts, seen: Seen, *call: Any) -> None:
        if isinstance(call[-1], Reopened):
            facts.reopened = True
            known.status = seen.status

    def _committed(self, known: Known, facts: Facts, seen: Seen, *call: Any) -> None:
        """A commit counted: for the first time, that is, and not as a repeat of one that was answered before."""
        args, kwargs, answer = call
        if not isinstance(answer, Committed | Flags) or seen.ver == known.version:
            return
        lease, kept, going = args[0], kwargs["kept"], kwargs["going"]
        owner = known.owners.setdefault(lease.fence, lease.owner)
        must(owner == lease.owner, "one writer a fence", f"two owners wrote to {seen.header.id} under fence {lease.fence}")
        stored = isinstance(answer, Committed)
        for part in (kept, going.changes) if stored else (kept,):
            if part.header is not None:  # it may make two moves or three: it wakes, turns to undoing, and suspends
                self._move(known, facts, part.header.status)
        if stored and going.kind == "intents":
            self._intended(known, facts, seen, lease, going)

    def _intended(self, known: Known, facts: Facts, seen: Seen, lease: Lease, going: Going) -> None:
        layout = Layout(self._blueprints[seen.header.id].size, seen.notes.maps)
        changes: Changes = going.changes
        forward = [cell for cell in changes.intents if not layout.is_undo(cell)]
        stopped = forward and facts.cancelled
        asked = self.scenario.setting.confirm and seen.notes.parent is None  # whatever the engine says of itself
        unsigned = forward and (seen.notes.unconfirmed or (asked and "confirm" not in facts.sent))
        must(not unsigned, "nothing starts before the yes", f"cells {forward} of {seen.header.id} were intended")
        must(not stopped, "no start after a cancel", f"cells {forward} of {seen.header.id} were intended")
        must(not facts.paused or not changes.intents, "a pause is heard", f"{seen.header.id} starts {list(changes.intents)}")
        facts.intents |= {(one.key, one.attempt, one.probe, one.asked) for one in changes.intents.values()}
        known.starts[lease.fence] += len(changes.intents)
        most = self.scenario.setting.steps_per_message
        must(not most or known.starts[lease.fence] <= most, "steps a message", f"{seen.header.id} starts more than {most}")

    def _fresh(self, entry: Entry) -> None:
        """QStash swallows a repeated id for ten minutes. An entry that waits in the outbox is brought forward as it is."""
        known = self._entries.setdefault(entry.id, entry)
        fine = known == entry
        must(fine or self.forgetful, "every message has an id of its own", f"{entry.id} ({known.reason}, {entry.reason})")

    def _seen_soon(self, known: Known, seen: Seen) -> None:
        """One step boundary: as long as one invocation, if nothing goes wrong but calls."""
        for position in [position for position in known.signals if position <= seen.seen]:
            waited_ms = self.now_ms - known.signals.pop(position)
            must(waited_ms <= BOUNDARY_MS or not self.scenario.smooth, "a signal is seen soon", f"after {waited_ms} ms")

    def _moved(self, known: Known, facts: Facts, seen: Seen) -> None:
        self._move(known, facts, seen.status)
        if seen.over:
            fine = not seen.owner and seen.due_ms is None
            must(fine, "nothing terminal wakes", f"{seen.header.id} is over and still due")
        else:
            must(seen.due_ms is not None, "always due", f"{seen.header.id} is {seen.status} and nobody will look at it")

    def _move(self, known: Known, facts: Facts, target: Status) -> None:
        origin, known.status = known.status, target
        if origin is None or origin is target:
            return
        must(origin not in TERMINAL, "nothing terminal wakes", f"{origin} became {target}")
        facts.ended_ms = self.now_ms if target in TERMINAL else 0
        path = way(origin, target)
        must(path, "legal moves", f"{origin} became {target}")
        self.moves.update(pairwise(path))

    def _kept(self, known: Known, seen: Seen) -> None:
        for cell, text in known.results.items():
            same = seen.results.get(cell) == text
            must(same, "a result never changes", f"the result of cell {cell} was {text!r}, is {seen.results.get(cell)!r}")
        known.results = dict(seen.results)

    # calls

    def before_call(self, start: Start) -> None:
        """A call is about to be sent."""
        intent = start.intent
        execution, name, *_ = intent.key.split(".", 1)
        facts = self.facts.setdefault(execution, Facts(self.scenario))
        intended = (intent.key, intent.attempt, intent.probe, intent.asked)
        known = intended in facts.intents or self.forgetful
        must(known, "intent before the call", f"{intent.key} is called without a stored intent")
        late = self.now_ms - intent.sent_by_ms
        must(late <= SENT_LATE_MS, "nothing is sent after the lease", f"{intent.key} is sent {late} ms too late")
        facts.called.add(intended)
        self._calls[execution, intent.sent_by_ms] += 1
        many = self._calls[execution, intent.sent_by_ms]
        must(many <= self.scenario.setting.parallel, "calls at once", f"{execution} makes {many} calls at once")
        for key, most in self._limits(start):
            self._limited[key] += 1
            must(self._limited[key] <= most, "limits", f"{self._limited[key]} calls under {key}, which takes {most}")
        if intent.key.endswith(".undo"):
            facts.undo_starts.append(name.removesuffix(".undo").rpartition(".")[0])

    def _limits(self, start: Start) -> list[tuple[str, int]]:
        """What it counts under while it runs: of a step's own calls, not of its undo."""
        execution, name, *_ = start.intent.key.split(".")
        blueprint = self._blueprints.get(execution)
        if blueprint is None or start.intent.key.endswith(".undo") or start.intent.probe:
            return []
        step = blueprint.plan.steps[blueprint.index[name]]
        return [(limit.key, limit.most) for limit in step.limits if not limit.per_ms]

    def call_ended(self, start: Start) -> None:
        """Its caller waits no longer, or is dead."""
        self._calls[start.intent.key.split(".", 1)[0], start.intent.sent_by_ms] -= 1
        for key, _ in self._limits(start):
            self._limited[key] -= 1

    def told(self, start: Start, outcome: Outcome) -> None:
        """What a caller was told."""
        execution = start.intent.key.split(".", 1)[0]
        if isinstance(outcome, Unanswered):
            self.facts[execution].unanswered.add(start.intent.key)
        if isinstance(outcome, Refused) and not outcome.retryable:
            self.facts[execution].refused.add(start.intent.key)

    # failover

    def remember(self) -> bytes:
        """All that is tied to the record's history."""
        said = {execution: (facts.cancelled, facts.paused) for execution, facts in self.facts.items()}
        return pickle.dumps((self._known, said))

    def forget(self, then: bytes) -> None:
        """The record is what it was: so is what may be asked of it."""
        self._known, said = pickle.loads(then)  # noqa: S301 - our own bytes
        if not self.scenario.setting.strict:  # otherwise an accepted cancel is durable
            self.forgetful = True
            for execution, facts in self.facts.items():
                facts.cancelled, facts.paused = said.get(execution, (False, False))

    # at rest

    def resting(self, execution: str) -> bool:
        """Whether nothing more happens by itself: terminal, or a wait that only a person ends."""
        seen = peek.record(self.memory, execution)
        if seen is None:
            return self.forgetful
        if seen.over:
            return True
        if seen.inbox != seen.seen or seen.owner or (seen.timed and not _reminds(seen)):
            return False
        if seen.status is Status.SUSPENDED and seen.header.reason is Reason.CHILD:
            if self.forgetful:  # its child, or the news of it, may be what was forgotten
                return True
            return any(self._rests_open(hold.child) for _, hold in seen.waiting() if hold.child)
        waits = seen.status is Status.SUSPENDED and seen.header.reason in _PERSONS
        return waits or seen.status in {Status.PAUSED, Status.AWAITING_CONFIRMATION}

    def _rests_open(self, child: str) -> bool:
        seen = peek.record(self.memory, child)
        return seen is not None and not seen.over and self.resting(child)

    def finish(self, execution: str) -> str:
        """Judge one execution; what it came to, for the statistics."""
        seen = peek.record(self.memory, execution)
        if seen is None:
            must(self.forgetful, "lost", f"{execution} was accepted and is gone")
            return "forgotten"
        facts = self.facts[execution]
        facts.now_ms = self.now_ms
        case = Case(seen, self._blueprints[execution], facts, self.town, self._children(seen))
        if self.forgetful:
            verdicts.consistent(case)
        else:
            verdicts.judge(case)
        waits = "" if seen.over else f" ({seen.header.reason or 'a person'})"
        return f"{seen.status}{waits}"

    def _children(self, seen: Seen) -> dict[str, Seen]:
        found: dict[str, Seen] = {}
        for part in peek.parts(seen, self._blueprints[seen.header.id]):
            generation = seen.notes.generations.get(part.name, 1)
            child = peek.record(self.memory, child_id(seen.header.id, part.name, generation)) if part.step.child else None
            if child is not None:
                found[part.name] = child
        return found

    def ended(self, execution: str) -> Ended:
        """Where an execution stands now, for people."""
        seen = peek.record(self.memory, execution)
        if seen is None:
            return Ended(status="forgotten", cause="", reason="", outputs={}, undone=[])
        steps = [part for part in peek.parts(seen, self._blueprints[execution]) if "." not in part.name]
        return Ended(
            status=str(seen.status),
            cause=str(seen.header.cause),
            reason=str(seen.header.reason),
            outputs={part.name: wire.result(seen.results[part.cell]).output for part in steps if part.cell in seen.results},
            undone=[part.name for part in steps if part.undo is Cell.DONE],
        )


_CHECKS: Final[dict[str, Callable[..., None]]] = {
    "acquire": Oracle._acquired,  # noqa: SLF001 - the checks of this module
    "signal": Oracle._signalled,  # noqa: SLF001
    "reopen": Oracle._reopened,  # noqa: SLF001
    "begin": Oracle._committed,  # noqa: SLF001
    "commit": Oracle._committed,  # noqa: SLF001
}
"""What is looked at behind which command, beside what is looked at behind all."""


def _reminds(seen: Seen) -> bool:
    """Whether it wakes only to remind a person."""
    holds = [hold for _, hold in seen.waiting()]
    asked = any(hold.kind is Reason.APPROVAL and hold.remind_ms for hold in holds)
    return seen.header.reason is Reason.APPROVAL and asked and not any(hold.until_ms for hold in holds)


def _entries_of(answer: Any) -> list[Entry]:
    """Messages that a command put into the outbox."""
    if isinstance(answer, Entry):
        return [answer]
    entry = answer.entry if isinstance(answer, Created | Committed | Accepted | NoLease | Reopened) else None
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
