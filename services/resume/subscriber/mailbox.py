"""Between the client's listener, which must never wait, and the door, which may be away: a bounded queue and its workers."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from services.resume.subscriber.health import Health
from services.resume.subscriber.progress import Mail, Progress
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.mesh import Hint, Malformed, hints_of
from shared.pacing import Sparing

log = get_logger()

Take: TypeAlias = Callable[[Hint], Awaitable[tuple[str, int | None]]]
"""See `shared.door.Door.take`."""

ROOM: Final = 5_000
"""Messages that may wait. More is left to a catch-up, which waits for room."""
WORKERS: Final = 8
AT_ONCE: Final = 32
"""Hints at the door at a time: one message can name a hundred."""
AGAIN_S: Final = 0.1
AGAIN_MOST_S: Final = 5.0
CRASHES: Final = 3


class Mailbox:
    """Every message that is put in comes to the door, once, for as long as this process lives."""

    def __init__(
        self, take: Take, progress: Progress, health: Health, *, overflowed: Callable[[], None], room: int = ROOM
    ) -> None:
        """`overflowed` is told when a message was left to a catch-up."""
        self._take, self._progress, self._health = take, progress, health
        self._overflowed = overflowed
        self._queue: asyncio.Queue[Mail] = asyncio.Queue(room)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._sparing = Sparing()

    @property
    def waiting(self) -> int:
        """Messages in the queue."""
        return self._queue.qsize()

    def hear(self, mail: Mail) -> None:
        """A live message. Never waits, never raises: the client has moved on already."""
        self._health.last_message_ms = time.time_ns() // 1_000_000
        if not self._is_new(mail):
            return
        try:
            self._queue.put_nowait(mail)
        except asyncio.QueueFull:
            self._progress.dropped(mail)
            self._health.counts.heard -= 1
            self._health.counts.overflows += 1
            self._overflowed()

    async def put(self, mail: Mail) -> bool:
        """A message from history; waits for room. Whether it was new."""
        if not self._is_new(mail):
            return False
        await self._queue.put(mail)
        return True

    def _is_new(self, mail: Mail) -> bool:
        new = self._progress.admit(mail)
        self._health.counts.heard += new
        self._health.counts.duplicates += not new
        return new

    async def work(self) -> None:
        """One worker, for ever."""
        while True:
            mail = await self._queue.get()
            hints = self._read(mail)
            await asyncio.gather(*map(self._bring, hints))
            self._progress.handled(mail)
            self._health.counts.handled += 1
            if hints:
                log.info("mesh.handled", channel=mail.channel, id=mail.id, hints=len(hints))

    def _read(self, mail: Mail) -> tuple[Hint, ...]:
        counts = self._health.counts
        try:
            hints = hints_of(mail.channel, mail.id, mail.name, mail.data)
        except Malformed as error:
            counts.malformed += 1
            self._sparing.say("mesh.malformed", channel=mail.channel, id=mail.id, why=str(error))
            return ()
        except Exception as error:  # noqa: BLE001 - whatever a stranger can send must not end a worker
            counts.malformed += 1
            self._sparing.say("mesh.malformed", channel=mail.channel, id=mail.id, exc_info=error)
            return ()
        counts.ignored += not hints
        return hints

    async def _bring(self, hint: Hint) -> None:
        times = crashes = 0
        while True:
            try:
                async with self._turns:
                    _, segment = await self._take(hint)
            except Unavailable as error:
                if not times:
                    log.warning("mesh.waiting", execution=hint.execution, id=hint.message, error=error.message)
            except Exception:  # a fault of ours in one hint must not cost the others
                log.exception("mesh.not_taken", execution=hint.execution, id=hint.message)
                crashes += 1
                if crashes >= CRASHES:
                    self._health.counts.failed += 1
                    return
            else:
                self._health.counts.hints += 1
                self._health.counts.nothing += segment is None
                return
            self._health.counts.retried += 1
            await asyncio.sleep(min(AGAIN_MOST_S, AGAIN_S * 2 ** min(times, 10)) * (0.5 + random.random() / 2))
            times += 1


def mail_of(channel: str, message: Any) -> Mail:
    """A message of the official client."""
    at_ms = message.timestamp if isinstance(message.timestamp, int) else time.time_ns() // 1_000_000
    known = str(message.id or message.serial or f"{at_ms}/{hash(str(message.data))}")
    return Mail(channel=channel, id=known, name=message.name or "", data=message.data, at_ms=at_ms)
