"""What is remembered of one execution. The record holds more; this is what deciding needs."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappush
from typing import Any

import msgspec

from shared.machine.plan import Blueprint, Step
from shared.machine.status import OVER, SETTLED, Cause, Cell, Phase, Reason, Status


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The execution as a whole. Times are unix milliseconds by the store's clock."""

    id: str
    tenant: str
    plan: str
    """Hash of the plan; empty while there is none."""
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


class Early(msgspec.Struct, frozen=True, array_like=True):
    """An event or a callback that nothing waits for yet; what it says stays in the inbox."""

    position: int
    name: str
    key: str = ""


class Region(msgspec.Struct, frozen=True, array_like=True):
    """The cells of a map's items: `count` for calling them, and behind those as many for undoing them."""

    step: int
    start: int
    count: int


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """Whose child this execution is."""

    execution: str
    step: str
    generation: int = 1


class Asking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the model was asked for a plan."""

    calls: int = 0
    """Counted before each call: one whose process died has cost its money, too."""
    heard: int = 0
    """The latest call whose answer is told in the history."""
    tokens: int = 0
    cost_micro: int = 0
    """What all of it has cost, in millionths of the unit that the installation counts in."""
    problems: tuple[str, ...] = ()
    """What was wrong with the latest answer: the next call is told."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A step that a partner refused for good, and what it said: data, whoever wrote it."""

    step: str
    code: str
    message: str = ""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What another version of a plan does differently, so that a person must say yes to it."""

    step: str
    """A step of the new version, or one of the old that nothing takes the place of; empty for the plan as a whole."""
    field: str
    before: Any = None
    after: Any = None


class Replan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often a plan may be made anew after a failure, and how far that has come."""

    most: int
    made: int = 0
    """New versions so far: the plan's version is one more."""
    failed: tuple[Failure, ...] = ()
    """What stopped the version that runs, while nobody has decided whether it is undone."""
    asks: tuple[Difference, ...] = ()
    """Of the latest version, what a person is, or was, asked about."""
    confirmed: bool = False
    """A person has signed a version: every further one must be signed, too."""


class Notes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What only some executions have, and what every segment must know of: loaded whole, and small."""

    maps: tuple[Region, ...] = ()
    generations: dict[str, int] = {}
    """Of effect keys, by the name of the step or item, where it is not 1."""
    early: tuple[Early, ...] = ()
    paused: str = ""
    """Who paused it."""
    unconfirmed: bool = False
    """Nothing starts before somebody has confirmed the plan by its hash."""
    rejected: bool = False
    """Somebody has said no to the plan."""
    no_undo: bool = False
    """Whoever cancelled it wants what is done to stand."""
    supplied: tuple[int, ...] = ()
    """Cells whose output a person gave instead of a call: nothing was done, so nothing of them is undone."""
    parent: Parent | None = None
    depth: int = 0
    """How many executions it is a child, a child's child … of."""
    input: Any = None
    asking: Asking = Asking()
    replan: Replan | None = None
    """None: a failure is undone, and no other plan is asked for."""


