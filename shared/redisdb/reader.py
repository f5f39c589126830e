"""Reading for people: pages of an execution, of its history, and of a tenant's list. Never on the engine's path."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import BadRequest, NotFound, Unavailable
from shared.machine.plan import Plan, Step
from shared.machine.status import Cell
from shared.redisdb import keys, wire

PAGE: Final = 500
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


class View(msgspec.Struct, frozen=True, kw_only=True):
    """An execution as a reader sees it."""

    id: str
    fields: dict[str, str]
    steps: tuple[StepView, ...]
    total_steps: int
    done_steps: int
    next_step: int | None
    """Where the next page of steps begins; None on the last one."""


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
        wanted = range(min(first, size), min(first + count, size))
        parts = await self._parts(execution, wanted, size)
        steps = tuple(_step(plan.steps[n], n, size, cells, part) for n, part in zip(wanted, parts, strict=True))
        after = first + count
        return View(
            id=execution,
            fields=header,
            steps=steps,
            total_steps=size,
            done_steps=cells.count(b"d", 0, size),
            next_step=after if after < size else None,
        )

    async def _parts(self, execution: str, wanted: range, size: int) -> list[Sequence[bytes | None]]:
        pipe = self._redis.pipeline(transaction=False)
        for number in wanted:
            undo = number + size
            pipe.hmget(keys.record(execution), [f"i:{number}", f"f:{number}", f"r:{number}", f"f:{undo}", f"r:{undo}"])
        found: list[Sequence[bytes | None]] = await self._ask(pipe.execute()) if wanted else []
        return found

    async def output(self, execution: str, tenant: str, step: str) -> bytes:
        """The JSON of one step's output, however large; NotFound while there is none."""
        await self.header(execution, tenant)
        plan_bytes = await self._ask(self._redis.get(keys.plan(execution)))
        names = [one.name for one in _plan.decode(plan_bytes).steps] if plan_bytes else []
        if step not in names:
            raise NotFound(f"{execution} has no step {step[:80]!r}")
        cell = names.index(step)
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
        if after != "-" and not _LINE_ID.fullmatch(after):
            raise BadRequest(f"after={after[:40]!r} is no place in a history: give the `next` of the page before", at="after")
        start = after if after == "-" else f"({after}"
        found = await self._ask(self._redis.xrange(keys.history(execution), min=start, count=count))
        return [{"id": line_id.decode(), **wire.anything(fields[b"l"])} for line_id, fields in found]

    async def whole(self, execution: str) -> dict[str, Any]:
        """Everything of one execution, for the archive; NotFound if it is gone. Pages, so that no reply is without bound."""
        tenant = await self._ask(self._redis.hget(keys.record(execution), "tenant"))
        if tenant is None:
            raise NotFound(f"there is no execution {execution}")
        view = await self.view(execution, tenant.decode())
        steps = list(view.steps)
        while view.next_step is not None:
            view = await self.view(execution, tenant.decode(), first=view.next_step)
            steps += view.steps
        steps = [await self._whole_step(execution, tenant.decode(), step) for step in steps]
        history = await self.history(execution, tenant.decode())
        while history and (more := await self.history(execution, tenant.decode(), after=history[-1]["id"])):
            history += more
        return {"id": execution, "tenant": tenant.decode(), "header": view.fields, "steps": steps, "history": history}

    async def _whole_step(self, execution: str, tenant: str, step: StepView) -> StepView:
        if step.large_output is None:
            return step
        return msgspec.structs.replace(step, output=msgspec.Raw(await self.output(execution, tenant, step.name)))

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


_LINE_ID: Final = re.compile(r"[0-9]{1,15}(-[0-9]{1,15})?")
_SHOWN: Final = (
    "id", "status", "phase", "reason", "cause", "segment", "epoch", "fence", "ver", "created_ms", "updated_ms", "ended_ms",
    "deadline_ms", "lease_until", "wake_ms", "tries", "stalled", "message", "trace", "plan", "text", "user", "sources",
    "summary",
)  # fmt: skip


def _step(step: Step, number: int, size: int, cells: bytes, part: Sequence[bytes | None]) -> StepView:
    intent = wire.intent(part[0]) if part[0] else None
    fault = wire.fault(part[1]) if part[1] else None
    result = wire.result(part[2]) if part[2] else None
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
        undo=_undo(Cell(chr(cells[number + size])), part[3], part[4]),
    )


def _undo(where: Cell, fault: bytes | None, result: bytes | None) -> dict[str, Any] | None:
    if where is Cell.IDLE:
        return None
    shown: dict[str, Any] = {"status": where.name}
    if result:
        shown["ended_ms"] = wire.result(result).ended_ms
    elif fault:
        found = wire.fault(fault)
        shown["error"] = {"code": found.code, "message": found.message}
    return shown
