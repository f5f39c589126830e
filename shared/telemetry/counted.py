"""What one process shows of itself: its tally, watchdog and channels as samples. Pure reading; nothing is asked of anybody."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from shared.circuit import Breaker
from shared.invariant import Invariant
from shared.room import Room
from shared.tally import Histogram, Tally
from shared.telemetry import names
from shared.telemetry.names import Metric
from shared.watchdog import Watchdog

Sample: TypeAlias = tuple[Metric, tuple[str, ...], float]
"""A metric, its labels' values, and its own."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What this process has; what a service is without stays out."""

    tally: Tally
    watchdog: Watchdog
    channels: Mapping[str, Breaker]
    rooms: Mapping[str, Room] = field(default_factory=dict)
    """By kind of request."""
    hints: Mapping[str, int] | None = None
    """The door's counts."""
    mesh: Callable[[], Mapping[str, Any]] | None = None
    """The subscriber's report."""
    invariant: Invariant | None = None


def samples(counted: Counted) -> Iterator[Sample]:
    """All but the histograms."""
    yield from _tallied(counted.tally)
    yield from _watched(counted.watchdog)
    for name, breaker in counted.channels.items():
        yield names.CHANNEL, (name,), float(breaker.there)
    for kind, room in counted.rooms.items():
        yield names.AT_WORK, (kind,), room.at_work
        yield names.REFUSED, (kind,), room.refused
    if counted.hints is not None:
        yield from _hinted(counted.hints, counted.mesh() if counted.mesh else None)
    if counted.invariant is not None:
        yield names.BROKEN, (), counted.invariant.report()["broken"]


def histograms(counted: Counted) -> Iterator[tuple[Metric, tuple[str, ...], Histogram]]:
    """How long things take."""
    tally = counted.tally
    yield names.SEGMENT, (), tally.segment_s
    yield names.LAG, (), tally.lag_s
    for labels, histogram in tally.steps_s.items():
        yield names.STEP, labels, histogram


def _tallied(tally: Tally) -> Iterator[Sample]:
    yield names.ACCEPTED, (), tally.accepted
    yield names.STARTED, (), tally.started
    for metric, counts in ((names.ENDED, tally.ended), (names.SEGMENTS, tally.segments), (names.PUBLISHED, tally.published)):
        yield from ((metric, (label,), count) for label, count in counts.items())
    for why, count in tally.not_run.items():
        yield (names.CONFLICTS if why in {"held", "lost"} else names.NOT_RUN), (why,), count
    yield from ((names.ATTEMPTS, labels, count) for labels, count in tally.attempts.items())


def _watched(watchdog: Watchdog) -> Iterator[Sample]:
    report = watchdog.report()
    yield names.SWEEPS, (), report["sweeps"]
    yield from ((names.RESENT, (way,), count) for way, count in report["resent"].items())
    yield names.RELAYED, (), report["relayed"]
    yield names.LEFT, (), report["left"]
    yield names.WINDOW, (), report["window"]["size"]
    if report["executor"] is not None:
        yield names.EXECUTOR, (), float(report["executor"]["there"])


def _hinted(hints: Mapping[str, int], report: Mapping[str, Any] | None) -> Iterator[Sample]:
    yield from ((names.HINTS, (result,), count) for result, count in hints.items())
    heard = report["counts"]["malformed"] if report else 0
    yield names.MALFORMED, (), heard + hints.get("malformed", 0)
    if report is not None:
        yield from _meshed(report)


def _meshed(report: Mapping[str, Any]) -> Iterator[Sample]:
    counts = {what: count for what, count in report["counts"].items() if what != "malformed"}
    yield from ((names.MESH, (what,), count) for what, count in counts.items())
    yield names.CONNECTED, (), float(report["connected"])
    yield names.REBUILDS, (), report["rebuilds"]
    yield names.WAITING, (), report["waiting"]
