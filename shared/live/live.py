"""The one reader of Redis in a process that tells everybody who follows. Without anybody it does nothing.

The commands of the store write whose history has new lines to a stream of the partition, while there is one. This reads those
streams together, then the lines of what is followed here: once, however many follow. Between two rounds it pauses, a little
longer the more it has to tell, so what happens meanwhile goes out together.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from shared.errors import NotFound, TooMany, Unavailable
from shared.live.log import numbers
from shared.live.topic import Reading, Topic
from shared.logs import get_logger
from shared.redisdb import keys
from shared.redisdb.news import Item, News, Opened

log = get_logger()

BLOCK_MS: Final = 500
PAUSE_S: Final = 0.05
PAUSE_EACH_S: Final = 0.0001
"""More for each reader: with 2,000 of them a round comes four times a second."""
RENEW_S: Final = 60.0
AWAY_S: Final = 0.5
LEAVING: Final = "this server is going away; connect again with Last-Event-ID"
LOST: Final = "the store does not know any more what was told; connect again with Last-Event-ID"


class Live:
    """What this process follows for its readers."""

    def __init__(self, news: News, *, most: int, heartbeat_s: float = 15.0) -> None:
        """`most`: readers that one tenant may have here at once. `heartbeat_s`: how long one waits without hearing anything."""
        self.news = news
        self.heartbeat_s = heartbeat_s
        self.most = most
        self._readers: Counter[str] = Counter()
        self._topics: dict[str, Topic] = {}
        self._places: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._renew_at = 0.0
        self._leaving = False

    @property
    def running(self) -> bool:
        """Whether Redis is being read."""
        return self._task is not None and not self._task.done()

    @property
    def readers(self) -> int:
        """How many there are now."""
        return self._readers.total()

    @asynccontextmanager
    async def following(self, execution: str, tenant: str) -> AsyncIterator[Topic]:
        """An execution of this tenant, kept up to date until this is left. NotFound, TooMany, Unavailable."""
        try:
            keys.partition_of(execution)
        except ValueError as error:
            raise _absent(execution) from error
        with self._counted(tenant):
            topic = self._topics.setdefault(execution, Topic(execution, self.news))
            topic.readers += 1
            try:
                await self._run_on()
                if (await topic.load()).tenant != tenant:
                    raise _absent(execution)
                yield topic
            finally:
                topic.readers -= 1
                if not topic.readers and self._topics.get(execution) is topic:
                    del self._topics[execution]

    def reading(self, topic: Topic, after: str = "") -> Reading:
        """A new reader of it, behind the line `after`."""
        return Reading(topic, self.news, after)

    @contextmanager
    def _counted(self, tenant: str) -> Iterator[None]:
        if self._leaving:
            raise Unavailable(LEAVING, code="leaving")
        if self._readers[tenant] >= self.most:
            message = f"{self.most} event streams are open already: close some, or raise STREAMS_PER_TENANT"
            raise TooMany(message, code="too_many_streams", limit=self.most)
        self._readers[tenant] += 1
        try:
            yield
        finally:
            self._readers[tenant] -= 1
            if not self._readers[tenant]:
                del self._readers[tenant]

    def leave(self) -> None:
        """Send every reader away: the process is going to end, and nothing else would end their connections."""
        self._leaving = True
        self._fail(LEAVING)

    async def close(self) -> None:
        """Wait for what is under way."""
        self.leave()
        if self._task is not None:
            await asyncio.wait({self._task})

    def _fail(self, why: str) -> None:
        for topic in self._topics.values():
            topic.fail(why)

    async def _run_on(self) -> None:
        """The reader of Redis is there, and has its places: whatever is written from now on will be told."""
        if self._task is None or self._task.done():
            self._opened = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._opened))
        assert self._opened is not None  # noqa: S101 - for the type checker: it comes with the task
        await asyncio.shield(self._opened)

    async def _run(self, opened: "asyncio.Future[None]") -> None:
        try:
            self._places = {}
            await self._open()
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            opened.set_exception(error)
            opened.exception()  # and if nobody does, it is no fault
            return
        opened.set_result(None)
        while self._topics and not self._leaving:
            try:
                await self._round()
            except Unavailable as error:
                log.warning("live.away", error=error.message)
                self._renew_at = 0.0
                await asyncio.sleep(AWAY_S)
            except Exception:
                log.exception("live.failed")
                self._fail(LOST)
                await asyncio.sleep(AWAY_S)

    async def _round(self) -> None:
        if time.monotonic() >= self._renew_at:
            await self._open()
        found = await self.news.read(self._places, BLOCK_MS)
        await self._tell(found)
        self._places |= {partition: items[-1].id for partition, items in found.items()}
        if found:
            await asyncio.sleep(PAUSE_S + PAUSE_EACH_S * self.readers)

    async def _open(self) -> None:
        """Have the news go on. A store that has lost some of what was told is noticed here."""
        opened = await self.news.open()
        known, self._places = (
            self._places,
            {partition: _place(self._places.get(partition), one) for partition, one in opened.items()},
        )
        self._renew_at = time.monotonic() + RENEW_S
        if known and known != {partition: self._places[partition] for partition in known}:
            log.warning("live.lost", message=LOST)
            self._fail(LOST)

    async def _tell(self, found: Mapping[str, Sequence[Item]]) -> None:
        """Read once what each followed execution has behind its place. Unavailable: all of it is told later."""
        moved = {item.execution for items in found.values() for item in items}
        while moved:
            topics = {execution: self._topics[execution] for execution in moved if execution in self._topics}
            wanted = {execution: place for execution, topic in topics.items() if (place := topic.place) is not None}
            states = await self.news.behind(wanted) if wanted else {}
            for execution, state in states.items():
                topics[execution].take(state)
            moved = {execution for execution, state in states.items() if state.more}


def _place(known: str | None, opened: Opened) -> str:
    """Where to read on: where we were, unless the store has forgotten that place."""
    if known is None:
        return opened.last
    if opened.begun or numbers(opened.last) < numbers(known):
        return opened.first
    return known


def _absent(execution: str) -> NotFound:
    return NotFound(f"there is no execution {execution[:80]}")
