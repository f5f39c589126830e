"""The latest events of one execution, or of one tenant, encoded once for everybody who reads them. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

import msgspec

Place = tuple[int, ...]
"""Where an event stands among the others: the id of a history's line, as numbers, or a feed's count."""
START: Final[Place] = (0, 0)
MOST: Final = 2_000
MOST_BYTES: Final = 1_048_576


class Event(msgspec.Struct, frozen=True):
    """What happened, as data, and as it goes over the wire."""

    place: Place
    data: dict[str, Any]
    text: bytes
    id: str = ""
    """As the reader says it when it comes back."""


class Log:
    """A window upon the latest events. A reader is its own place in it: so it costs the same for one and for thousands."""

    def __init__(self, floor: Place = START, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        """`floor`: everything behind this place is, or will be, in the window."""
        self.floor = floor
        self.before = floor
        """The tail before the latest addition: who was there has not been slow, however much came at once."""
        self._most, self._most_bytes = most, most_bytes
        self._events: list[Event] = []
        self._bytes = 0

    @property
    def tail(self) -> Place:
        """The place of the latest event."""
        return self._events[-1].place if self._events else self.floor

    def add(self, events: Sequence[Event]) -> None:
        """These come behind all others; the oldest leave when there are too many. The latest one always stays."""
        self.before = self.tail
        self._events += events
        self._bytes += sum(len(one.text) for one in events)
        over = 0
        while len(self._events) - over > 1 and (len(self._events) - over > self._most or self._bytes > self._most_bytes):
            self._bytes -= len(self._events[over].text)
            over += 1
        if over:
            self.floor = self._events[over - 1].place
            del self._events[:over]

    def since(self, place: Place, most: int) -> Sequence[Event] | None:
        """At most so many events behind `place`, oldest first; None when some of those have left the window."""
        if place < self.floor:
            return None
        at = bisect_right(self._events, place, key=lambda one: one.place)
        return self._events[at : at + most]


def numbers(line: str) -> Place:
    """The id of a line, `<ms>-<n>` or `<ms>`, as numbers."""
    ms, _, n = line.partition("-")
    return int(ms), int(n or 0)


def name(place: Place) -> str:
    """The same as text."""
    return "-".join(map(str, place))
