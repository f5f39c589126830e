"""Who may start next: due messages in memory by lane, under three limits. Pure: no clock, no I/O.

A lane is one origin and one flow-control key of one user; it keeps the order of its messages. A lane that may not start is
stepped over, so neither a slow host nor a full key ever stands in front of the others. Every operation is O(1) amortised:
an origin at its limit is out of the round, a lane at its key's limit is parked with the key, and both return when one finishes.
"""

from collections import deque
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
class _Flow:
    limit: int = 0
    limit_from_ms: int = -1
    in_flight: int = 0
    waiting: int = 0
    parked: "list[_Row]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Row:
    """A lane's waiting entries."""

    origin: "_Origin"
    flow: _Flow | None
    entries: "deque[Entry]" = field(default_factory=deque)
    listed: bool = False
    """In its origin's round, or parked with its key; never both, never twice."""


@dataclass(slots=True, eq=False)
class _Origin:
    name: str
    in_flight: int = 0
    lanes: int = 0
    """Its lanes that have entries, in the round or parked."""
    rows: "deque[_Row]" = field(default_factory=deque)
    listed: bool = False


class Lanes:
    """Entries go in by `add`, out by `take`, and free their place by `done`."""

    def __init__(self, *, in_flight: int = MAX_IN_FLIGHT, per_origin: int = MAX_PER_ORIGIN) -> None:
        self._free = in_flight
        self._per_origin = per_origin
        self._origins: dict[str, _Origin] = {}
        self._flows: dict[tuple[str, str], _Flow] = {}
        self._rows: dict[tuple[str, str, str], _Row] = {}
        self._round: deque[_Origin] = deque()

    def add(self, entry: Entry, *, front: bool = False) -> None:
        """A message that may start as soon as the limits let it; `front` gives back one that was taken."""
        row = self._row(entry)
        if row.flow:
            row.flow.waiting += 1
            self._limit(row.flow, entry.lane)
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
        flow = self._flows.get((entry.user, entry.lane.flow_key)) if entry.lane.flow_key else None
        if flow:
            flow.in_flight -= 1
            self._unpark(flow)
            if not flow.in_flight and not flow.waiting:
                del self._flows[entry.user, entry.lane.flow_key]
        self._list_origin(origin)
        if not origin.in_flight and not origin.lanes:
            del self._origins[origin.name]

    def _take_from(self, origin: _Origin) -> Entry | None:
        while origin.rows:
            row = origin.rows.popleft()
            row.listed = False
            flow = row.flow
            if flow and flow.in_flight >= flow.limit:
                row.listed = True
                flow.parked.append(row)
                continue
            return self._start(row)
        return None

    def _start(self, row: _Row) -> Entry:
        entry = row.entries.popleft()
        self._free -= 1
        row.origin.in_flight += 1
        if row.flow:
            row.flow.waiting -= 1
            row.flow.in_flight += 1
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
            flow = self._flows.setdefault((entry.user, lane.flow_key), _Flow()) if lane.flow_key else None
            row = self._rows[key] = _Row(origin, flow)
            origin.lanes += 1
        return row

    def _limit(self, flow: _Flow, lane: Lane) -> None:
        """The newest message's parallelism is the key's (docs: flow control)."""
        if lane.created_at_ms >= flow.limit_from_ms:
            flow.limit, flow.limit_from_ms = lane.parallelism, lane.created_at_ms
            self._unpark(flow)

    def _unpark(self, flow: _Flow) -> None:
        rows, flow.parked = flow.parked, []
        for row in rows:
            row.listed = False
            self._list(row)

    def _list(self, row: _Row) -> None:
        if not row.listed:
            row.listed = True
            row.origin.rows.append(row)
        self._list_origin(row.origin)

    def _list_origin(self, origin: _Origin) -> None:
        if not origin.listed and origin.rows and origin.in_flight < self._per_origin:
            origin.listed = True
            self._round.append(origin)