class Slot(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place under a limit that a call has, or stands in line for: enough to give it back without making its key anew."""

    limit: str
    per_ms: int = 0
    hold: bool = False


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a WAITING cell waits for, and what a GRANTED one was given. Times are unix ms."""

    kind: Reason
    since_ms: int
    until_ms: int = 0
    """When the wait ends by itself; 0 = never."""
    remind_ms: int = 0
    """When somebody is reminded next; 0 = never."""
    got: dict[str, Any] = {}
    """Events that came, by name."""
    events: tuple[tuple[str, str], ...] = ()
    """(name, key) of those that have not come yet."""
    args: dict[str, Any] | None = None
    """The arguments that a person is asked about, has approved, or has written."""
    args_hash: str = ""
    by: str = ""
    """Who approved or wrote them."""
    message: str = ""
    """What the person is asked, where the plan's words hold references; see `question`."""
    slots: tuple[Slot, ...] = ()
    """What a step in the line for a slot may have by now."""
    child: str = ""
    stopping: bool = False
    """The child was told to stop."""


def question(step: Step, hold: Hold) -> str:
    """What a person is asked at this hold of the step, beside its arguments; "" if nothing is said."""
    if hold.kind is not Reason.APPROVAL or step.approve is None:
        return ""
    return hold.message if step.message_refs else step.approve.message


class Intent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    since_ms: int = 0
    """When the first attempt was made."""
    probe: bool = False
    """It asks whether the attempt happened, and changes nothing."""
    asked: int = 0
    """Probes of this attempt, with this one."""
    doubt: bool = False
    """An earlier attempt may have had an effect."""
    slots: tuple[Slot, ...] = ()
    """What the call has under limits, and gives back when it has ended."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the latest attempt of a cell failed, and when it is tried again."""

    attempt: int
    code: str
    message: str
    at_ms: int
    retry_at_ms: int = 0
    since_ms: int = 0
    """When the first attempt was made."""
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


_ITEM = re.compile(r"0|[1-9][0-9]{0,8}")
_CELLS = tuple(ord(cell.value) for cell in Cell)
_INDEX_OF = {Cell.INTENDED: "running", Cell.BACKOFF: "backoff", Cell.SETTLING: "settling", Cell.WAITING: "waiting"}
"""The attribute of `Execution` that lists the cells that stand there."""
_CELL_OF = {ord(cell.value): cell for cell in Cell}
_BUSY = re.compile(rb"[ibsw]")
_OPEN = re.compile(rb"[^.dfl]")


class Layout:
    """Which step, and which item of it, a cell belongs to: n steps, n undos, then each map's items and their undos."""

    __slots__ = ("_starts", "regions", "size")

    def __init__(self, size: int, regions: tuple[Region, ...] = ()) -> None:
        """`size`: steps of the plan; `regions` by their start."""
        self.size = size
        self.regions = regions
        self._starts = [region.start for region in regions]

    @property
    def end(self) -> int:
        """How many cells there are."""
        return self.regions[-1].start + 2 * self.regions[-1].count if self.regions else 2 * self.size

    def region(self, cell: int) -> Region | None:
        """The map whose item the cell is; None for a step's own cells."""
        return self.regions[bisect_right(self._starts, cell) - 1] if cell >= 2 * self.size else None

    def of_step(self, step: int) -> Region | None:
        """The items of a step, if they are spread already."""
        return next((region for region in self.regions if region.step == step), None)

    def step(self, cell: int) -> int:
        """The number of the step."""
        if cell < self.size:
            return cell
        region = self.region(cell)
        return region.step if region else cell - self.size

    def item(self, cell: int) -> int:
        """Which item of a map; -1 for a step's own cells."""
        if cell < self.size:
            return -1
        region = self.region(cell)
        return (cell - region.start) % region.count if region else -1

    def is_undo(self, cell: int) -> bool:
        """Whether the cell is of the undo lane."""
        if cell < self.size:
            return False
        region = self.region(cell)
        return cell - region.start >= region.count if region else True

    def undo_of(self, cell: int) -> int:
        """The undo cell of a forward cell."""
        region = self.region(cell)
        return cell + (region.count if region else self.size)

    def forward_of(self, cell: int) -> int:
        """The forward cell of an undo cell."""
        region = self.region(cell)
        return cell - (region.count if region else self.size)

    def forward(self) -> Iterator[tuple[int, int]]:
        """[start, end) of the forward cells: the plan's, then each map's."""
        yield 0, self.size
        for region in self.regions:
            yield region.start, region.start + region.count


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was found for words, as it is stored."""

    plan: bytes
    hash: str
    cells: str
    fields: dict[str, str]
    """For readers: `summary`, and `sources` as JSON."""
    timeout_ms: int = 0
    confirm: bool = False
    """The installation's policies let nothing start before somebody has said yes."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """No plan without answers to these."""

    questions: tuple[dict[str, Any], ...]


class Flawed(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is no acceptable plan."""

    problems: tuple[str, ...]
    answer: str = ""
    """Its beginning, for the model to mend; never stored."""


class Unreachable(msgspec.Struct, frozen=True, kw_only=True):
    """No answer."""

    message: str
    retryable: bool = True
    retry_after_ms: int = 0


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one call to the model."""

    call: int
    said: Adopted | Asked | Flawed | Unreachable
    tokens: int = 0
    cost_micro: int = 0
    """In millionths of the unit that the installation counts in; 0 where no price is known."""
    detail: dict[str, Any] = {}
    """For the history: which model, which request, how long."""
    instead: Adopted | Asked
    """What the rules make of the same words."""


class Execution:
    """A segment's working copy. `decide` reads it; only `apply` (decision.py) writes it, and no faster than O(change)."""

    __slots__ = (
        "advice",
        "alarms",
        "backoff",
        "blueprint",
        "cells",
        "faults",
        "header",
        "holds",
        "intents",
        "items",
        "lane",
        "layout",
        "letters",
        "met",
        "notes",
        "order",
        "results",
        "running",
        "seen",
        "settled",
        "settling",
        "slots",
        "spread",
        "tally",
        "undoing",
        "unmet",
        "waiting",
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
        holds: Mapping[int, Hold] | None = None,
        notes: Notes | None = None,
    ) -> None:
        """`cells`: one status byte each. `intents`, `faults` and `holds` of the busy; `results` as far as they were loaded."""
        self.header = header
        self.blueprint = blueprint
        self.cells = bytearray(cells)
        self.intents = dict(intents or {})
        self.faults = dict(faults or {})
        self.results = dict(results or {})
        self.seen = seen
        self.holds = dict(holds or {})
        self.notes = notes or Notes()
        self.layout = Layout(blueprint.size, self.notes.maps)
        self.letters: dict[int, Any] = {}
        """What early signals say, as far as it was loaded, by position."""
        self.items: dict[int, Sequence[Any]] = {}
        """Memo of `decide`: what maps go over, by step."""
        self.advice: Advice | None = None
        """What the model said in this segment."""
        self.slots: dict[tuple[str, str], bool] = {}
        """Answers to what was asked for in this segment, by (limit, member): has it, or stands in the queue."""
        self.order: dict[int, int] | None = None
        """When done effects completed, unix ms; None until asked for (only undoing needs it)."""
        self.settled = sum(self.cells.count(cell.value.encode(), 0, blueprint.size) for cell in SETTLED)
        """How many steps of the plan are settled."""
        self.undoing: dict[int, None] = {}
        """Undo cells that are asked for and not over."""
        self.running: dict[int, None] = {}
        self.backoff: dict[int, None] = {}
        self.settling: dict[int, None] = {}
        self.waiting: dict[int, None] = {}
        self.spread: dict[int, None] = {}
        """Maps whose items have not all ended."""
        self.tally: dict[int, dict[int, int]] = {}
        """How many items of a map stand where, by the region's start and the cell's byte: counted on, never counted anew."""
        self.alarms: list[tuple[int, int]] = []
        """A heap of (unix ms, cell): when waits end or remind. What is no longer so stays in it until it comes to the top."""
        for found in _BUSY.finditer(self.cells):
            getattr(self, _INDEX_OF[self.cell(found.start())])[found.start()] = None
        self.spread |= {cell: None for cell in self.waiting if cell < blueprint.size and blueprint.plan.steps[cell].map}
        self._count_items()
        for cell in self.waiting:
            self.set_alarm(cell)
        self._find_undoing()
        self.unmet: dict[int, int] = {}
        """Memo of `decide`: open needs of joins, counted when first touched."""
        self.met: dict[int, int] = {}
        """Memo of `decide`: done needs of `any` and k-of-n joins, in the same way."""
        self.lane: list[int] | None = None
        """Memo of `decide`: open undo cells, the next one last; sorted once the order is known."""

    def _count_items(self) -> None:
        for region in self.layout.regions:
            if region.start not in self.tally:
                start, end = region.start, region.start + region.count
                self.tally[start] = {byte: self.cells.count(byte, start, end) for byte in _CELLS}

    def set_alarm(self, cell: int) -> None:
        """Note when the wait of a cell ends by itself, or reminds somebody."""
        if (hold := self.holds.get(cell)) is not None:
            for at_ms in (hold.until_ms, hold.remind_ms):
                if at_ms:
                    heappush(self.alarms, (at_ms, cell))

    def rings(self, at_ms: int, cell: int) -> bool:
        """Whether an alarm is still set."""
        hold = self.holds.get(cell)
        return cell in self.waiting and hold is not None and at_ms in {hold.until_ms, hold.remind_ms}

    def _find_undoing(self) -> None:
        ends = [(2 * self.layout.size, self.layout.size)]
        ends += [(region.start + 2 * region.count, region.count) for region in self.layout.regions]
        for end, count in ends:
            self.undoing |= dict.fromkeys(found.start() for found in _OPEN.finditer(self.cells, end - count, end))

    def cell(self, cell: int) -> Cell:
        """Where a cell stands."""
        return _CELL_OF[self.cells[cell]]

    def ready(self) -> Iterator[int]:
        """Cells that are READY or GRANTED, in the plan's order whatever happened before, items of maps last.

        A search through bytes: 1 µs for 10,000 steps.
        """
        for start, end in self.layout.forward():
            ready, granted = self.cells.find(b"r", start, end), self.cells.find(b"g", start, end)
            while ready >= 0 or granted >= 0:
                if granted < 0 or 0 <= ready < granted:
                    yield ready
                    ready = self.cells.find(b"r", ready + 1, end)
                else:
                    yield granted
                    granted = self.cells.find(b"g", granted + 1, end)

    def opening(self) -> Iterator[int]:
        """Steps whose needs are met and that must be looked at."""
        at = self.cells.find(b"o", 0, self.layout.size)
        while at >= 0:
            yield at
            at = self.cells.find(b"o", at + 1, self.layout.size)

    def grow(self, notes: Notes) -> None:
        """Make room for the items of new maps. For `apply` only."""
        self.notes = notes
        self.layout = Layout(self.layout.size, notes.maps)
        self.cells.extend(b"." * (self.layout.end - len(self.cells)))
        self._count_items()

    def move(self, cell: int, target: Cell) -> None:
        """Put a cell elsewhere and keep the indexes true. For `apply` only."""
        origin = self.cell(cell)
        if (index := _INDEX_OF.get(origin)) is not None:
            getattr(self, index).pop(cell, None)
        if (index := _INDEX_OF.get(target)) is not None:
            getattr(self, index)[cell] = None
        self.cells[cell] = ord(target)
        if self.layout.is_undo(cell):
            self._note_undo(cell, target)
        elif cell < self.layout.size:
            self.settled += (target in SETTLED) - (origin in SETTLED)
            if self.blueprint.plan.steps[cell].map:
                self._note_map(cell, target)
        elif (region := self.layout.region(cell)) is not None:
            tally = self.tally[region.start]
            tally[ord(origin)] -= 1
            tally[ord(target)] += 1

    def _note_map(self, cell: int, target: Cell) -> None:
        if target is Cell.WAITING:
            self.spread[cell] = None
        else:
            self.spread.pop(cell, None)

    def _note_undo(self, cell: int, target: Cell) -> None:
        if target in OVER:
            self.undoing.pop(cell, None)
        else:
            self.undoing[cell] = None

    def name_of(self, cell: int) -> str:
        """The step's name, with the number of the item behind a dot."""
        name, item = self.blueprint.plan.steps[self.layout.step(cell)].name, self.layout.item(cell)
        return name if item < 0 else f"{name}.{item}"

    def cell_of(self, name: str) -> int | None:
        """The forward cell of a step or an item by its name."""
        step, _, item = name.partition(".")
        number = self.blueprint.index.get(step)
        if number is None or not item:
            return number
        region = self.layout.of_step(number)
        if region is None or not _ITEM.fullmatch(item) or int(item) >= region.count:
            return None
        return region.start + int(item)
