"""One execution that somebody follows: a window upon its history, shared by all of its readers."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from shared.live.log import START, Event, Log, name, numbers
from shared.machine.status import TERMINAL
from shared.redisdb.news import News, State

CHUNK: Final = 100
"""Events that a reader is given at once, so that one does not hold the others up."""


class Dropped(Exception):
    """A reader has to connect again, and goes on where it was; the text says why."""


SLOW: Final = "this reader is too slow: more has happened than is kept for it; connect again with Last-Event-ID"
GONE: Final = "this history is gone: its retention is over"


class Bell:
    """Wakes everybody who waits, as often as it is rung."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Whoever waits now goes on."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def heard(self, seconds: float) -> None:
        """Until it is rung, at most so long. What is true when this is called must have been looked at just before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()


class Topic:
    """The execution's latest lines, and where it stands."""

    def __init__(self, execution: str, news: News) -> None:
        """Empty until it is loaded."""
        self.execution = execution
        self.state = State()
        self.log = Log()
        self.readers = 0
        self.bell = Bell()
        self.fault = ""
        """Why its readers have to connect again."""
        self._news = news
        self._loading = asyncio.Lock()
        self._loaded = self._again = False

    async def load(self) -> State:
        """Read it unless that was done; its header. Unavailable without Redis."""
        async with self._loading:
            if not self._loaded:
                state = await self._news.latest(self.execution)
                floor = numbers(state.lines[0]["id"]) if state.more else START
                self.log = Log(floor)
                known = state.lines[1:] if state.more else state.lines
                self._take(msgspec.structs.replace(state, more=False), known)
                self._loaded = True
            while self._again:  # it moved while it was being read
                self._again = False
                await self.refresh()
        return self.state

    @property
    def place(self) -> str | None:
        """The id up to which it is known; None while it is being read: then it looks again by itself."""
        if not self._loaded:
            self._again = True
            return None
        return name(self.log.tail)

    async def refresh(self) -> None:
        """Read what is behind it."""
        more = True
        while more:
            found = (await self._news.behind({self.execution: name(self.log.tail)}))[self.execution]
            self.take(found)
            more = found.more

    def take(self, state: State) -> None:
        """Tell what was found behind some earlier place; what is known already is not told again."""
        self._take(state, [line for line in state.lines if numbers(line["id"]) > self.log.tail])

    def _take(self, state: State, lines: Sequence[dict[str, Any]]) -> None:
        if not state.status and self._loaded:
            self.fault = GONE
        if lines:
            self.log.add([encoded(self.execution, line) for line in lines])
        self.state = msgspec.structs.replace(state, lines=())
        self.bell.ring()

    def fail(self, why: str) -> None:
        """Send its readers away."""
        self.fault = why
        self.bell.ring()

    async def knows(self, after: str) -> bool:
        """Whether its history has that line."""
        place = numbers(after)
        if place in (START, self.log.floor):
            return True
        before = self.log.since((place[0], place[1] - 1), 1)
        if before:
            return before[0].place == place
        return await self._news.has(self.execution, after)


class Follower:
    """One reader on its way through an execution's history: first what there was, then what comes."""

    def __init__(self, topic: Topic, news: News, after: str = "") -> None:
        """`after`: the id of the last line that the reader has; empty: it begins at the beginning."""
        self._topic, self._news = topic, news
        self._at = numbers(after) if after else START
        self._live = False

    @property
    def state(self) -> State:
        """Where the execution stands, not after the last line that `next` can give."""
        return self._topic.state

    @property
    def told(self) -> bool:
        """Whether there is nothing that `next` would give at once."""
        return self._topic.log.since(self._at, 1) == [] and not self._topic.state.more

    @property
    def over(self) -> bool:
        """Whether everything is told of an execution that is over."""
        return self.told and self._topic.state.status in TERMINAL

    @property
    def after(self) -> str:
        """The id of the last line given."""
        return name(self._at)

    async def next(self, wait_s: float) -> Sequence[Event]:
        """The next lines; none when nothing came for so long, or when it is over.

        Dropped sends the reader away; Unavailable can come while it is on its way to what is kept here.
        """
        found = self._topic.log.since(self._at, CHUNK)
        if found is None:
            found = await self._page()
        if not found and not self.over:
            self._live = True
            if self._topic.fault:
                raise Dropped(self._topic.fault)
            await self._topic.bell.heard(wait_s)
            found = self._topic.log.since(self._at, CHUNK) or ()
        if found:
            self._at = found[-1].place
        return found

    async def _page(self) -> Sequence[Event]:
        """From the history itself, what lies before the window. Not for a reader that was slow: that one has to begin anew."""
        if self._live and self._at < self._topic.log.before:
            raise Dropped(SLOW)
        lines = await self._news.page(self._topic.execution, self.after)
        if not lines:
            raise Dropped(GONE)
        return [encoded(self._topic.execution, line) for line in lines]


def encoded(execution: str, line: dict[str, Any]) -> Event:
    """A line of a history as an event on the wire."""
    text = msgspec.json.encode({"executionId": execution, **line})
    return Event(numbers(line["id"]), line, b"id: " + line["id"].encode() + b"\ndata: " + text + b"\n\n")
