"""The tool that the shapes of `bench.engine` call: n -> n + 1, with a line in the step log when it begins and when it ends.

The log is what speed and repeated work are read off, by the machine-wide monotonic clock. `STEPLOG` names the file.
"""

import asyncio
import os
import time
from functools import cache

from shared.tools.declare import tool
from shared.tools.registry import Call


@cache
def _log() -> int:
    return os.open(os.environ["STEPLOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def _mark(kind: bytes, run: str, n: int) -> None:
    os.write(_log(), b"%s %s %d %d %d\n" % (kind, run.encode(), n, time.monotonic_ns(), os.getpid()))


@tool(effect="pure", timeout_ms=2_000)
async def bench_step(_: Call, *, run: str, n: int, pause_ms: float = 0) -> int:
    """Count one further."""
    _mark(b"b", run, n)
    if pause_ms:
        await asyncio.sleep(pause_ms / 1_000)
    _mark(b"e", run, n)
    return n + 1
