"""The subscriber as it runs: one client after the other, a mailbox and a catch-up that outlive them, and what is remembered."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from services.resume.subscriber import channels
from services.resume.subscriber.health import Health
from services.resume.subscriber.history import CatchUp
from services.resume.subscriber.judging import Pace, View, pace_of, pause_s, why_replace
from services.resume.subscriber.line import Auth, Line, client
from services.resume.subscriber.mailbox import ROOM, WORKERS, Mailbox, Take
from services.resume.subscriber.progress import Progress
from services.resume.subscriber.quiet import silence
from shared.ably import api_key, bearer, client_options
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.redisdb.positions import Positions
from shared.settings import Settings

log = get_logger()

KEEP_EVERY_S: Final = 5.0
KEEP_S: Final = 1.0
"""How long the end waits for Redis to take the positions."""
AGAIN_S: Final = 1.0
CLOSE_S: Final = (3.0, 1.0, 1.0)
"""A client's goodbye takes two seconds at most."""
LOOK_S: Final = 0.25
"""A state that changes is looked at at once; this is for what changes by time alone."""
BLINK_S: Final = 1.0
"""A client that renews its token attaches its channels anew, one whose socket drops is back in a moment: not worth a line."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Subscriber:
    """Started and closed with its service, which is ready without it. Needs neither Ably nor Redis to start."""

    def __init__(
        self,
        settings: Settings,
        take: Take,
        positions: Positions,
        *,
        auth: Auth | None = None,
        pace: Pace | None = None,
        room: int = ROOM,
    ) -> None:
        """`settings` have an ABLY_API_KEY. `auth` gives the client its tokens; `pace` and `room` are the usual ones."""
        self._names = channels.names(settings)
        self._take, self._positions, self._room = take, positions, room
        self._pace = pace or pace_of(settings)
        self._options = client_options(settings)
        self._auth = auth or bearer(api_key(settings.ably_api_key), channels.capability(self._names))
        self.health = Health(self._names, _now_ms())
        self._progress: Progress | None = None
        self._mailbox: Mailbox | None = None
        self._catch_up: CatchUp | None = None
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._told_up = False

    def start(self) -> None:
        """Begin, in the background."""
        silence()
        self._begin("begin", self._run)

    def _begin(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(_until_done(what, work)))

    async def close(self) -> None:
        """Stop within bounded time. What waits is read again by the next start."""
        self._closing = True
        for patience_s in CLOSE_S:  # more than once: a cancellation can be lost in somebody else's client
            left = [task for task in self._tasks if not task.done()]
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=patience_s)
        if self._catch_up:
            await self._catch_up.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEEP_S):
                await self._keep()

    def report(self) -> dict[str, Any]:
        """As `GET /api/health/mesh` shows it."""
        behind = tuple(self._progress.debts()) if self._progress else ()
        return self.health.report(waiting=self._mailbox.waiting if self._mailbox else 0, behind=behind)

    def ok(self) -> bool:
        """False when it has not been connected for more than a minute."""
        return self.health.ok(_now_ms())

    async def _run(self) -> None:
        self._progress = progress = Progress(await self._load(), now_ms=_now_ms())
        if self._closing:
            return
        self._mailbox = mailbox = Mailbox(self._take, progress, self.health, overflowed=self._overflowed, room=self._room)
        self._catch_up = CatchUp(self._options, self._auth, self._pace, progress=progress, mailbox=mailbox, health=self.health)
        for _ in range(WORKERS):
            self._begin("work", mailbox.work)
        self._begin("catch_up", self._catch_up.run)
        self._begin("keep", self._keep_always)
        self._begin("listen", lambda: self._listen(mailbox))

    async def _load(self) -> dict[str, int]:
        while True:
            try:
                return await self._positions.load()
            except Unavailable as error:  # without Redis nothing could be handled either
                log.warning("mesh.waiting", error=error.message)
                await asyncio.sleep(AGAIN_S)

    # one client after the other

    async def _listen(self, mailbox: Mailbox) -> None:
        in_a_row = 0
        while True:
            line = Line(client(self._options, self._auth, self._pace), hear=mailbox.hear, gap=self._missed)
            line.open(self._names)
            began = time.monotonic()
            try:
                why = await self._watch(line)
            finally:
                await line.close()
            in_a_row = 0 if time.monotonic() - began > 4 * self._pace.lost_s else in_a_row + 1
            pause = pause_s(in_a_row, random.random(), self._pace)
            self.health.rebuilt(why, _now_ms())
            log.warning("mesh.rebuilt", why=why, nth=self.health.counts.rebuilds, pause_s=round(pause, 2))
            await asyncio.sleep(pause)

    async def _watch(self, line: Line) -> str:
        """Until this client will not do any more: why."""
        pinged = time.monotonic()
        while True:
            line.changed.clear()
            view = line.view()
            self._tell(view)
            if why := why_replace(view, self._pace):
                self._lost(why)
                return why
            wait_s = self._pace.ping_s if not view.unanswered else 0.0
            if view.connection == "connected" and time.monotonic() - pinged >= wait_s:
                await line.ping(self._pace.answer_s)
                pinged = time.monotonic()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_S, self._pace.ping_s)):  # wait_for can swallow a cancellation
                    await line.changed.wait()

    def _tell(self, view: View) -> None:
        self.health.look(view, _now_ms())
        if view.up and not self._told_up:
            self._told_up = True
            refused = [name for name, one in view.channels.items() if one.refused]
            heard = len(view.channels) - len(refused)
            log.info("mesh.connected", message=f"Listening on {heard} channels", channels=list(view.channels))
            if refused:
                log.error("mesh.refused", channels=refused, message="The key of ABLY_API_KEY may not subscribe to these")
        elif not view.up and view.down_s > BLINK_S:
            self._lost(f"{view.connection} ({view.code})")

    def _lost(self, why: str) -> None:
        if self._told_up:
            self._told_up = False
            log.warning("mesh.lost", why=why)

    # what may be missing

    def _missed(self, channel: str) -> None:
        if self._progress and self._catch_up:
            self._progress.missed(channel)
            self._catch_up.wake()

    def _overflowed(self) -> None:
        if self.health.counts.overflows % 1_000 == 1:
            log.warning("mesh.overflowed", waiting=self._room, message="More comes than is handled: a catch-up will bring it")
        if self._catch_up:
            self._catch_up.wake()

    async def _keep_always(self) -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            await self._keep()

    async def _keep(self) -> None:
        if self._progress is None:
            return
        with contextlib.suppress(Unavailable):  # the place of five seconds ago will do
            await self._positions.save({name: self._progress.position(name) for name in self._names})


async def _until_done(what: str, work: Callable[[], Awaitable[None]]) -> None:
    """A fault of ours in one part is logged and the part begins again: the others must not go with it."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("mesh.crashed", what=what)
            await asyncio.sleep(AGAIN_S)
        else:
            return
