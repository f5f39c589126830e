"""The world of `world.py`, wider: people, events, callbacks and children act in it, and steps of every kind run in it.

Nobody leaves it waiting: whoever is waited for acts in the end, so that every run comes to a terminal status.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec

from shared.machine.decision import Decision, StartSteps, Suspend
from shared.machine.events import Accepted, Outcome
from shared.machine.plan import Blueprint, Contract, Effect, Undo
from shared.machine.state import Layout
from shared.machine.status import OVER, TERMINAL, Cell, Phase, Reason, Status
from tests.machine.world import Broken, Call, Faults, Run, Setting, Town, is_undo

TAKEN_OVER = ("taken over", "taken over, refused", "taken over, silent", "taken over, late")
HOUR = 3_600_000
ANSWERS = ("yes", "yes", "yes", "other arguments", "no")
ENDS = (Status.COMPLETED, Status.COMPLETED, Status.COMPLETED, Status.FAILED, Status.COMPENSATED, Status.COMPENSATION_FAILED)
UNDONE = (Status.COMPENSATED, Status.COMPENSATED, Status.COMPENSATION_FAILED)


class People(NamedTuple):
    """What others do. Words are (moment, kind, step): said between two of the run's steps, whether they fit or not."""

    words: tuple[tuple[int, str, str], ...] = ()
    answers: tuple[str, ...] = ()
    """Of whoever is asked for approval, in order; yes from then on."""
    ends: tuple[Status, ...] = ()
    """Of children, in the order in which they end; COMPLETED from then on."""
    undone: tuple[Status, ...] = ()
    """Of children that are told to undo themselves; COMPENSATED from then on."""
    took_ms: int = 50


class WideTown(Town):
    """Knows every key that it is sent: of items, and of later generations, too."""

    def __init__(self, blueprint: Blueprint, execution: str) -> None:
        super().__init__(blueprint, execution)
        self._blueprint = blueprint
        self.contracts = _Contracts(blueprint, execution)

    def take_back(self, key: str) -> None:
        """An undo by another tool leaves the key as it was: an idempotent tool still knows it, and does nothing twice."""
        super().take_back(key)
        if self.contracts[key].effect is Effect.IDEMPOTENT and self._undone_by_call(key):
            self.tombstones.add(key)

    def _undone_by_call(self, key: str) -> bool:
        name = key.split(".")[1]
        return self._blueprint.undo_of(self._blueprint.index[name]) is Undo.CALL


class _Contracts(dict[str, Contract]):
    def __init__(self, blueprint: Blueprint, execution: str) -> None:
        super().__init__()
        self._blueprint, self._head = blueprint, f"{execution}."

    def __missing__(self, key: str) -> Contract:
        name = key.removeprefix(self._head).split(".")[0]
        return self._blueprint.contract(self._blueprint.index[name])


class Kid(NamedTuple):
    """A child execution."""

    payload: dict[str, Any]
    status: Status


