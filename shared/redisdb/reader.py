"""Reading for people: pages of an execution, of its history, and of a tenant's list. Never on the engine's path."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import BadRequest, NotFound, Unavailable
from shared.machine.plan import Plan, Step
from shared.machine.state import Hold, Layout, Notes, question
from shared.machine.status import OVER, Cell, Reason
from shared.numbers import whole
from shared.redisdb import keys, wire

PAGE: Final = 500
NAMED: Final = 500
"""Steps that a list of undos names at most; beyond that it says that there are more."""
_plan = msgspec.json.Decoder(Plan)


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


class Reader:
    """Reads records; a tenant sees its own only."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def header(self, execution: str, tenant: str) -> dict[str, str]:
        """The record's header fields; NotFound for another tenant's."""
        try:
            name = keys.record(execution)
        except ValueError as error:
            raise NotFound(f"there is no execution {execution[:80]}") from error
        fields = ("tenant", *_SHOWN)
        values = await self._ask(self._redis.hmget(name, list(fields)))
        if values[0] is None or values[0].decode() != tenant:
            raise NotFound(f"there is no execution {execution[:80]}")
        found = dict(zip(fields, values, strict=True))
        return {field: value.decode() for field, value in found.items() if value is not None}

    async def view(self, execution: str, tenant: str, *, first: int = 0, count: int = PAGE) -> View:
        """The header and one page of steps."""
        header = await self.header(execution, tenant)
        plan_bytes, cells = await self._ask(self._redis.mget(keys.plan(execution), keys.cells(execution)))
        if plan_bytes is None or cells is None:  # purged since its header was read
            raise NotFound(f"there is no execution {execution}")
        plan = _plan.decode(plan_bytes)
        size = len(plan.steps)
        notes, output, origin = await self._beside(execution)
        layout = Layout(size, notes.maps)
        wanted = range(min(first, size), min(first + count, size))
        parts = await self._parts(execution, wanted, size)
        steps = tuple(_step(plan.steps[n], n, layout, cells, part) for n, part in zip(wanted, parts, strict=True))
        after = first + count
        return View(
            id=execution,
            fields=header,
            steps=steps,
            total_steps=size,
            done_steps=cells.count(b"d", 0, size),
            next_step=after if after < size else None,
            notes=notes,
            output=output,
            origin=origin,
            undo=_undone(layout, cells, lambda cell: _named(plan, layout, cell)),
        )

    async def _beside(self, execution: str) -> tuple[Notes, Any, Any]:
        notes, *others = await self._ask(self._redis.hmget(keys.record(execution), ["notes", "output", "origin"]))
        output, origin = (wire.anything(text) if text is not None else None for text in others)
        return wire.notes(notes) if notes else Notes(), output, origin

    async def items(self, execution: str, tenant: str, step: str, *, first: int, count: int) -> tuple[list[StepView], int]:
        """A page of the items of a map, each shown as a step, and how many there are; NotFound for what was not spread."""
        await self.header(execution, tenant)
        plan_bytes, cells = await self._ask(self._redis.mget(keys.plan(execution), keys.cells(execution)))
        notes, _, _ = await self._beside(execution)
        plan = _plan.decode(plan_bytes) if plan_bytes else None
        number = next((n for n, one in enumerate(plan.steps) if one.name == step), -1) if plan else -1
        layout = Layout(len(plan.steps) if plan else 0, notes.maps)
        region = layout.of_step(number)
        if plan is None or region is None or cells is None:
            raise NotFound(f"{execution} has no items of a step {step[:80]!r}")
        wanted = range(region.start + min(first, region.count), region.start + min(first + count, region.count))
        parts = await self._parts(execution, wanted, region.count)
        shown = [_step(plan.steps[number], cell, layout, cells, part) for cell, part in zip(wanted, parts, strict=True)]
        named = [msgspec.structs.replace(one, name=_named(plan, layout, cell)) for cell, one in zip(wanted, shown, strict=True)]
        return named, region.count

    async def _parts(self, execution: str, wanted: range, size: int) -> list[Sequence[bytes | None]]:
        pipe = self._redis.pipeline(transaction=False)
        for number in wanted:
            undo = number + size
            fields = [f"i:{number}", f"f:{number}", f"r:{number}", f"f:{undo}", f"r:{undo}", f"w:{number}", f"w:{undo}"]
            pipe.hmget(keys.record(execution), fields)
        found: list[Sequence[bytes | None]] = await self._ask(pipe.execute()) if wanted else []
        return found

    async def output(self, execution: str, tenant: str, step: str) -> bytes:
        """The JSON of the output of one step or one item of a map (`step.7`), however large; NotFound while there is none."""
        await self.header(execution, tenant)
        plan_bytes = await self._ask(self._redis.get(keys.plan(execution)))
        notes, _, _ = await self._beside(execution)
        cell = _cell(_plan.decode(plan_bytes), notes, step) if plan_bytes else None
        if cell is None:
            raise NotFound(f"{execution} has no step {step[:80]!r}")
        text = await self._ask(self._redis.hget(keys.record(execution), f"r:{cell}"))
        if text is None:
            raise NotFound(f"step {step!r} of {execution} has no output yet")
        result = wire.result(text)
        if result.large is None:
            return msgspec.json.encode(result.output)
        found = wire.output_of(result.large, await self._ask(self._redis.get(keys.large_value(execution, cell))))
        if found is None:
            raise NotFound(f"the output of step {step!r} of {execution} is gone")
        return found

    async def history(self, execution: str, tenant: str, *, after: str = "-", count: int = PAGE) -> list[dict[str, Any]]:
        """Lines of the history behind the id `after`, oldest first."""
        await self.header(execution, tenant)
        if after != "-" and not LINE_ID.fullmatch(after):
            raise BadRequest(f"after={after[:40]!r} is no place in a history: give the `next` of the page before", at="after")
        start = after if after == "-" else f"({after}"
        return lines(await self._ask(self._redis.xrange(keys.history(execution), min=start, count=count)))

    async def tenant(self, execution: str) -> str:
        """Whose it is, for the archive; NotFound if it is gone."""
        found = await self._ask(self._redis.hget(keys.record(execution), "tenant"))
        if found is None:
            raise NotFound(f"there is no execution {execution}")
        return str(found.decode())

    async def plan(self, execution: str, tenant: str) -> bytes:
        """The accepted plan as JSON, as it was pinned; NotFound if it is gone."""
        await self.header(execution, tenant)
        found = await self._ask(self._redis.get(keys.plan(execution)))
        if found is None:
            raise NotFound(f"there is no execution {execution}")
        return bytes(found)

    async def listing(self, tenant: str, *, before: str = "", count: int = 50) -> list[str]:
        """Ids of a tenant's executions, newest first, behind the uuid `before`."""
        pipe = self._redis.pipeline(transaction=False)
        top = f"({before}" if before else "+"
        for partition in keys.all_partitions():
            name = keys.listing(partition, tenant)
            pipe.zrange(name, top, "-", bylex=True, desc=True, offset=0, num=count)
        found = await self._ask(pipe.execute())
        rows = [
            (unique.decode(), partition)
            for partition, some in zip(keys.all_partitions(), found, strict=True)
            for unique in some
        ]
        return [f"exe_{partition}_{unique}" for unique, partition in sorted(rows, reverse=True)[:count]]

    async def headers(self, executions: Sequence[str]) -> list[dict[str, str]]:
        """Header fields of many, in one round trip; what was purged meanwhile is left out."""
        pipe = self._redis.pipeline(transaction=False)
        for execution in executions:
            pipe.hmget(keys.record(execution), list(_SHOWN))
        found = await self._ask(pipe.execute()) if executions else []
        return [
            {field: value.decode() for field, value in zip(_SHOWN, values, strict=True) if value is not None}
            for values in found
            if values[0] is not None
        ]

    async def held(self, executions: Sequence[str]) -> list[str]:
        """Those that an invocation holds just now, by the server's clock. One round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for execution in executions:
            pipe.hget(keys.record(execution), "lease_until")
        pipe.time()
        *leases, (seconds, micros) = await self._ask(pipe.execute())
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return [one for one, until in zip(executions, leases, strict=True) if int(until or 0) > now_ms]

    async def asked(self, executions: Sequence[str]) -> list[tuple[str, str, str, Hold]]:
        """(execution, step, what is asked, hold) of each approval that these wait for. Two round trips, and plans."""
        pipe = self._redis.pipeline(transaction=False)
        for execution in executions:
            pipe.get(keys.cells(execution))
        cells = dict(zip(executions, await self._ask(pipe.execute()) if executions else [], strict=True))
        waiting = {one: [m.start() for m in re.finditer(b"w", text)][:NAMED] for one, text in cells.items() if text}
        waiting = {one: found for one, found in waiting.items() if found}
        pipe = self._redis.pipeline(transaction=False)
        for execution, found in waiting.items():
            pipe.hmget(keys.record(execution), [f"w:{cell}" for cell in found])
            pipe.get(keys.plan(execution))
        parts = await self._ask(pipe.execute()) if waiting else []
        rows: list[tuple[str, str, str, Hold]] = []
        for execution, texts, plan in zip(waiting, parts[::2], parts[1::2], strict=True):
            rows += _approvals(execution, waiting[execution], texts, plan)
        return rows

    async def ping(self) -> None:
        """Unavailable unless Redis answers and keeps everything: a store that evicts would lose executions."""
        await self._ask(self._redis.ping())
        try:
            found = await self._redis.config_get("maxmemory-policy")
        except RedisError:
            return  # hosted Redis hides its configuration; its documentation must be asked
        policy = found.get("maxmemory-policy", "noeviction")
        if policy != "noeviction":
            raise Unavailable(f"Redis evicts keys (maxmemory-policy {policy}): set noeviction", code="store_evicts")

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error


def lines(found: Sequence[tuple[bytes, Mapping[bytes, bytes]]]) -> list[dict[str, Any]]:
    """Entries of a history's stream as every reader is shown them: in answers, and where progress is told."""
    return [{"id": line_id.decode(), **wire.anything(fields[b"l"])} for line_id, fields in found]


