"""What is remembered of one execution. The record holds more; this is what deciding needs."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.machine.plan import Blueprint
from shared.machine.status import Cause, Cell, Phase, Reason, Status


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
    doubt: bool = False
    """An earlier attempt may have had an effect."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """How the latest attempt of a cell failed, and when it is tried again."""

    attempt: int
    code: str
    message: str
    at_ms: int
    retry_at_ms: int = 0
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


_BUSY = re.compile(rb"[ibsu]")
_READY = re.compile(rb"r")


class Execution:
    """A segment's working copy. `decide` reads it; only `apply` (changes.py) writes it, and no faster than O(change)."""

    __slots__ = (
        "backoff",
        "blueprint",
        "cells",
        "faults",
        "header",
        "intents",
        "order",
        "ready",
        "results",
        "running",
        "seen",
        "settling",
        "unknown",
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
        """Completion numbers of done effects; None until asked for (only undoing needs them)."""
        self.ready = dict.fromkeys(found.start() for found in _READY.finditer(self.cells))
        self.running: dict[int, None] = {}
        self.backoff: dict[int, None] = {}
        self.settling: dict[int, None] = {}
        self.unknown: dict[int, None] = {}
        for found in _BUSY.finditer(self.cells):
            self._index(Cell(found[0].decode()))[found.start()] = None
        self.unmet: dict[int, int] = {}
        """Open needs of joins, counted when first touched."""

    def cell(self, cell: int) -> Cell:
        """Where a cell stands."""
        return Cell(chr(self.cells[cell]))

    def move(self, cell: int, target: Cell) -> None:
        """Put a cell elsewhere and keep the indexes true. For `apply` only."""
        self._index(self.cell(cell)).pop(cell, None)
        self.cells[cell] = ord(target.value)
        self._index(target)[cell] = None

    def _index(self, cell: Cell) -> dict[int, None]:
        match cell:
            case Cell.READY:
                return self.ready
            case Cell.INTENDED:
                return self.running
            case Cell.BACKOFF:
                return self.backoff
            case Cell.SETTLING:
                return self.settling
            case Cell.UNKNOWN:
                return self.unknown
            case _:
                return {}

    def key_of(self, cell: int) -> str:
        """The effect key: it never changes with the attempt. An undo's key is the effect's with `.undo`."""
        name = f"{self.header.id}.{self.blueprint.step(cell).name}.1"
        return f"{name}.undo" if self.blueprint.is_undo(cell) else name