class WideRun(Run):
    """One execution, with everybody who has to do with it."""

    def __init__(self, blueprint: Blueprint, faults: Faults, setting: Setting, people: People) -> None:
        super().__init__(blueprint, faults, setting)
        self.people = people
        self.answers: Iterator[str] = iter(people.answers)
        self.ends: Iterator[Status] = iter(people.ends)
        self.undone: Iterator[Status] = iter(people.undone)
        self.posts: list[tuple[int, int, Callable[[], None]]] = []
        self.kids: dict[str, Kid] = {}
        self.carried: set[str] = set()
        self.suspended: Suspend | None = None
        self.asked = 0

    def _town(self, execution: str) -> Town:
        return WideTown(self.blueprint, execution)

    # what happens outside

    def _tick(self) -> None:
        for moment, kind, step in self.people.words:
            if moment == self.moment + 1 and self.record.header.status not in TERMINAL:
                self._say(kind, step)
        super()._tick()

    def _say(self, kind: str, step: str) -> None:
        cell = self.record.load().cell_of(step)
        hold = self.record.holds.get(cell) if cell is not None else None
        known = {"args_hash": hold.args_hash if hold else "", "args": {"by": "hand"}, "output": {"n": 0}, "data": {"n": 1}}
        name = {"name": "e0" if step in "ace" else "e1"}
        self.record.tell(kind, {"step": step, "actor": "ann"} | known | name)

    def _post(self, after_ms: int, act: Callable[[], None]) -> None:
        self.posts.append((self.now_ms + after_ms, len(self.posts), act))

    def _at(self, now_ms: int) -> None:
        for post in sorted(post for post in self.posts if post[0] <= now_ms):
            self.posts.remove(post)
            post[2]()
        super()._at(now_ms)

    def _outcome(self, call: Call) -> Outcome:
        if call.fate not in TAKEN_OVER:
            return super()._outcome(call)
        start, key = call.start, call.start.intent.key
        if start.intent.probe:
            return self._well(start)
        if is_undo(start):
            self.town.take_back(key.removesuffix(".undo"))
            return Accepted()
        refused = call.fate == "taken over, refused"
        if not refused:
            self.town.land(key)
        if call.fate != "taken over, silent":
            said = {"step": start.step} | ({"error": "no"} if refused else {"data": {"n": start.cell}})
            after = 2 * HOUR if call.fate == "taken over, late" else self.people.took_ms
            self._post(after, lambda: self._heard("callback", said))
        return Accepted()

    def _heard(self, kind: str, said: dict[str, Any]) -> None:
        if self.record.header.status not in TERMINAL:
            self.record.tell(kind, said)

    # commands

    def _commit(self, decision: Decision) -> Any:
        flags = super()._commit(decision)
        for command in [one for one in self.record.commands.values() if one.id not in self.carried]:
            self.carried.add(command.id)
            kid = self.kids.get(command.to)
            match command.kind:
                case "create_child" if kid is None:
                    self.kids[command.to] = Kid(command.payload, Status.EXECUTING)
                    self._post(self.people.took_ms, partial(self._kid_ends, command.to, next(self.ends, Status.COMPLETED)))
                case "cancel_child" if kid is not None and kid.status is Status.EXECUTING:
                    self._post(self.people.took_ms // 2, partial(self._kid_ends, command.to, Status.CANCELLED))
                case "undo_child":
                    if kid is None or kid.status not in {Status.COMPLETED, Status.COMPENSATION_FAILED}:
                        raise Broken("a child that did nothing is told to undo itself")
                    self.kids[command.to] = kid._replace(status=Status.COMPENSATING)
                    self._post(self.people.took_ms, partial(self._kid_ends, command.to, next(self.undone, Status.COMPENSATED)))
                case _:
                    pass
        return flags

    def _kid_ends(self, name: str, status: Status) -> None:
        kid = self.kids[name]
        if kid.status in TERMINAL:
            return
        self.kids[name] = kid._replace(status=status)
        said = {key: kid.payload[key] for key in ("step", "generation")}
        self._heard("child", said | {"status": status.value, "output": {"n": 1}})

    # between segments

    def _suspended(self, going: Suspend) -> int:
        if going.wake_at_ms <= self.now_ms:
            raise Broken("a wait that is over before it begins")
        self.suspended = going
        return going.wake_at_ms

    def _segment(self) -> None:
        self.suspended = None
        super()._segment()

    def _rest(self, wake_ms: int) -> None:
        while not self.record.unseen() and self.record.header.status not in TERMINAL and not self.stop:
            first = min((post[0] for post in self.posts), default=None)
            untimed = self.suspended is not None and not self.suspended.timed
            if first is not None and (untimed or first <= wake_ms):
                self._at(max(first, self.now_ms))
            elif not untimed and not self._patience_is_up():
                self._at(max(wake_ms, self.now_ms))
                return
            else:
                self._help()

    def _patience_is_up(self) -> bool:
        """Whoever is only reminded answers in the end."""
        self.asked += self.record.header.reason is Reason.APPROVAL
        return self.asked > 3 and self.record.header.reason is Reason.APPROVAL

    def _help(self) -> None:
        """Whoever is waited for acts."""
        head = self.record.header
        if head.status is Status.PAUSED:
            self.record.tell("resume")
            return
        match head.reason:
            case Reason.UNDELIVERABLE:
                self.stop = head.reason
            case Reason.APPROVAL:
                self._answer()
            case Reason.EVENT:
                name, key = self._held(Reason.EVENT)[1].events[0]
                self.record.tell("event", {"name": name, "key": key, "data": {"n": 1}})
            case Reason.CALLBACK:
                self.record.tell("callback", {"step": self._held(Reason.CALLBACK)[0], "data": {"n": 1}})
            case Reason.UNKNOWN_EFFECT:
                self._settle()
            case _:
                raise Broken(f"nobody ends this wait: {head.reason}")

    def _held(self, kind: Reason) -> tuple[str, Any]:
        x = self.record.load()
        for cell in x.waiting:
            if x.holds[cell].kind is kind:
                return x.name_of(cell), x.holds[cell]
        raise Broken(f"nothing waits for {kind}")

    def _answer(self) -> None:
        name, hold = self._held(Reason.APPROVAL)
        answer = next(self.answers, "yes")
        said = {"step": name, "args_hash": hold.args_hash, "actor": "ann"}
        more = {"args": {"by": "hand"}} if answer == "other arguments" else {}
        self.record.tell("reject" if answer == "no" else "approve", said | more)

    def _settle(self) -> None:
        """A person looks, when nothing can land any more, and says what is so."""
        self._at(self.now_ms + 100_000)
        x = self.record.load()
        unknown = [cell for start, end in x.layout.forward() for cell in range(start, end) if x.cell(cell) is Cell.UNKNOWN]
        if not unknown:
            raise Broken("nobody knows what is not known")
        for cell in unknown:
            self.record.tell("settle", {"step": x.name_of(cell), "happened": stands(self, cell) > 0, "output": {"n": cell}})

    def _check_next(self, decision: Decision) -> None:
        super()._check_next(decision)
        if isinstance(decision.next, StartSteps):
            layout = Layout(self.blueprint.size, (decision.next.changes.notes or self.record.notes).maps)
            cells = [call.start.cell for call in self.calls] + [start.cell for start in decision.next.starts]
            for region in layout.regions:
                each = self.blueprint.plan.steps[region.step].map
                running = sum(region.start <= cell < region.start + region.count for cell in cells)
                if each is not None and running > each.concurrency:
                    raise Broken("more items at once than the map allows")


def stands(run: WideRun, cell: int) -> int:
    """How often the effect of a forward cell is in the world now."""
    x = run.record.load()
    step = run.blueprint.plan.steps[x.layout.step(cell)]
    if step.child:
        mine = [kid for kid in run.kids.values() if kid.payload["step"] == step.name]
        return sum(kid.status in {Status.COMPLETED, Status.COMPENSATION_FAILED, Status.EXECUTING} for kid in mine)
    if not step.tool:
        return 0
    head = f"{x.header.id}.{x.name_of(cell)}."
    return sum(count for key, count in run.town.stands.items() if key.startswith(head) and key.removeprefix(head).isdigit())


def check_wide(run: WideRun) -> None:
    """What must hold when everything has come to rest."""
    record = run.record
    x = record.load()
    for start, end in x.layout.forward():
        for cell in range(start, end):
            _check_cell(run, cell, stands(run, cell))
    for key, landed in run.town.landed.items():
        if run.town.contracts[key].effect in {Effect.UNSAFE, Effect.PROBEABLE} and landed > 1:
            raise Broken(f"{key} happened {landed} times")
    if record.header.status in TERMINAL and record.header.phase is Phase.UNDO:
        undos = [x.cell(x.layout.undo_of(cell)) for start, end in x.layout.forward() for cell in range(start, end)]
        if any(cell not in OVER for cell in undos):
            raise Broken("ended while an undo was open")
    _check_order(run)


def _check_cell(run: WideRun, cell: int, there: int) -> None:
    record = run.record
    x = record.load()
    step, where, undo = run.blueprint.plan.steps[x.layout.step(cell)], x.cell(cell), x.cell(x.layout.undo_of(cell))
    name, status = x.name_of(cell), record.header.status
    whole_map = step.map is not None and cell < run.blueprint.size
    supplied = cell in record.notes.supplied
    if status is Status.COMPLETED:
        effect = step.child is not None or run.blueprint.contract(x.layout.step(cell)).effect is not Effect.PURE
        expected = where is Cell.DONE and effect and bool(step.tool or step.child) and not supplied and not whole_map
        if there != expected:
            raise Broken(f"completed, and {name} ({where.name}) stands {there} times")
        if where in {Cell.UNKNOWN, Cell.INTENDED, Cell.SETTLING, Cell.WAITING}:
            raise Broken(f"completed, and {name} is {where.name}")
    elif status in TERMINAL and there and not record.notes.no_undo:
        agreed = step.undo is not None and step.undo.leave
        told = undo is Cell.LEFT and (agreed or status is Status.COMPENSATION_FAILED)
        if not told and not (undo is Cell.FAILED and status is Status.COMPENSATION_FAILED):
            raise Broken(f"{status}, and {name} ({where.name}, undo {undo.name}) stands")
    if undo is Cell.DONE and (where in {Cell.FAILED, Cell.SKIPPED, Cell.IDLE, Cell.READY} or supplied):
        raise Broken(f"{name} never happened and was undone")


def _check_order(run: WideRun) -> None:
    first = list(dict.fromkeys(run.undo_starts))
    times = [run.record.results[cell].ended_ms if cell in run.record.results else float("inf") for cell in first]
    if times != sorted(times, reverse=True):
        raise Broken(f"undone in the order {first}, which is not the reverse of the order of completion")


def same_bytes(value: Any) -> bytes:
    """For comparing whole histories."""
    return msgspec.msgpack.encode(value)