LINE_ID: Final = re.compile(r"[0-9]{1,15}(-[0-9]{1,15})?")
_SHOWN: Final = (
    "id", "status", "phase", "reason", "cause", "segment", "epoch", "fence", "ver", "created_ms", "updated_ms", "ended_ms",
    "deadline_ms", "lease_until", "wake_ms", "tries", "stalled", "message", "trace", "plan", "text", "user", "sources",
    "summary",
)  # fmt: skip


def _step(step: Step, number: int, layout: Layout, cells: bytes, part: Sequence[bytes | None]) -> StepView:
    intent = wire.intent(part[0]) if part[0] else None
    fault = wire.fault(part[1]) if part[1] else None
    result = wire.result(part[2]) if part[2] else None
    hold = wire.hold(part[5]) if part[5] else None
    where = Cell(chr(cells[number]))
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
        undo=_undo(Cell(chr(cells[layout.undo_of(number)])), part[3], part[4], part[6]),
        hold=hold_view(hold, question(step, hold)) if hold and where in {Cell.WAITING, Cell.GRANTED} else None,
        items=_items(layout, number, cells),
        child=hold.child if hold else "",
        replaced=step.replaced,
    )


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


def _named(plan: Plan, layout: Layout, cell: int) -> str:
    name, item = plan.steps[layout.step(cell)].name, layout.item(cell)
    return name if item < 0 else f"{name}.{item}"


