"""Who may start next: due messages in memory by lane, under two limits. Pure: no clock, no I/O.

A lane is one origin and one flow-control key of one user; it keeps the order of its messages. An origin at its limit is out of
the round until one of its deliveries finishes, so a slow host never stands in front of the others. Every operation is O(1).
Queues and flow control are no matter of memory: whoever must wait for them waits in Redis (`lua/put.lua`).
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from services.qstash_dev.model import Lane

MAX_IN_FLIGHT = 200
"""Deliveries on the wire at once."""
MAX_PER_ORIGIN = 100
"""Of these, to one origin: one slow destination leaves the other half to everybody else."""


@dataclass(slots=True, eq=False)
class Entry:
    """One due message of this process, waiting or on the wire."""

    user: str
    message_id: str
    lane: Lane


@dataclass(slots=True, eq=False)
class _Row:
    """A lane's waiting entries."""

    origin: "_Origin"
    entries: "deque[Entry]" = field(default_factory=deque)
    listed: bool = False
    """In its origin's round; never twice."""


@dataclass(slots=True, eq=False)
class _Origin:
    name: str
    in_flight: int = 0
    lanes: int = 0
    """Its lanes that have entries."""
    rows: "deque[_Row]" = field(default_factory=deque)
    listed: bool = False


class Lanes:
    """Entries go in by `add`, out by `take`, and free their place by `done`."""

    def __init__(self, *, in_flight: int = MAX_IN_FLIGHT, per_origin: int = MAX_PER_ORIGIN) -> None:
        self._free = in_flight
        self._per_origin = per_origin
        self._origins: dict[str, _Origin] = {}
        self._flying: Counter[str] = Counter()
        self._rows: dict[tuple[str, str, str], _Row] = {}
        self._round: deque[_Origin] = deque()

    def add(self, entry: Entry, *, front: bool = False) -> None:
        """A message that may start as soon as the limits let it; `front` gives back one that was taken."""
        row = self._row(entry)
        if front:
            row.entries.appendleft(entry)
        else:
            row.entries.append(entry)
        self._list(row)

    def take(self) -> list[Entry]:
        """Everything that may start now, one message per lane in turn. Each counts as in flight from here on."""
        taken: list[Entry] = []
        while self._free and self._round:
            origin = self._round.popleft()
            origin.listed = False
            entry = self._take_from(origin)
            if entry:
                taken.append(entry)
                self._list_origin(origin)
        return taken

    def done(self, entry: Entry) -> None:
        """The message is no longer in flight."""
        self._free += 1
        origin = self._origins[entry.lane.origin]
        origin.in_flight -= 1
        self._flying[entry.user] -= 1
        self._list_origin(origin)
        if not origin.in_flight and not origin.lanes:
            del self._origins[origin.name]

    def in_flight(self, user: str) -> int:
        """How many of a user's messages are on the wire."""
        return self._flying[user]

    def _take_from(self, origin: _Origin) -> Entry | None:
        if not origin.rows:
            return None
        row = origin.rows.popleft()
        row.listed = False
        return self._start(row)

    def _start(self, row: _Row) -> Entry:
        entry = row.entries.popleft()
        self._free -= 1
        row.origin.in_flight += 1
        self._flying[entry.user] += 1
        if row.entries:
            self._list(row)
        else:
            row.origin.lanes -= 1
            del self._rows[entry.user, entry.lane.origin, entry.lane.flow_key]
        return entry

    def _row(self, entry: Entry) -> _Row:
        lane = entry.lane
        key = (entry.user, lane.origin, lane.flow_key)
        row = self._rows.get(key)
        if row is None:
            origin = self._origins.setdefault(lane.origin, _Origin(lane.origin))
            row = self._rows[key] = _Row(origin)
            origin.lanes += 1
        return row

    def _list(self, row: _Row) -> None:
        if not row.listed:
            row.listed = True
            row.origin.rows.append(row)
        self._list_origin(row.origin)

    def _list_origin(self, origin: _Origin) -> None:
        if not origin.listed and origin.rows and origin.in_flight < self._per_origin:
            origin.listed = True
            self._round.append(origin)
