"""What is remembered of one execution. The record holds more; this is what deciding needs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shared.machine.plan import Blueprint
from shared.machine.status import OVER, Cause, Cell, Phase, Reason, Status


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The execution as a whole. Times are unix milliseconds by the store's clock."""

    id: str
    tenant: str
    plan: str
    """Hash of the plan."""
    status: Status
    phase: Phase = Phase.FORWARD
    reason: Reason = Reason.NONE
    cause: Cause = Cause.NONE
    segment: int = 0
    created_ms: int = 0
    deadline_ms: int = 0
    """When the whole execution times out; 0 = never."""
    stalled: int = 0
    """Segments begun since something last came of one."""
    trace: str = ""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded before a call: from now on the effect may exist."""

    attempt: int
    key: str
    args: dict[str, Any]
    args_hash: str
    at_ms: int
    sent_by_ms: int
    """After this moment its owner no longer sends."""
    settle_at_ms: int
    """From this moment the request has happened or never will."""
    probe: bool = False
    """It asks whether the attempt happened, and changes nothing."""
    asked: int = 0
    """Probes of this attempt, with this one."""
    doubt: bool = False
    """An earlier attempt may have had an effect."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """How the latest attempt of a cell failed, and when it is tried again."""

    attempt: int
    code: str
    message: str
    at_ms: int
    retry_at_ms: int = 0
    asked: int = 0
    """Probes of this attempt so far."""
    doubt: bool = False
    """The effect may exist although nobody answered so: it must be undone by key."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave. Stored once, never changed."""

    output: Any
    attempt: int
    started_ms: int
    ended_ms: int


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Something that arrived from outside, in the order of arrival."""

    position: int
    kind: str
    payload: Any = None
    at_ms: int = 0


_BUSY = re.compile(rb"[ibs]")
_OPEN = re.compile(rb"[ribsu]")


class Execution:
    """A segment's working copy. `decide` reads it; only `apply` (decision.py) writes it, and no faster than O(change)."""

    __slots__ = (
        "backoff",
        "blueprint",
        "cells",
        "done",
        "faults",
        "header",
        "intents",
        "lane",
        "order",
        "results",
        "running",
        "seen",
        "settling",
        "undoing",
        "unmet",
    )

    def __init__(
        self,
        *,
        header: Header,
        blueprint: Blueprint,
        cells: bytes,
        intents: Mapping[int, Intent] | None = None,
        faults: Mapping[int, Fault] | None = None,
        results: Mapping[int, Any] | None = None,
        seen: int = 0,
    ) -> None:
        """`cells`: 2n status bytes. `intents` and `faults` of the busy cells; `results` as far as they were loaded."""
        self.header = header
        self.blueprint = blueprint
        self.cells = bytearray(cells)
        self.intents = dict(intents or {})
        self.faults = dict(faults or {})
        self.results = dict(results or {})
        self.seen = seen
        self.order: dict[int, int] | None = None
        """When done effects completed, unix ms; None until asked for (only undoing needs it)."""
        size = blueprint.size
        self.done = self.cells.count(b"d", 0, size)
        """How many steps of the plan are done."""
        self.undoing = dict.fromkeys(found.start() for found in _OPEN.finditer(self.cells, size))
        """Undo cells that are asked for and not over."""
        self.running: dict[int, None] = {}
        self.backoff: dict[int, None] = {}
        self.settling: dict[int, None] = {}
        for found in _BUSY.finditer(self.cells):
            self._index(Cell(found[0].decode()))[found.start()] = None
        self.unmet: dict[int, int] = {}
        """Memo of `decide`: open needs of joins, counted when first touched."""
        self.lane: list[int] | None = None
        """Memo of `decide`: open undo cells, the next one last; sorted once the order is known."""

    def cell(self, cell: int) -> Cell:
        """Where a cell stands."""
        return Cell(chr(self.cells[cell]))

    def ready(self) -> Iterator[int]:
        """Steps that are READY, in the plan's order whatever happened before: a search through bytes, 1 µs for 10,000."""
        size = self.blueprint.size
        at = self.cells.find(b"r", 0, size)
        while at >= 0:
            yield at
            at = self.cells.find(b"r", at + 1, size)

    def move(self, cell: int, target: Cell) -> None:
        """Put a cell elsewhere and keep the indexes true. For `apply` only."""
        origin = self.cell(cell)
        self._index(origin).pop(cell, None)
        self.cells[cell] = ord(target.value)
        self._index(target)[cell] = None
        if self.blueprint.is_undo(cell):
            self._note_undo(cell, target)
        else:
            self.done += (target is Cell.DONE) - (origin is Cell.DONE)

    def _note_undo(self, cell: int, target: Cell) -> None:
        if target in OVER:
            self.undoing.pop(cell, None)
        else:
            self.undoing[cell] = None

    def _index(self, cell: Cell) -> dict[int, None]:
        match cell:
            case Cell.INTENDED:
                return self.running
            case Cell.BACKOFF:
                return self.backoff
            case Cell.SETTLING:
                return self.settling
            case _:
                return {}

    def key_of(self, cell: int) -> str:
        """The effect key: it never changes with the attempt. An undo's key is the effect's with `.undo`."""
        name = f"{self.header.id}.{self.blueprint.step(cell).name}.1"
        return f"{name}.undo" if self.blueprint.is_undo(cell) else name
