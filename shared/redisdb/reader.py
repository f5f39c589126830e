"""Reading for people: pages of an execution, of its history, and of a tenant's list. Never on the engine's path."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec
from redis.exceptions import RedisError

from shared.errors import BadRequest, NotFound, Unavailable
from shared.machine.plan import Plan
from shared.machine.state import Hold, Layout, Notes, question
from shared.machine.status import OVER, Cell, Reason
from shared.numbers import whole
from shared.redisdb import keys, wire
from shared.redisdb.base import Commanding

PAGE: Final = 500
NAMED: Final = 500
"""Steps that a list of undos names at most; beyond that it says that there are more."""
_Part: TypeAlias = Sequence[bytes | None]
"""What is stored of a cell and of its undo, in the order of `_fields`."""
_plan = msgspec.json.Decoder(Plan)
_CELLS: Final = {ord(cell.value): cell for cell in Cell}


class StepView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step as a reader sees it. Times are unix ms."""

    name: str
    tool: str
    status: str
    needs: tuple[str, ...] = ()
    input: Any = None
    output: Any = None
    large_output: wire.Pointer | None = None
    """In place of an output that is too large to be shown here; `Reader.output` gives it."""
    attempts: int = 0
    key: str = ""
    started_ms: int | None = None
    ended_ms: int | None = None
    error: Any = None
    retry_at_ms: int | None = None
    undo: Any = None
    hold: Any = None
    """What it waits for, or was granted."""
    items: dict[str, int] | None = None
    """Of a map that was spread: how many items stand where."""
    child: str = ""
    """The execution that it runs as."""
    replaced: bool = False
    """Another version of the plan has other steps in its place."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """An execution as a reader sees it."""

    id: str
    fields: dict[str, str]
    steps: tuple[StepView, ...]
    total_steps: int
    done_steps: int
    next_step: int | None
    """Where the next page of steps begins; None on the last one."""
    notes: Notes = Notes()
    output: Any = None
    origin: Any = None
    """What it restarts or forks."""
    undo: dict[str, Any] | None = None
    """Names of what was taken back and what was not; None while nothing is being undone."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What tells beforehand how much there is to read of an execution."""

    plan_bytes: int
    steps: int
    """Items of maps among them."""


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """All of an execution that is no larger than a page."""

    view: View
    """With every step."""
    plan: bytes
    items: dict[str, tuple[StepView, ...]]
    """Of each map that was spread."""
    history: list[dict[str, Any]]
    apart: dict[str, bytes]
    """The JSON of each output that is too large for its record, by the name of its step or item."""


_SHOWN: Final = (
    "id", "status", "phase", "reason", "cause", "segment", "epoch", "fence", "ver", "created_ms", "updated_ms", "ended_ms",
    "deadline_ms", "lease_until", "wake_ms", "tries", "stalled", "message", "trace", "plan", "text", "user", "sources",
    "summary",
)  # fmt: skip
_HEADER: Final = ("tenant", *_SHOWN)
_BESIDE: Final = ("notes", "output", "origin")


class _Standing:
    """Where an execution stands: its header, and what says which cell is whose."""

    __slots__ = ("cells", "header", "layout", "notes", "origin", "output", "plan")

    def __init__(self, fields: Sequence[bytes | None], plan: bytes, cells: bytes) -> None:
        """`fields`: those of `_HEADER` and `_BESIDE`."""
        notes, output, origin = fields[len(_HEADER) :]
        self.header = _text(fields)
        self.plan = _plan.decode(plan)
        self.cells = cells
        self.notes = wire.notes(notes) if notes else Notes()
        self.output = wire.anything(output) if output is not None else None
        self.origin = wire.anything(origin) if origin is not None else None
        self.layout = Layout(len(self.plan.steps), self.notes.maps)

    @property
    def fits(self) -> bool:
        """Whether all of it is of one moment, as far as the number of cells tells."""
        return len(self.cells) == self.layout.end

    def name(self, cell: int) -> str:
        """Of a step, or of an item of it."""
        name, item = self.plan.steps[self.layout.step(cell)].name, self.layout.item(cell)
        return name if item < 0 else f"{name}.{item}"


def _text(fields: Sequence[bytes | None]) -> dict[str, str]:
    return {name: value.decode() for name, value in zip(_HEADER, fields, strict=False) if value is not None}


def _unknown(execution: str) -> NotFound:
    return NotFound(f"there is no execution {execution[:80]}")


