"""A thousand executors behind one address, and what it costs when some of them come, go or die.

Nobody owns a partition: whoever is handed a message takes that execution's lease, and writes there for one segment. So nothing
is handed over when executors come and go; what a dead one held is taken over lease by lease: by its successor in the same
place, which looks for it (`shared.left_behind`), or by anybody when the lease is over.
"""

import heapq
import random
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from shared.places import owners

LEASE_S: Final = 11.0
HARD_S: Final = 9.5
What: TypeAlias = Literal["join", "drain", "kill", "kill and restart"]
DAY: Final[Sequence[tuple[What, float]]] = (
    ("join", 0.1),
    ("kill", 0.1),
    ("kill and restart", 0.1),
    ("drain", 0.1),
    ("kill", 0.5),
    ("join", 0.5),
    ("kill and restart", 1.0),
)
"""What happens to which share of the executors, one after the other over a run."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What came of executors that came or went."""

    what: What
    executors: int
    """How many came or went."""
    left: int
    """How many there are afterwards."""
    leases: int
    """In flight at that moment, altogether."""
    orphaned: int
    """Of these, held by who is gone: each is taken over once."""
    at_once: int
    """Taken up at once, by the successor in the same place."""
    waited_s: float
    """How long the others' leases still ran, on average."""


class Fleet:
    """Executors, and the leases that they hold at each moment."""

    def __init__(self, *, seed: int, executors: int, segment_s: float = 0.4) -> None:
        """`segment_s`: how long a segment takes on average."""
        self._dice = random.Random(seed)
        self._segment_s = segment_s
        self._names = [self._name(number, 1) for number in range(executors)]
        self._places = executors
        self._flying: list[tuple[float, float, str, int]] = []
        """(when it ends, when its lease does, by whom, how many segments come after it)."""
        self.segments = 0
        self.most = 0
        """Leases at once."""

    def _name(self, place: int, number: int) -> str:
        return owners(f"{place:016x}", number)

    def begin(self, at_s: float, segments: int) -> None:
        """A message is delivered, to whichever executor the address leads."""
        self._settle(at_s)
        self._run(at_s, segments)

    def finish(self) -> None:
        """What is under way comes to its end."""
        self._settle(float("inf"))

    def _run(self, at_s: float, segments: int, who: str = "") -> None:
        """By `who`, or by whomever the address leads to."""
        who = who or self._names[int(self._dice.random() * len(self._names))]
        took = min(HARD_S, self._dice.expovariate(1 / self._segment_s))
        heapq.heappush(self._flying, (at_s + took, at_s + LEASE_S, who, segments - 1))
        self.segments += 1

    def _settle(self, at_s: float) -> None:
        flying = self._flying
        self.most = max(self.most, len(flying))
        while flying and flying[0][0] <= at_s:
            ended_s, _, _, more = heapq.heappop(flying)
            if more:
                self._run(ended_s, more)

    def happens(self, at_s: float, what: What, share: float) -> Event:
        """So large a share of the executors comes or goes at that moment."""
        self._settle(at_s)
        count, leases = round(share * len(self._names)), len(self._flying)
        gone: set[str] = set()
        back: list[str] = []
        if what == "join":
            self._names += [self._name(self._places + number, 1) for number in range(count)]
            self._places += count
        else:
            gone = set(self._dice.sample(self._names, count))
            back = [_next(name) for name in sorted(gone)] if what == "kill and restart" else []
            self._names = [name for name in self._names if name not in gone] + back
        orphans = [] if what == "drain" else self._orphans(gone)  # who is asked to stop ends what it holds
        waits = [self._taken_over(at_s, *orphan, frozenset(back)) for orphan in orphans]
        waited = [wait for wait in waits if wait]
        return Event(
            what=what,
            executors=count,
            left=len(self._names),
            leases=leases,
            orphaned=len(orphans),
            at_once=len(waits) - len(waited),
            waited_s=sum(waited) / len(waited) if waited else 0.0,
        )

    def _orphans(self, gone: set[str]) -> list[tuple[float, str, int]]:
        found = [(lease_s, who, more) for _, lease_s, who, more in self._flying if who in gone]
        self._flying = [one for one in self._flying if one[2] not in gone]
        heapq.heapify(self._flying)
        return found

    def _taken_over(self, at_s: float, lease_s: float, holder: str, more: int, back: frozenset[str]) -> float:
        """Seconds until somebody goes on: the successor of the holder, or whoever is handed the message after the lease."""
        successor = _next(holder)
        if successor in back:
            self._run(at_s, more + 1, successor)
            return 0.0
        self._run(lease_s, more + 1)
        return lease_s - at_s


def _next(name: str) -> str:
    place, number, _ = name.split(".")
    return owners(place, int(number) + 1)
