"""A crowd and a fleet, played together: each execution is drawn, counted, and run on the fleet segment by segment."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bench.scale.crowd import Counts, Crowd
from bench.scale.fleet import DAY, Event, Fleet
from bench.scale.footprint import Footprint
from bench.scale.heat import Heat

MIX: Final = (0.3, 0.5, 0.1, 0.1)
"""The shares of `footprint.SHAPES`."""
PER_S: Final = 2_000
"""Executions that begin in a second."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a crowd."""

    heat: Heat
    fleet: Fleet
    events: list[Event]


def play(crowd: Crowd, fleet: Fleet, footprints: Sequence[Footprint], *, executions: int) -> Played:
    """Streams: nothing is kept of an execution when it is over. What happens to executors happens evenly over the run."""
    counts = Counts(len(footprints), crowd.tenants)
    segments = [round(one.segments) for one in footprints]
    events: list[Event] = []
    every, upcoming = executions // (len(DAY) + 1), iter(DAY)
    for number, (shape, tenant, partition) in enumerate(crowd.draw(executions, MIX)):
        counts.add(shape, tenant, partition)
        fleet.begin(number / PER_S, segments[shape])
        if number and number % every == 0 and (event := next(upcoming, None)):
            events.append(fleet.happens(number / PER_S, *event))
    fleet.finish()
    return Played(heat=Heat(counts, footprints), fleet=fleet, events=events)
