"""Tells the others now and then how long this process's calls take."""

import time
from typing import Final

from shared.background import Background
from shared.errors import Unavailable
from shared.estimates import Estimates
from shared.logs import get_logger
from shared.redisdb.latencies import Latencies

log = get_logger()
EVERY_S: Final = 10.0


class Measures:
    """One for a process. `tell` is called once more when it ends: nobody else knows what it measured."""

    def __init__(self, estimates: Estimates, latencies: Latencies, background: Background, *, every_s: float = EVERY_S) -> None:
        """`estimates` are the interpreter's."""
        self._every_s = every_s
        self._estimates = estimates
        self._latencies = latencies
        self._background = background
        self._running = False
        self._began = False
        """Whether a segment began since the latest round: what it measures comes after its beginning."""

    def share(self) -> None:
        """With a segment: its calls are told ten seconds after they were answered at the latest."""
        self._began = True
        if not self._running:
            self._running = True
            self._background.start(self._rounds())

    async def _rounds(self) -> None:
        """Until a round finds nothing new, so that an idle process does nothing."""
        while await self._background.pause(self._every_s) and (self._began or self._estimates.fresh):
            self._began = False
            await self.tell()
        self._running = False

    async def tell(self) -> None:
        """What is new. What Redis did not take is told the next time."""
        usual = self._estimates.usual(time.time_ns() // 1_000_000)
        if not usual:
            return
        try:
            await self._latencies.note(usual)
        except Unavailable as error:
            self._estimates.fresh.update(usual)
            log.debug("measures.not_shared", error=error.message)
