"""One execution, played move by move: segments, answers and signals as a test writes them, on a record that keeps the rules.

What is decided from the working copy is decided once more from the stored record alone: the two must agree.
"""

from typing import Any

import msgspec

from shared.machine import plan as plans
from shared.machine.accept import Limits, accept
from shared.machine.decide import decide
from shared.machine.decision import (
    Changes,
    Decision,
    End,
    Leave,
    Line,
    Load,
    Next,
    Start,
    StartSteps,
    Suspend,
    Take,
    Wait,
    apply,
    merge,
)
from shared.machine.events import Attempted, Done, Event, Outcome, Report, Room, Signalled, Ticked, Woke
from shared.machine.plan import Blueprint, PlanDraft
from shared.machine.state import Execution, Hold, Notes
from shared.machine.status import Cell, Status
from tests.machine.support import LEASE_MS, NOW, TOOLS, header
from tests.machine.world import Broken, Record

LIMITS = Limits(steps=20_000, argument_bytes=1_000_000, step_ms=8_000)


def compiled(*steps: dict[str, Any], inner: bool = False, **plan: Any) -> Blueprint:
    """An accepted plan as a caller writes it, compiled. `inner`: it is a child's."""
    written = {"steps": list(steps)} | plan
    draft = msgspec.convert({"steps": [{"name": "c", "child": written}]} if inner else written, PlanDraft)
    found = accept(draft, contracts=TOOLS, check_args=lambda *_: iter(()), limits=LIMITS)
    return Blueprint(plans.encode((inner and found.steps[0].child) or found))


def call(name: str, tool: str = "idem", **more: Any) -> dict[str, Any]:
    """A step that calls."""
    return {"name": name, "tool": tool} | more