def _record(execution: str) -> str:
    """NotFound for what is no execution's id."""
    try:
        return keys.record(execution)
    except ValueError as error:
        raise _unknown(execution) from error


class Reader(Commanding):
    """Reads records; a tenant sees its own only. What is small comes over the line, pages and plans over the pool."""

    async def header(self, execution: str, tenant: str) -> dict[str, str]:
        """The record's header fields; NotFound for another tenant's."""
        found = _text(await self._read("HMGET", _record(execution), *_HEADER))
        if found.get("tenant") != tenant:
            raise _unknown(execution)
        return found

    async def _standing(self, execution: str, tenant: str) -> _Standing:
        """What must fit together, of one moment: a map that is spread meanwhile has cells that the plan does not say."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(_record(execution), [*_HEADER, *_BESIDE])
        pipe.mget(keys.plan(execution), keys.cells(execution))
        fields, (plan, cells) = await self._plain(pipe.execute())
        if _text(fields).get("tenant") != tenant or plan is None or cells is None:
            raise _unknown(execution)
        return _Standing(fields, plan, cells)

    async def view(self, execution: str, tenant: str, *, first: int = 0, count: int = PAGE) -> View:
        """The header and one page of steps."""
        found = await self._standing(execution, tenant)
        size = len(found.plan.steps)
        wanted = range(min(first, size), min(first + count, size))
        return _view(found, wanted, await self._parts(execution, wanted, size))

    async def items(self, execution: str, tenant: str, step: str, *, first: int, count: int) -> tuple[list[StepView], int]:
        """A page of the items of a map, each shown as a step, and how many there are; NotFound for what was not spread."""
        found = await self._standing(execution, tenant)
        number = next((n for n, one in enumerate(found.plan.steps) if one.name == step), -1)
        region = found.layout.of_step(number)
        if region is None:
            raise NotFound(f"{execution} has no items of a step {step[:80]!r}")
        wanted = range(region.start + min(first, region.count), region.start + min(first + count, region.count))
        return _named_items(found, wanted, await self._parts(execution, wanted, region.count)), region.count

    async def _parts(self, execution: str, wanted: range, size: int) -> list[_Part]:
        pipe = self._redis.pipeline(transaction=False)
        for number in wanted:
            pipe.hmget(keys.record(execution), _fields(number, number + size))
        found: list[_Part] = await self._plain(pipe.execute()) if wanted else []
        return found

    async def output(self, execution: str, tenant: str, step: str) -> bytes:
        """The JSON of the output of one step or one item of a map (`step.7`), however large; NotFound while there is none."""
        standing = await self._standing(execution, tenant)
        cell = _cell(standing, step)
        if cell is None:
            raise NotFound(f"{execution} has no step {step[:80]!r}")
        text = await self._plain(self._redis.hget(keys.record(execution), f"r:{cell}"))
        if text is None:
            raise NotFound(f"step {step!r} of {execution} has no output yet")
        result = wire.result(text)
        if result.large is None:
            return msgspec.json.encode(result.output)
        found = wire.output_of(result.large, await self._plain(self._redis.get(keys.large_value(execution, cell))))
        if found is None:
            raise NotFound(f"the output of step {step!r} of {execution} is gone")
        return found

    async def history(self, execution: str, tenant: str, *, after: str = "-", count: int = PAGE) -> list[dict[str, Any]]:
        """Lines of the history behind the id `after`, oldest first."""
        await self.header(execution, tenant)
        if after != "-" and not LINE_ID.fullmatch(after):
            raise BadRequest(f"after={after[:40]!r} is no place in a history: give the `next` of the page before", at="after")
        start = after if after == "-" else f"({after}"
        return lines(await self._plain(self._redis.xrange(keys.history(execution), min=start, count=count)))

    async def tenant(self, execution: str) -> str:
        """Whose it is, for the archive; NotFound if it is gone."""
        found = await self._read("HGET", keys.record(execution), "tenant")
        if found is None:
            raise NotFound(f"there is no execution {execution}")
        return str(found.decode())

    async def plan(self, execution: str, tenant: str) -> bytes:
        """The accepted plan as JSON, as it was pinned; NotFound if it is gone."""
        await self.header(execution, tenant)
        found = await self._plain(self._redis.get(keys.plan(execution)))
        if found is None:
            raise NotFound(f"there is no execution {execution}")
        return bytes(found)

    async def sizes(self, executions: Sequence[str]) -> list[Size]:
        """How large each of these is. One round trip."""
        asked = [("STRLEN", name(execution)) for execution in executions for name in (keys.plan, keys.cells)]
        found = await self._read_all(asked)
        return [Size(plan_bytes=plan, steps=cells // 2) for plan, cells in zip(found[::2], found[1::2], strict=True)]

    async def whole(self, executions: Sequence[str], *, apart: int) -> list[Whole | None]:
        """All of each of these, whose `sizes` are known to be small; None for what is gone, and for what must be read in pages.

        `apart`: bytes of outputs that are stored apart, of all of them together. One round trip, and another for these.
        """
        asked = [
            command
            for execution in executions
            for command in (
                ("HGETALL", keys.record(execution)),
                ("MGET", keys.plan(execution), keys.cells(execution)),
                ("XRANGE", keys.history(execution), "-", "+", "COUNT", PAGE),
            )
        ]
        found = await self._read_all(asked)
        wholes = [_whole(*parts) for parts in zip(found[::3], found[1::3], found[2::3], strict=True)]
        for number, one in enumerate(wholes):
            if one is not None and (pointers := _pointers(one)):
                apart -= sum(pointer.bytes for _, _, pointer in pointers)
                wholes[number] = await self._with_apart(one, pointers) if apart >= 0 else None
        return wholes

    async def _with_apart(self, one: Whole, pointers: Sequence[tuple[str, int, wire.Pointer]]) -> Whole | None:
        texts = await self._read("MGET", *(keys.large_value(one.view.id, cell) for _, cell, _ in pointers))
        found = {name: wire.output_of(pointer, text) for (name, _, pointer), text in zip(pointers, texts, strict=True)}
        outputs = {name: text for name, text in found.items() if text is not None}
        return msgspec.structs.replace(one, apart=outputs) if len(outputs) == len(found) else None

    async def listing(self, tenant: str, *, before: str = "", count: int = 50) -> list[str]:
        """Ids of a tenant's executions, newest first, behind the uuid `before`."""
        top = f"({before}" if before else "+"
        found = await self._read_all(
            ("ZRANGE", keys.listing(partition, tenant), top, "-", "BYLEX", "REV", "LIMIT", 0, count)
            for partition in keys.all_partitions()
        )
        rows = [
            (unique.decode(), partition)
            for partition, some in zip(keys.all_partitions(), found, strict=True)
            for unique in some
        ]
        return [f"exe_{partition}_{unique}" for unique, partition in sorted(rows, reverse=True)[:count]]

    async def headers(self, executions: Sequence[str]) -> list[dict[str, str]]:
        """Header fields of many, in one round trip; what was purged meanwhile is left out."""
        found = await self._read_all(("HMGET", keys.record(execution), *_SHOWN) for execution in executions)
        return [
            {field: value.decode() for field, value in zip(_SHOWN, values, strict=True) if value is not None}
            for values in found
            if values[0] is not None
        ]

    async def held(self, executions: Sequence[str]) -> list[str]:
        """Those that an invocation holds just now, by the server's clock. One round trip."""
        asked = [("HGET", keys.record(execution), "lease_until") for execution in executions]
        *leases, (seconds, micros) = await self._read_all([*asked, ("TIME",)])
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return [one for one, until in zip(executions, leases, strict=True) if int(until or 0) > now_ms]

    async def asked(self, executions: Sequence[str]) -> list[tuple[str, str, str, Hold]]:
        """(execution, step, what is asked, hold) of each approval that these wait for. Two round trips, and plans."""
        pipe = self._redis.pipeline(transaction=False)
        for execution in executions:
            pipe.get(keys.cells(execution))
        cells = dict(zip(executions, await self._plain(pipe.execute()) if executions else [], strict=True))
        waiting = {one: [m.start() for m in re.finditer(b"w", text)][:NAMED] for one, text in cells.items() if text}
        waiting = {one: found for one, found in waiting.items() if found}
        pipe = self._redis.pipeline(transaction=False)
        for execution, found in waiting.items():
            pipe.hmget(keys.record(execution), [f"w:{cell}" for cell in found])
            pipe.get(keys.plan(execution))
        parts = await self._plain(pipe.execute()) if waiting else []
        rows: list[tuple[str, str, str, Hold]] = []
        for execution, texts, plan in zip(waiting, parts[::2], parts[1::2], strict=True):
            rows += _approvals(execution, waiting[execution], texts, plan)
        return rows

    async def ping(self) -> None:
        """Unavailable unless Redis answers and keeps everything: a store that evicts would lose executions."""
        await self._plain(self._redis.ping())
        try:
            found = await self._redis.config_get("maxmemory-policy")
        except RedisError:
            return  # hosted Redis hides its configuration; its documentation must be asked
        policy = found.get("maxmemory-policy", "noeviction")
        if policy != "noeviction":
            raise Unavailable(f"Redis evicts keys (maxmemory-policy {policy}): set noeviction", code="store_evicts")


