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
from shared.live.cursor import SETTLED_MS, Cursor
from shared.live.feed import Feed, FeedFollower, Filter, missed
from shared.live.log import Event, numbers
from shared.live.topic import Bell, Follower, Topic
from shared.logs import get_logger
from shared.redisdb import keys
from shared.redisdb.news import KEPT, Item, News, Opened, State

log = get_logger()

BLOCK_MS: Final = 500
PAUSE_S: Final = 0.05
PAUSE_EACH_S: Final = 0.0001
"""More for each reader: with 2,000 of them a round comes four times a second."""
RENEW_S: Final = 60.0
"""How often the news are asked to go on, and whether the store still knows them."""
AWAY_S: Final = 0.5
LEAVING: Final = "this server is going away; connect again with Last-Event-ID"
OWNERS: Final = 20_000
"""Executions whose tenant is remembered while a feed is read."""
CATCH_UP_S: Final = 5.0
FORGOTTEN: Final = "more has happened since then than is kept: it goes on from now, read the lists again"
MISSED: Final = "more has happened at once than is kept; connect again"
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
        self._feeds: dict[str, Feed] = {}
        self._owners: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._floor_ms = 0
        self._rounds = Bell()
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self.renew_s = RENEW_S
        self._renewed_s = 0.0
        self._leaving = False
        self._joining = 0

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

    def follower(self, topic: Topic, after: str = "") -> Follower:
        """A new reader of it, behind the line `after`."""
        return Follower(topic, self.news, after)

    @asynccontextmanager
    async def feed(self, tenant: str) -> AsyncIterator[Feed]:
        """Everything of this tenant, from now on, until this is left. TooMany, Unavailable."""
        with self._counted(tenant):
            self._joining += 1
            try:
                await self._run_on()
                feed = self._feeds.setdefault(tenant, Feed(tenant, self._floor_ms, self._places))
                feed.readers += 1
            finally:
                self._joining -= 1
            try:
                yield feed
            finally:
                feed.readers -= 1
                if not feed.readers and self._feeds.get(tenant) is feed:
                    del self._feeds[tenant]

    async def resume(self, feed: Feed, wanted: Filter, since: Cursor) -> "tuple[AsyncIterator[Event], FeedFollower] | None":
        """What a reader with this cursor has missed, and how it goes on; None when that is not known any more."""
        if not await self._caught_up(since):
            return None
        # From one moment: what was told until now is read from the store, and what comes now is in the feed.
        places, follower = dict(self._places), FeedFollower(feed, wanted)
        opened = await self.news.open()
        if any(_forgotten(since.behind(one)[:2], now) for one, now in opened.items()):
            return None
        return _fitting(missed(self.news, feed.tenant, since, places), wanted), follower

    async def _caught_up(self, since: Cursor) -> bool:
        """Another process may have told more than this one has read: then this one is a moment behind."""
        ends = time.monotonic() + CATCH_UP_S
        while any(told[:2] > numbers(self._places[one]) for one, told in since.at.items()):
            if time.monotonic() > ends:
                return False
            await self._rounds.heard(ends - time.monotonic())
        return True

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
        followed: list[Topic | Feed] = [*self._topics.values(), *self._feeds.values()]
        for one in followed:
            one.fail(why)

    async def _run_on(self) -> None:
        """The reader of Redis is there, and has its places: whatever is written from now on will be told."""
        if self._task is None or self._task.done():
            self._opened = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._opened))
        assert self._opened is not None  # noqa: S101 - for the type checker: it comes with the task
        await asyncio.shield(self._opened)

    async def _run(self, opened: "asyncio.Future[None]") -> None:
        try:
            self._places, self._owners = {}, {}
            await self._open()
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            opened.set_exception(error)
            opened.exception()  # and if nobody does, it is no fault
            return
        opened.set_result(None)
        while (self._topics or self._feeds or self._joining) and not self._leaving:
            try:
                await self._round()
            except Unavailable as error:
                log.warning("live.away", error=error.message)
                self._renewed_s = 0.0
                await asyncio.sleep(AWAY_S)
            except Exception:
                log.exception("live.failed")
                self._fail(LOST)
                await asyncio.sleep(AWAY_S)

    async def _round(self) -> None:
        if time.monotonic() - self._renewed_s >= self.renew_s:
            await self._open()
        found = await self.news.read(self._places, BLOCK_MS)
        full = [partition for partition, items in found.items() if len(items) >= KEPT]
        kept = [await self.news.keeps(partition, self._places[partition]) for partition in full]
        await self._tell(found)
        for_feeds = await self._for_feeds([item for items in found.values() for item in items])
        # From here to the end of the round nothing is waited for: what a feed has told and its places are the same.
        for feed, item, state in for_feeds:
            feed.add(item, state)
        self._places |= {partition: items[-1].id for partition, items in found.items()}
        if not full:
            self._settle()
        for feed in self._feeds.values():
            feed.settle(self._floor_ms)
            if not all(kept):
                feed.fail(MISSED)
        self._rounds.ring()
        if found and not full:
            await asyncio.sleep(PAUSE_S + PAUSE_EACH_S * self.readers)

    async def _open(self) -> None:
        """Have the news go on. A store that has lost some of what was told is noticed here."""
        opened = await self.news.open()
        known, self._places = (
            self._places,
            {partition: _place(self._places.get(partition), one) for partition, one in opened.items()},
        )
        self._renewed_s = time.monotonic()
        if not known:
            self._settle()
        if known and known != {partition: self._places[partition] for partition in known}:
            log.warning("live.lost", message=LOST)
            self._fail(LOST)

    def _settle(self) -> None:
        """All partitions were read together up to the latest entry of all: what is a minute older was told in each."""
        self._floor_ms = max(numbers(place)[0] for place in self._places.values()) - SETTLED_MS

    async def _for_feeds(self, items: Sequence[Item]) -> list[tuple[Feed, Item, State]]:
        """Of these entries those that somebody's feed tells, with their lines."""
        if not self._feeds:
            return []
        unknown = list(dict.fromkeys(item.execution for item in items if item.execution not in self._owners))
        if len(self._owners) > OWNERS:
            self._owners.clear()
            unknown = list(dict.fromkeys(item.execution for item in items))
        self._owners |= zip(unknown, await self.news.tenants(unknown), strict=True)
        ours = [item for item in items if self._owners[item.execution] in self._feeds]
        states = await self.news.told(ours)
        feeds = [self._feeds.get(self._owners[item.execution]) for item in ours]
        return [(feed, item, state) for feed, item, state in zip(feeds, ours, states, strict=True) if feed and state.lines]

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


def _forgotten(told: tuple[int, int], now: Opened) -> bool:
    """Whether entries behind this place may have left a partition's news."""
    first = numbers(now.first)
    if now.whole:  # a little older is no gap: before the first reader there was nothing that could have been told
        return told[0] < first[0] - SETTLED_MS
    return told < first


async def _fitting(found: AsyncIterator[Event], wanted: Filter) -> AsyncIterator[Event]:
    async for one in found:
        if wanted.fits(one.data):
            yield one


def _absent(execution: str) -> NotFound:
    return NotFound(f"there is no execution {execution[:80]}")