class Play:
    """Moves return where the execution stands then: `EXECUTING`, `SUSPENDED sleep`, `COMPLETED`."""

    def __init__(
        self,
        *steps: dict[str, Any],
        notes: Notes | None = None,
        deadline_ms: int = 0,
        status: Status = Status.PLANNED,
        **plan: Any,
    ) -> None:
        self.plan = compiled(*steps, inner=bool(notes and notes.parent), **plan)
        self.record = Record(header(status, deadline_ms=deadline_ms), self.plan)
        self.record.notes = notes or Notes()
        self.now_ms = self.began_ms = NOW
        self.room: dict[str, Any] = {"parallel": 100}
        self.calls: dict[str, Start] = {}
        self.per_message = 0
        self.started: list[Start] = []
        self.here = 0
        self.next: Next = Wait()
        self.x: Execution = self.record.load()
        self.pending = Changes()

    # moves

    def wake(self, after_ms: int = 0) -> str:
        """A new owner, some time later; calls of the one before are nobody's."""
        self.now_ms += after_ms
        self.began_ms = self.now_ms
        self.calls.clear()
        self.here = 0
        self.pending = Changes()
        self.x = self.record.load()
        return self._go(Woke(now_ms=self.now_ms, room=self._room(), signals=self.record.unseen()))

    def tell(self, kind: str, **payload: Any) -> "Play":
        """A signal comes in, and is found by the next move."""
        self.record.tell(kind, payload)
        return self

    def answer(self, outcomes: dict[str, Outcome], after_ms: int = 10) -> str:
        """Calls end."""
        self.now_ms += after_ms
        reports = [
            Report(cell=self.calls.pop(name).cell, outcome=outcome, started_ms=self.now_ms - after_ms, ended_ms=self.now_ms)
            for name, outcome in outcomes.items()
        ]
        return self._go(Attempted(now_ms=self.now_ms, room=self._room(), reports=tuple(reports)))

    def finish(self) -> str:
        """Every call ends well, one after the other, until nothing runs."""
        while self.calls:
            self.answer({name: Done(output={"of": name}) for name in list(self.calls)[:1]})
        return self.stands

    def tick(self, after_ms: int = 0) -> str:
        """Time passes within the invocation."""
        self.now_ms += after_ms
        return self._go(Ticked(now_ms=self.now_ms, room=self._room()))

    # what came of it

    @property
    def stands(self) -> str:
        """Status and reason."""
        head = self.record.header
        return " ".join(part for part in (head.status.value, head.reason.value) if part)

    @property
    def cells(self) -> str:
        """Every cell of the record."""
        return self.record.cells.decode()

    def cell(self, name: str) -> str:
        """Where a step, an item, or with a minus before it its undo, stands."""
        layout = self.record.load().layout
        found = self.record.load().cell_of(name.removeprefix("-"))
        assert found is not None
        return Cell(chr(self.record.cells[layout.undo_of(found) if name.startswith("-") else found])).name

    def output(self, name: str) -> Any:
        """What a step gave."""
        found = self.record.load().cell_of(name)
        assert found is not None
        return self.record.results[found].output

    def code(self, name: str) -> str:
        """How a step failed."""
        found = self.record.load().cell_of(name)
        assert found is not None
        return self.record.faults[found].code

    def hold(self, name: str) -> Hold:
        """What a step waits for."""
        found = self.record.load().cell_of(name)
        assert found is not None
        return self.record.holds[found]

    def lines(self, event: str) -> list[Line]:
        """What the history says of one kind."""
        return [line for line in self.record.history if line.event == event]

    @property
    def running(self) -> list[str]:
        """Names of the calls on the wire; an undo with a minus before it."""
        return list(self.calls)

    def commands(self, kind: str) -> list[str]:
        """What other partitions are told."""
        return [command.id for command in self.record.commands.values() if command.kind == kind]

    # one move

    def _room(self) -> Room:
        ends = {"checkpoint_ms": 7_500, "cutoff_ms": 8_000, "lease_ms": LEASE_MS}
        known: dict[str, Any] = {name: self.began_ms + after for name, after in ends.items()}
        left = self.per_message - self.here if self.per_message else None
        return Room(**(known | {"started": self.here, "starts_left": left} | self.room))

    def _go(self, event: Event) -> str:
        while True:
            decision = self._decide(event)
            match decision.next:
                case Load() | Take():
                    event = self._load(decision)
                    continue
            kept = merge(self.pending, decision.kept)
            self.pending = Changes()
            self.record.write(kept)
            apply(self.x, decision.kept)
            flags = () if isinstance(decision.next, Wait) else self.record.unseen()
            if not flags:
                return self._follow(decision.next)
            event = Signalled(now_ms=self.now_ms, room=self._room(), signals=flags)

    def _follow(self, following: Next) -> str:
        self.next = following
        if isinstance(following, StartSteps | Leave | Suspend | End):
            self.record.write(following.changes)
            apply(self.x, following.changes)
        if isinstance(following, Leave | Suspend | End):
            assert not self.calls, "left while calls were running"
            self.record.raise_segment()
        if isinstance(following, StartSteps):
            self.started += following.starts
            self.here += len(following.starts)
            self.calls |= {f"{'-' * self.x.layout.is_undo(one.cell)}{one.step}": one for one in following.starts}
        return self.stands

    def _decide(self, event: Event) -> Decision:
        decision = decide(self.x, event)
        again = self.record.load(self.x.results)
        again.order, again.letters, again.slots = self.x.order, dict(self.x.letters), self.x.slots
        apply(again, self.pending)
        if decide(again, event) != decision:
            raise Broken("the stored record alone decides otherwise")
        return decision

    def _load(self, decision: Decision) -> Event:
        self.pending = merge(self.pending, decision.kept)
        apply(self.x, decision.kept)
        wanted = decision.next
        if isinstance(wanted, Load):
            assert set(wanted.results) - set(self.x.results) or wanted.order or wanted.letters, "asked for what is at hand"
            fresh = self.record.results | self.pending.results
            self.x.results |= {cell: fresh[cell].output for cell in wanted.results}
            self.x.letters |= self.record.letters(wanted.letters)
            if wanted.order:
                self.x.order = {cell: fresh[cell].ended_ms for cell in wanted.order if cell in fresh}
        return Ticked(now_ms=self.now_ms, room=self._room())
