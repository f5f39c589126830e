"""What may have been missed, read from the channels' history by REST, until it is there.

By a client of its own: calls on the realtime client renew its token, attach its channels anew, and wait until it is connected.
"""

import asyncio
import contextlib
import random
from typing import Any, Final

import httpx
from ably import AblyException, AblyRest  # type: ignore[import-untyped] # it has no py.typed

from services.resume.subscriber.health import Health
from services.resume.subscriber.judging import Pace
from services.resume.subscriber.line import Auth
from services.resume.subscriber.mailbox import Mailbox, mail_of
from services.resume.subscriber.progress import Debt, Progress
from shared.logs import get_logger

log = get_logger()

SLACK_MS: Final = 120_000
"""Read from so long before a position: clocks differ, and history has not quite the order of what is heard."""
PAGE: Final = 500
AGAIN_MOST_S: Final = 30.0
CLOSE_S: Final = 2.0


class CatchUp:
    """Settles debts, one channel after the other."""

    def __init__(
        self, options: dict[str, Any], auth: Auth, pace: Pace, *, progress: Progress, mailbox: Mailbox, health: Health
    ) -> None:
        """`options`: where the server is."""
        self._within_s = 2 * pace.answer_s
        self._again_s = pace.retry_s
        self._rest = AblyRest(
            auth_callback=auth, http_open_timeout=pace.answer_s, http_request_timeout=self._within_s, **options
        )
        self._progress, self._mailbox, self._health = progress, mailbox, health
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is a debt."""
        self._wake.set()

    async def run(self) -> None:
        """For ever. A catch-up that fails is tried again, with a growing pause."""
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            if await self._settle_all():
                failures = 0
                continue
            self._wake.set()
            await asyncio.sleep(min(AGAIN_MOST_S, self._again_s * 2 ** min(failures, 10)) * (0.5 + random.random() / 2))
            failures += 1

    async def _settle_all(self) -> bool:
        """Whether nothing went wrong."""
        good = True
        for channel, debt in self._progress.debts().items():
            try:
                await self._settle(channel, debt)
            except (TimeoutError, AblyException, httpx.HTTPError) as error:
                good = False
                self._health.counts.catch_ups_failed += 1
                log.warning("mesh.not_caught_up", channel=channel, error=f"{type(error).__name__}: {error}"[:300])
        return good

    async def _settle(self, channel: str, debt: Debt) -> None:
        found = new = 0
        start = debt.from_ms - SLACK_MS
        async with asyncio.timeout(self._within_s):
            page = await self._rest.channels.get(channel).history(direction="forwards", start=max(1, start), limit=PAGE)
        while page is not None:
            for message in page.items:
                mail = mail_of(channel, message)
                new += await self._mailbox.put(mail)
                self._progress.read(channel, debt, mail.at_ms)
            found += len(page.items)
            async with asyncio.timeout(self._within_s):
                page = await page.next()
        self._progress.settle(channel, debt)
        self._health.counts.catch_ups += 1
        self._health.counts.caught_up += new
        log.info("mesh.caught_up", channel=channel, read=found, new=new)

    async def close(self) -> None:
        """Give its connections up."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                await self._rest.close()
