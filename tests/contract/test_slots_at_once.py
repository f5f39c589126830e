"""Slots under several processes at once, on the real server and its own clock: the tool counts, and the limit holds."""

import asyncio
import sys
from pathlib import Path

from redis.asyncio import Redis

from tests.support.slot_worker import CALLERS, CALLS, LIMIT
from tests.support.valkey import Valkey

ROOT = Path(__file__).parents[2]
PROCESSES = 3


async def test_the_peak_is_the_limit(redis: Redis, valkey: Valkey) -> None:
    """Reached and never passed, by callers of which some die with their call on its way; all calls are made in the end."""
    tool_url = valkey.url.removesuffix("/0") + "/1"
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.slot_worker", valkey.url, tool_url, f"process {number}", cwd=ROOT
        )
        for number in range(PROCESSES)
    ]
    try:
        assert await asyncio.wait_for(asyncio.gather(*(one.wait() for one in workers)), timeout=120) == [0] * PROCESSES
    finally:
        for one in workers:
            if one.returncode is None:
                one.kill()
    async with Redis.from_url(tool_url) as tool:
        assert int(await tool.get("made") or 0) == PROCESSES * CALLERS * CALLS
        assert int(await tool.get("most") or 0) == LIMIT.most
    assert await redis.keys("ie:*:sq:*") == []
