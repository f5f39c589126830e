"""Reads what the calls of a step have logged. See `shared.step_log` for how much of it is kept."""

from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import NotFound, Unavailable
from shared.machine.plan import Plan
from shared.machine.state import Layout
from shared.redisdb import keys, wire
from shared.redisdb.reader import Reader
from shared.step_log import MOST_ATTEMPTS, Logged, decode

_plan = msgspec.json.Decoder(Plan)


class ShownLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line, as it is shown."""

    at_ms: int
    attempt: int
    level: str
    message: str
    fields: dict[str, Any]
    undo: bool = False
    """It was logged while the step was undone."""


class ShownLog(msgspec.Struct, frozen=True, kw_only=True):
    """What a step has logged, oldest first; `truncated`: there was more than is kept."""

    lines: tuple[ShownLine, ...]
    truncated: bool


class StepLogs:
    """Reads them; a tenant sees its own only."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis
        self._reader = Reader(redis)

    async def of(self, execution: str, tenant: str, step: str) -> ShownLog:
        """Of a step, or of one item of a map (`step.3`), what its calls and those of its undo logged; NotFound."""
        await self._reader.header(execution, tenant)
        forward, undo = await self._cells(execution, step)
        pipe = self._redis.pipeline(transaction=False)
        for cell in (forward, undo):
            pipe.lrange(keys.step_log(execution, cell), 0, -1)
        pipe.hget(keys.record(execution), "log_full")
        done, undone, full = await self._ask(pipe.execute())
        lines = [*_lines(done, undo=False), *_lines(undone, undo=True)]
        cut = any(decode(text).truncated for text in (*done, *undone))
        more = max(len(done), len(undone)) > MOST_ATTEMPTS
        return ShownLog(lines=tuple(sorted(lines, key=lambda line: line.at_ms)), truncated=cut or more or bool(full))

    async def _cells(self, execution: str, step: str) -> tuple[int, int]:
        names = [keys.plan(execution), keys.record(execution)]
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(names[0])
        pipe.hget(names[1], "notes")
        plan_bytes, notes = await self._ask(pipe.execute())
        steps = [one.name for one in _plan.decode(plan_bytes).steps] if plan_bytes else []
        name, _, item = step.partition(".")
        if name in steps:
            layout = Layout(len(steps), wire.notes(notes).maps if notes else ())
            number = steps.index(name)
            if not item:
                return number, layout.undo_of(number)
            region = layout.of_step(number)
            if region and item.isascii() and item.isdigit() and int(item[:9]) < region.count:
                cell = region.start + int(item[:9])
                return cell, layout.undo_of(cell)
        raise NotFound(f"{execution} has no step {step[:80]!r}")

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error


def _lines(texts: list[bytes], *, undo: bool) -> list[ShownLine]:
    attempts: list[Logged] = [decode(text) for text in texts[-MOST_ATTEMPTS:]]
    return [
        ShownLine(at_ms=line.at_ms, attempt=one.attempt, level=line.level, message=line.message, fields=line.fields, undo=undo)
        for one in attempts
        for line in one.lines
    ]
