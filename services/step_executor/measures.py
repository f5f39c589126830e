"""Tells the others now and then how long this process's calls take."""

import time
from typing import Final

from shared.errors import Unavailable
from shared.estimates import Estimates
from shared.logs import get_logger
from shared.redisdb.latencies import Latencies

log = get_logger()
EVERY_S: Final = 10.0


class Measures:
    """One for a process."""

    def __init__(self, estimates: Estimates, latencies: Latencies) -> None:
        """`estimates` are the interpreter's."""
        self._estimates = estimates
        self._latencies = latencies
        self._at = -EVERY_S

    async def share(self) -> None:
        """With a segment: at most every ten seconds, and only what is new."""
        now = time.monotonic()
        if now - self._at < EVERY_S or not self._estimates.fresh:
            return
        self._at = now
        try:
            await self._latencies.note(self._estimates.usual(time.time_ns() // 1_000_000))
        except Unavailable as error:
            log.debug("measures.not_shared", error=error.message)
