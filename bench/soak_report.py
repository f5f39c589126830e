"""What a soak's samples say: did memory, file handles, keys and latency stay level, and did they come back? Pure."""

import statistics
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench.soak_watch import Sample

LEVEL: Final = 0.05
"""What a level series may grow in an hour, as a part of itself."""
BACK: Final = 0.25
"""What may stay when the load is gone, as a part of what there was."""
LEAST: Final = 10
"""Samples under load, of which a part each is early, late and what the slope is taken from."""
SLOWER: Final = 1.5
"""How much longer the same thing may take: the machine's noise is in it."""


class Kind(msgspec.Struct, frozen=True):
    """A series: what it is read from, and what of its unit is nothing to speak of."""

    read: Callable[[Sample], float]
    spare: float


class Verdict(msgspec.Struct, frozen=True):
    """One line of the report."""

    name: str
    base: float
    early: float
    late: float
    slope_per_h: float
    after: float
    level: bool
    back: bool


def kinds(sample: Sample) -> dict[str, Kind]:
    """By name."""
    found = {
        "Redis keys that stay": Kind(lambda s: s.keys.staying, 64),
        "Redis keys that end by themselves": Kind(lambda s: s.keys.ending, 64),
        "Redis memory, MiB": Kind(lambda s: s.keys.used_mib, 4),
    }
    for name in sample.processes:
        found[f"{name}: memory, MiB"] = Kind(lambda s, n=name: s.processes[n].pss_mib, 4)  # type: ignore[misc] # n is bound
        found[f"{name}: file handles"] = Kind(lambda s, n=name: s.processes[n].handles, 4)  # type: ignore[misc] # n is bound
    return found


def verdicts(samples: Sequence[Sample]) -> list[Verdict]:
    """Of each series. ValueError without samples of `base`, ten at least of `load`, and `after`."""
    base, load, after = ([s for s in samples if s.phase == phase] for phase in ("base", "load", "after"))
    if not (base and len(load) >= LEAST and after):
        count = f"{len(base)}, {len(load)} and {len(after)}"
        raise ValueError(f"it was ended early: samples before, under ({LEAST} at least) and after its load: there are {count}")
    return [_verdict(name, kind, base, load, after) for name, kind in kinds(base[0]).items()]


def _verdict(name: str, kind: Kind, base: Sequence[Sample], load: Sequence[Sample], after: Sequence[Sample]) -> Verdict:
    fifth = len(load) // 5
    first, early, late, last = (_middle(kind, part) for part in (base, load[fifth : 2 * fifth], load[-fifth:], after))
    rise = slope([(s.at_s / 3_600, kind.read(s)) for s in load[len(load) // 2 :]])
    hours = (load[-1].at_s - load[len(load) // 2].at_s) / 3_600
    return Verdict(
        name=name,
        base=round(first, 2),
        early=round(early, 2),
        late=round(late, 2),
        slope_per_h=round(rise, 2),
        after=round(last, 2),
        level=rise * hours <= max(kind.spare, LEVEL * late * hours),
        back=last <= first + max(kind.spare, BACK * first),
    )


def _middle(kind: Kind, samples: Sequence[Sample]) -> float:
    return statistics.median(kind.read(sample) for sample in samples)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line with the least squares."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


class Speed(msgspec.Struct, frozen=True):
    """Milliseconds of one thing: alone before, early and late under load, alone after."""

    name: str
    before: float
    early: float
    late: float
    after: float
    level: bool
    back: bool


def speeds(samples: Sequence[Sample]) -> list[Speed]:
    """Of starts and of steps, the middle and the worst of a hundred."""
    return [_speed(samples, name, part) for name in ("start", "step") for part in ("p50_ms", "p99_ms")]


def _speed(samples: Sequence[Sample], name: str, part: str) -> Speed:
    def of(phase: str) -> list[float]:
        found: list[dict[str, float]] = [getattr(s.latency, name) for s in samples if s.phase == phase]
        return [value[part] for value in found if value]

    load = of("load")
    fifth = len(load) // 5
    chosen = (of("probe"), load[fifth : 2 * fifth], load[-fifth:], of("probe after"))
    before, early, late, after = (round(statistics.median(values or [0.0]), 2) for values in chosen)
    return Speed(
        name=f"{name}, {part[:3]}",
        before=before,
        early=early,
        late=late,
        after=after,
        level=late <= SLOWER * early,
        back=after <= SLOWER * before,
    )


def markdown(facts: dict[str, object], found: Sequence[Verdict], fast: Sequence[Speed]) -> str:
    """The report."""
    lines = [f"- {key}: {value}" for key, value in facts.items()]
    lines += ["", "| | before | early under load | late under load | slope an hour | after | under load | after it |"]
    lines += ["| --- |" + " --- |" * 7]
    lines += [
        f"| {v.name} | {v.base:g} | {v.early:g} | {v.late:g} | {v.slope_per_h:+g} | {v.after:g}"
        f" | {'level' if v.level else '**grows**'} | {'back' if v.back else '**stays higher**'} |"
        for v in found
    ]
    lines += ["", "| ms | alone, before | early under load | late under load | alone, after | under load | after it |"]
    lines += ["| --- |" + " --- |" * 6]
    lines += [
        f"| {s.name} | {s.before:g} | {s.early:g} | {s.late:g} | {s.after:g}"
        f" | {'level' if s.level else '**slower**'} | {'back' if s.back else '**slower**'} |"
        for s in fast
    ]
    return "\n".join(lines) + "\n"
