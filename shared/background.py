"""Work that outlives the request that started it."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from shared.logs import get_logger

log = get_logger()


class Background:
    """Work that goes on after its request was answered, waited for at shutdown."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    async def pause(self, seconds: float) -> bool:
        """Whether so much time has passed; False at once when everything is to end: then others carry on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
                return False
        return True

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work`; its failure is logged, not raised."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background.failed", exc_info=error)

    async def close(self) -> None:
        """Wait for all, and for what they start meanwhile; whoever pauses is told to stop."""
        self._closing.set()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
