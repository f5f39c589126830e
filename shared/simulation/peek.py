"""What the oracle may see of the store in memory, and the engine may not."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from shared.machine.plan import Blueprint, Contract, Step, Undo
from shared.machine.state import Fault, Header, Hold, Layout, Notes
from shared.machine.status import TERMINAL, Cell, Status
from shared.memory import MemoryStore
from shared.memory_events import MemoryEvents
from shared.memory_slots import MemorySlots
from shared.ports import MESSAGE
from shared.redisdb import keys, wire


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A record, as it stands now."""

    header: Header
    cells: bytes
    results: dict[int, bytes]
    ended_ms: dict[int, int]
    ver: int
    fence: int
    owner: str
    inbox: int
    seen: int
    timed: bool
    wake_ms: int
    due_ms: int | None
    notes_text: bytes
    holds_text: dict[int, bytes]
    faults_text: dict[int, bytes]
    plan: bytes

    @property
    def status(self) -> Status:
        """Where the execution stands."""
        return self.header.status

    @property
    def over(self) -> bool:
        """Whether it is terminal."""
        return self.status in TERMINAL

    @cached_property
    def notes(self) -> Notes:
        """Its notes."""
        return wire.notes(self.notes_text) if self.notes_text else Notes()

    def hold(self, cell: int) -> Hold | None:
        """What a waiting cell waits for."""
        return wire.hold(self.holds_text[cell]) if cell in self.holds_text else None

    def waiting(self) -> Iterator[tuple[int, Hold]]:
        """Cells that wait, with what they wait for."""
        for cell, where in enumerate(self.cells):
            if where == ord("w") and (hold := self.hold(cell)) is not None:
                yield cell, hold

    def fault(self, cell: int) -> Fault | None:
        """How its latest attempt failed."""
        return wire.fault(self.faults_text[cell]) if cell in self.faults_text else None


@dataclass(frozen=True)
class Part:
    """One forward cell with all that is known of it: a step, or an item of a map."""

    cell: int
    name: str
    key: str
    step: Step
    contract: Contract
    undo_kind: Undo
    where: Cell
    undo: Cell

    @property
    def calls(self) -> bool:
        """Whether it is a call of a tool itself (the step of a map is none: its items are)."""
        return bool(self.step.tool) and (not self.step.map or "." in self.name)


def parts(seen: Seen, blueprint: Blueprint) -> Iterator[Part]:
    """Every forward cell: the plan's, then the items of its maps."""
    layout = Layout(blueprint.size, seen.notes.maps)
    for start, end in layout.forward():
        for cell in range(start, end):
            number, item = layout.step(cell), layout.item(cell)
            step = blueprint.plan.steps[number]
            name = step.name if item < 0 else f"{step.name}.{item}"
            yield Part(
                cell=cell,
                name=name,
                key=f"{seen.header.id}.{name}.{seen.notes.generations.get(name, 1)}",
                step=step,
                contract=blueprint.contract(number),
                undo_kind=blueprint.undo_of(number),
                where=Cell(chr(seen.cells[cell])),
                undo=Cell(chr(seen.cells[layout.undo_of(cell)])),
            )


def record(memory: MemoryStore, execution: str) -> Seen | None:
    """The record of an execution; None if there is none."""
    found = memory._records.get(execution)  # noqa: SLF001 - this module is the one that looks inside
    if found is None:
        return None
    part = memory._partitions[keys.partition_of(execution)]  # noqa: SLF001
    return Seen(
        header=found.header,
        cells=bytes(found.cells),
        results=found.results,
        ended_ms=found.order,
        ver=found.ver,
        fence=found.fence,
        owner=found.owner,
        inbox=len(found.inbox),
        seen=found.seen,
        timed=found.timed,
        wake_ms=found.wake_ms,
        due_ms=part.due.at(execution),
        notes_text=found.notes,
        holds_text=found.holds,
        faults_text=found.faults,
        plan=found.plan,
    )


def executions(memory: MemoryStore) -> list[str]:
    """All there are, children too, in the order of their birth."""
    return list(memory._records)  # noqa: SLF001


def commands_open(memory: MemoryStore) -> bool:
    """Whether one execution still wants something of another."""
    found = memory._partitions.values()  # noqa: SLF001
    return any(entry.kind != MESSAGE for part in found for entry in part.entries.values())


def anything_due(memory: MemoryStore, events: MemoryEvents, slots: MemorySlots, now_ms: int) -> bool:
    """Whether a round of the watchdog would find something."""
    found = memory._partitions.values()  # noqa: SLF001
    if any(part.due.until(now_ms, 1) or part.relay.until(now_ms, 1) for part in found):
        return True
    if any(at <= now_ms for some in events._pending.values() for at in some.values()):  # noqa: SLF001
        return True
    grants = (at for some in slots._grants.values() for at, _ in some.values())  # noqa: SLF001
    held = (until for line in slots._lines.values() if line.queue for until in line.holders.values())  # noqa: SLF001
    nobody = any(line.queue and not line.holders for line in slots._lines.values())  # noqa: SLF001
    return nobody or any(at <= now_ms for at in grants) or any(until <= now_ms for until in held)
