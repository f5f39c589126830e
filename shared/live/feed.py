"""What happens to all executions of one tenant: ordered for each execution, shared by all who read it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from shared.live import cursor as cursors
from shared.live.cursor import Cursor, Told
from shared.live.log import Event, Log, Place, numbers
from shared.live.topic import CHUNK, SLOW, Bell, Dropped
from shared.redisdb.news import Item, News, State

MOST: Final = 20_000
MOST_BYTES: Final = 8_388_608
"""More than of one execution: whoever falls out of it has to be told of all partitions anew."""
AT_ONCE: Final = 8
"""Partitions that a reader who comes back is told of in one round trip."""


class Feed:
    """A window upon a tenant's latest events."""

    def __init__(self, tenant: str, floor_ms: int, places: Mapping[str, str]) -> None:
        """It begins behind `places`; everything up to `floor_ms` was told to whoever was there."""
        self.tenant = tenant
        self.log = Log(most=MOST, most_bytes=MOST_BYTES)
        self.bell = Bell()
        self.readers = 0
        self.fault = ""
        self._count = 0
        self._floor_ms = floor_ms
        self._at: dict[str, Told] = {partition: (*_pair(place), 0) for partition, place in places.items()}
        self._prune()

    @property
    def cursor(self) -> str:
        """The place behind everything that was added."""
        return cursors.packed(self._floor_ms, self._parts.values())

    def add(self, item: Item, state: State) -> None:
        """The lines of one entry come behind all others."""
        self.log.add([self._event(told, line) for told, line in events(item, state)])

    def settle(self, floor_ms: int) -> None:
        """Everything up to this time is told. Whoever waits for more is woken."""
        self._floor_ms = max(floor_ms, self._floor_ms)
        self._prune()
        self.bell.ring()

    def fail(self, why: str) -> None:
        """Send its readers away."""
        self.fault = why
        self.bell.ring()

    def _event(self, told: tuple[str, Told], data: dict[str, Any]) -> Event:
        partition, place = told
        self._at[partition] = place
        self._parts[partition] = cursors.entry(partition, place, self._floor_ms)
        self._count += 1
        return encoded((self._count, 0), self.cursor, data)

    def _prune(self) -> None:
        self._at = {partition: told for partition, told in self._at.items() if told[:2] > (self._floor_ms, 0)}
        self._parts = {partition: cursors.entry(partition, told, self._floor_ms) for partition, told in self._at.items()}


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events a reader wants; empty: all."""

    status: frozenset[str] = frozenset()
    executions: frozenset[str] = frozenset()

    def fits(self, data: Mapping[str, Any]) -> bool:
        """Whether it is one of them."""
        wanted = not self.status or data["status"] in self.status
        return wanted and (not self.executions or data["executionId"] in self.executions)


class FeedFollower:
    """One reader on its way through a feed."""

    def __init__(self, feed: Feed, wanted: Filter, at: Place | None = None) -> None:
        """It begins at `at`, or at what comes next."""
        self.cursor = feed.cursor
        """Behind the last event that it was given, or that was none of its."""
        self._feed, self._wanted = feed, wanted
        self._at = feed.log.tail if at is None else at

    async def next(self, wait_s: float) -> Sequence[Event]:
        """The next events that fit; none when nothing came for so long. Dropped sends the reader away."""
        found = self._feed.log.since(self._at, CHUNK)
        if found is None:
            raise Dropped(SLOW)
        if not found:
            if self._feed.fault:
                raise Dropped(self._feed.fault)
            self.cursor = self._feed.cursor
            await self._feed.bell.heard(wait_s)
            found = self._feed.log.since(self._at, CHUNK) or ()
        if found:
            self._at, self.cursor = found[-1].place, found[-1].id
        return [one for one in found if self._wanted.fits(one.data)]


def events(item: Item, state: State) -> list[tuple[tuple[str, Told], dict[str, Any]]]:
    """Each line of an entry with what is told when it is, and as readers see it."""
    more = {"executionId": item.execution}, {"status": state.status, "version": state.version}
    count = len(state.lines)
    return [
        ((item.partition, (*_pair(item.id), number if number < count else 0)), {**more[0], **line, **more[1]})
        for number, line in enumerate(state.lines, 1)
    ]


async def missed(news: News, tenant: str, since: Cursor, until: Mapping[str, str]) -> AsyncIterator[Event]:
    """What a tenant's reader with this cursor has not been told up to these places, partition by partition."""
    at = dict(since.at)
    partitions = list(until)
    for start in range(0, len(partitions), AT_ONCE):
        wanted = {one: (since.behind(one), until[one]) for one in partitions[start : start + AT_ONCE]}
        items = await news.between({one: (_from(told), end) for one, (told, end) in wanted.items()})
        for item, state in zip(items, await news.told(items), strict=True):
            for (partition, told), data in events(item, state) if state.tenant == tenant else ():
                if _after(told, since.behind(partition)):
                    at[partition] = told
                    yield encoded((0, 0), cursors.text(Cursor(since.floor_ms, at)), data)
        at |= {one: (*_pair(end), 0) for one, (_, end) in wanted.items()}


def _after(told: Told, place: Told) -> bool:
    """Whether a line comes behind a place: in a later entry, or in the same one, where `place` has not all of its lines."""
    if told[:2] != place[:2]:
        return told[:2] > place[:2]
    return place[2] != 0 and (told[2] == 0 or told[2] > place[2])


def _from(told: Told) -> str:
    """Where to read from: the entry itself, where some of its lines are still to be told."""
    ms, n, lines = told
    return f"{'' if lines else '('}{ms}-{n}"


def _pair(place: str) -> tuple[int, int]:
    ms, n = numbers(place)
    return ms, n


def encoded(place: Place, cursor: str, data: dict[str, Any]) -> Event:
    """One event on the wire."""
    return Event(place, data, b"id: " + cursor.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n", cursor)