def _cell(plan: Plan, notes: Notes, name: str) -> int | None:
    """The cell that `_named` names so."""
    numbers = {step.name: number for number, step in enumerate(plan.steps)}
    if name in numbers:
        return numbers[name]
    step, _, item = name.rpartition(".")
    region = Layout(len(plan.steps), notes.maps).of_step(numbers.get(step, -1))
    at = whole(item)
    return region.start + at if region is not None and at is not None and at < region.count else None


def _undone(layout: Layout, cells: bytes, name: Callable[[int], str]) -> dict[str, Any] | None:
    """What was taken back, what could not be, and what nobody knows of; None if nobody asked for it."""
    found: dict[str, Any] = {"done": [], "failed": [], "left": [], "open": [], "unknown": []}
    lists = {Cell.DONE: "done", Cell.FAILED: "failed", Cell.LEFT: "left"}
    more = asked = False
    for start, end in layout.forward():
        for cell in range(start, end):
            where = Cell(chr(cells[layout.undo_of(cell)]))
            if where is Cell.IDLE:
                continue
            asked = True
            kinds = [lists[where] if where in OVER else "open"] + ["unknown"] * (chr(cells[cell]) == Cell.UNKNOWN)
            for kind in kinds:
                more = more or len(found[kind]) >= NAMED
                found[kind] += [name(cell)] if len(found[kind]) < NAMED else []
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
