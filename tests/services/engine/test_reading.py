"""Reading an execution while it moves: everything that is shown together is of one moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from shared.machine.plan import Each
from shared.redisdb import keys
from shared.redisdb.reader import Reader
from tests.services.engine.support import TENANT, staged, step

ITEMS: Final = 40
LOOKS: Final = 150


@asynccontextmanager
async def always(what: Callable[[], Awaitable[Any]]) -> AsyncIterator[None]:
    """It happens again and again meanwhile."""

    async def run() -> None:
        while True:
            await what()

    running = asyncio.create_task(run())
    try:
        yield
        assert not running.done()
    finally:
        running.cancel()


async def moving(redis: Redis) -> tuple[str, Callable[[], Awaitable[None]]]:
    """An execution whose map is spread, and what makes it unspread, and spread again: as a commit does it, at one moment."""
    stage = staged(redis)
    execution = await stage.create([step("m", map=Each(over=list(range(ITEMS)))), step("b", "m")])
    await stage.run(execution)
    record, cells = keys.record(execution), keys.cells(execution)
    before: Any = await redis.get(cells)
    notes: Any = await redis.hget(record, "notes")
    assert len(before) == 4 + 2 * ITEMS

    async def move() -> None:
        for text, said in ((before[:4], b""), (before, notes)):
            pipe = redis.pipeline(transaction=True)
            pipe.set(cells, text)
            pipe.hset(record, "notes", said)
            await pipe.execute()

    return execution, move


async def whole(reader: Reader, execution: str) -> int:
    """How many items the one execution has that is read with others."""
    [found] = await reader.whole([execution], apart=0)
    return len(found.items.get("m", ())) if found else 0


async def viewed(reader: Reader, execution: str) -> int:
    """How many items the view's first step has."""
    items = (await reader.view(execution, TENANT)).steps[0].items
    return items["total"] if items else 0


@pytest.mark.parametrize("read", [viewed, whole])
async def test_a_map_that_is_spread_meanwhile_is_spread_or_is_not(
    redis: Redis, read: Callable[[Reader, str], Awaitable[int]]
) -> None:
    """Its cells and what says whose they are come of one moment; both states are seen."""
    execution, move = await moving(redis)
    reader, seen = Reader(redis), set()
    async with always(move):
        for _ in range(LOOKS):
            seen.add(await read(reader, execution))
    assert seen == {0, ITEMS}