def lines(found: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> list[dict[str, Any]]:
    """Entries of a history's stream as every reader is shown them: in answers, and where progress is told."""
    return [_line(line_id, fields[b"l"]) for line_id, fields in found]


def _line(line_id: bytes, text: bytes) -> dict[str, Any]:
    return {"id": line_id.decode(), **wire.anything(text)}


LINE_ID: Final = re.compile(r"[0-9]{1,15}(-[0-9]{1,15})?")


def _step(found: _Standing, number: int, part: _Part) -> StepView:
    layout, cells = found.layout, found.cells
    step = found.plan.steps[layout.step(number)]
    intent = wire.intent(part[0]) if part[0] else None
    fault = wire.fault(part[1]) if part[1] else None
    result = wire.result(part[2]) if part[2] else None
    hold = wire.hold(part[5]) if part[5] else None
    where = _CELLS[cells[number]]
    troubled = fault is not None and where is not Cell.DONE
    attempts = max(intent.attempt if intent else 0, result.attempt if result else 0)
    return StepView(
        name=step.name,
        tool=step.tool,
        status=where.name,
        needs=step.needs,
        input=intent.args if intent else None,
        output=result.output if result else None,
        large_output=result.large if result else None,
        attempts=attempts,
        key=intent.key if intent else "",
        started_ms=result.started_ms if result else (intent.at_ms if intent else None),
        ended_ms=result.ended_ms if result else None,
        error={"code": fault.code, "message": fault.message, "at_ms": fault.at_ms} if fault and troubled else None,
        retry_at_ms=fault.retry_at_ms or None if fault and troubled else None,
        undo=_undo(_CELLS[cells[layout.undo_of(number)]], part[3], part[4], part[6]),
        hold=hold_view(hold, question(step, hold)) if hold and where in {Cell.WAITING, Cell.GRANTED} else None,
        items=_items(layout, number, cells),
        child=hold.child if hold else "",
        replaced=step.replaced,
    )


@lru_cache(maxsize=4_096)
def _fields(number: int, undo: int) -> tuple[bytes, ...]:
    """What a record keeps of a cell and of its undo, as `_step` takes it."""
    names = (f"i:{number}", f"f:{number}", f"r:{number}", f"f:{undo}", f"r:{undo}", f"w:{number}", f"w:{undo}")
    return tuple(name.encode() for name in names)


def _view(found: _Standing, wanted: range, parts: Sequence[_Part]) -> View:
    size = found.layout.size
    return View(
        id=found.header["id"],
        fields=found.header,
        steps=tuple(_step(found, n, part) for n, part in zip(wanted, parts, strict=True)),
        total_steps=size,
        done_steps=found.cells.count(b"d", 0, size),
        next_step=wanted.stop if wanted.stop < size else None,
        notes=found.notes,
        output=found.output,
        origin=found.origin,
        undo=_undone(found),
    )


def _named_items(found: _Standing, wanted: range, parts: Sequence[_Part]) -> list[StepView]:
    """Items of one map, by their cells."""
    return [msgspec.structs.replace(_step(found, n, part), name=found.name(n)) for n, part in zip(wanted, parts, strict=True)]


def _whole(fields: Any, texts: Sequence[bytes | None], history: Sequence[Any]) -> Whole | None:
    record: dict[bytes, bytes] = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    plan, cells = texts
    if b"tenant" not in record or plan is None or cells is None or len(history) >= PAGE:
        return None
    found = _Standing([record.get(name.encode()) for name in (*_HEADER, *_BESIDE)], plan, cells)
    if not found.fits:  # opened again meanwhile; or more of it than the connection brought in one piece
        return None
    steps = range(found.layout.size)
    items = {
        found.plan.steps[one.step].name: tuple(_named_items(found, part, _cut(record, part, one.count)))
        for one, part in ((one, range(one.start, one.start + one.count)) for one in found.layout.regions)
    }
    return Whole(
        view=_view(found, steps, _cut(record, steps, found.layout.size)),
        plan=plan,
        items=items,
        history=[_line(line_id, text) for line_id, (_, text) in history],
        apart={},
    )


def _cut(record: Mapping[bytes, bytes], wanted: range, undo: int) -> list[_Part]:
    return [[record.get(name) for name in _fields(cell, cell + undo)] for cell in wanted]


def _pointers(one: Whole) -> list[tuple[str, int, wire.Pointer]]:
    """(step or item, cell, pointer) of each output that is stored apart."""
    placed = [*enumerate(one.view.steps)]
    for region, items in zip(one.view.notes.maps, one.items.values(), strict=True):
        placed += enumerate(items, start=region.start)
    return [(step.name, cell, step.large_output) for cell, step in placed if step.large_output is not None]


def _approvals(
    execution: str, cells: Sequence[int], texts: Sequence[bytes | None], plan: bytes | None
) -> list[tuple[str, str, str, Hold]]:
    holds = [(cell, wire.hold(text)) for cell, text in zip(cells, texts, strict=True) if text is not None]
    asked = [(cell, hold) for cell, hold in holds if hold.kind is Reason.APPROVAL]
    steps = _plan.decode(plan).steps if plan and asked else ()
    named = [(steps[cell], hold) for cell, hold in asked if cell < len(steps)]  # items of maps are not approved one by one
    return [(execution, step.name, question(step, hold), hold) for step, hold in named]


def hold_view(hold: Hold, asked: str = "") -> dict[str, Any]:
    """What is waited for, for a reader; `asked` of a person, beside the arguments. Times are unix ms."""
    shown: dict[str, Any] = {"kind": hold.kind or "granted", "since_ms": hold.since_ms}
    if hold.kind is Reason.APPROVAL or hold.by:
        shown |= {"args": hold.args, "argsHash": hold.args_hash}
    if hold.events and hold.kind is Reason.EVENT:
        shown |= {"events": [{"name": name, "key": key} for name, key in hold.events], "got": sorted(hold.got)}
    others = {"message": asked, "until_ms": hold.until_ms, "remind_ms": hold.remind_ms, "by": hold.by, "child": hold.child}
    return shown | {name: value for name, value in others.items() if value}


def _items(layout: Layout, number: int, cells: bytes) -> dict[str, int] | None:
    region = layout.of_step(number) if number < layout.size else None
    if region is None:
        return None
    counts = {cell.name: cells.count(cell.value.encode(), region.start, region.start + region.count) for cell in Cell}
    return {"total": region.count} | {name: count for name, count in counts.items() if count}


def _cell(found: _Standing, name: str) -> int | None:
    """The cell that has this name."""
    numbers = {step.name: number for number, step in enumerate(found.plan.steps)}
    if name in numbers:
        return numbers[name]
    step, _, item = name.rpartition(".")
    region = found.layout.of_step(numbers.get(step, -1))
    at = whole(item)
    return region.start + at if region is not None and at is not None and at < region.count else None


def _undone(standing: _Standing) -> dict[str, Any] | None:
    """What was taken back, what could not be, and what nobody knows of; None if nobody asked for it."""
    found: dict[str, Any] = {"done": [], "failed": [], "left": [], "open": [], "unknown": []}
    lists = {Cell.DONE: "done", Cell.FAILED: "failed", Cell.LEFT: "left"}
    more = asked = False
    layout, cells = standing.layout, standing.cells
    for start, end in layout.forward():
        for cell in range(start, end):
            where = _CELLS[cells[layout.undo_of(cell)]]
            if where is Cell.IDLE:
                continue
            asked = True
            kinds = [lists[where] if where in OVER else "open"] + ["unknown"] * (chr(cells[cell]) == Cell.UNKNOWN)
            for kind in kinds:
                more = more or len(found[kind]) >= NAMED
                found[kind] += [standing.name(cell)] if len(found[kind]) < NAMED else []
    return found | {"more": more} if asked else None


def _undo(where: Cell, fault: bytes | None, result: bytes | None, hold: bytes | None) -> dict[str, Any] | None:
    if where is Cell.IDLE:
        return None
    shown: dict[str, Any] = {"status": where.name}
    if hold and (by := wire.hold(hold).by):
        shown["by"] = by
    if result:
        shown["ended_ms"] = wire.result(result).ended_ms
    elif fault and where is not Cell.DONE:
        found = wire.fault(fault)
        shown["error"] = {"code": found.code, "message": found.message}
    return shown
