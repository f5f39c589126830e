"""Many seeds, over some processes: what was run, what went wrong in it, what came of it, and what it never reached."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import msgspec

from shared.machine.status import MOVES, IllegalMove, Status, check_move
from shared.simulation.scenario import Scenario, of_seed
from shared.simulation.shrink import shrink
from shared.simulation.world import Outcome, play

CHUNK = 50


class Summary(msgspec.Struct, kw_only=True):
    """What many runs came to."""

    runs: int = 0
    seconds: float = 0.0
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    injected: Counter[str] = msgspec.field(default_factory=Counter)
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    moves: Counter[str] = msgspec.field(default_factory=Counter)
    broken: list[tuple[int, str, str]] = []
    """(seed, check, message), at most a handful for each check."""

    def add(self, outcome: Outcome) -> None:
        """One more run."""
        self.runs += 1
        self.ends.update(outcome.ends)
        self.injected.update(outcome.injected)
        self.counts.update(outcome.counts)
        self.moves.update(outcome.moves)
        if outcome.check:
            self.broken.append((outcome.seed, outcome.check, outcome.message))

    def merge(self, other: "Summary") -> None:
        """The runs of another process."""
        self.runs += other.runs
        for mine, theirs in (
            (self.ends, other.ends),
            (self.injected, other.injected),
            (self.counts, other.counts),
            (self.moves, other.moves),
        ):
            mine.update(theirs)
        self.broken += other.broken


def run(seeds: Sequence[int], *, jobs: int = 1, strict: bool | None = None) -> Summary:
    """Play every seed. `strict`: see `scenario.of_seed`."""
    began = time.monotonic()
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    summary = Summary()
    for part in _parts(chunks, jobs, strict):
        summary.merge(part)
    summary.seconds = time.monotonic() - began
    return summary


def _parts(chunks: Sequence[Sequence[int]], jobs: int, strict: bool | None) -> Iterator[Summary]:  # noqa: FBT001 - of `run`
    if jobs <= 1:
        yield from (_chunk(chunk, strict) for chunk in chunks)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_chunk, chunks, [strict] * len(chunks))


def _chunk(seeds: Sequence[int], strict: bool | None) -> Summary:  # noqa: FBT001 - by ProcessPoolExecutor.map
    summary = Summary()
    for seed in seeds:
        summary.add(play(of_seed(seed, strict=strict)))
    return summary


# reading it


def render(summary: Summary) -> str:
    """The report, for people."""
    executions = summary.counts["executions"]
    rate = executions / max(summary.seconds, 1e-9)
    lines = [
        f"{summary.runs} runs, {executions} executions in {summary.seconds:.1f} s: {rate:.0f} executions/s",
        _table("outcomes", summary.ends),
        _table("faults injected", summary.injected),
        _costs(summary),
        _coverage(summary),
    ]
    return "\n\n".join(lines)


def _table(title: str, counts: Counter[str]) -> str:
    rows = [f"  {name:<32}{count:>9}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    return "\n".join([title, *(rows or ["  none"])])


def _costs(summary: Summary) -> str:
    """An execution's mean cost: a regression shows here before anybody complains."""
    executions = max(summary.counts["executions"], 1)
    early = sum(count for name, count in summary.counts.items() if name.startswith("wake ") and name != "wake lease")
    commands = sum(count for name, count in summary.counts.items() if name.startswith("command "))
    means = {
        "messages": summary.counts["messages"],
        "deliveries": summary.counts["deliveries"],
        "segments": summary.counts["wake lease"],
        "wakes in vain": early,
        "calls of tools": summary.counts["calls"],
        "commands to Redis": commands,
    }
    return "\n".join(["an execution's mean", *(f"  {name:<32}{count / executions:>9.2f}" for name, count in means.items())])


def _coverage(summary: Summary) -> str:
    legal = {f"{a} -> {b}" for a, targets in MOVES.items() for b in targets}
    made = {name for name, count in summary.moves.items() if count}
    never = sorted(legal - made)
    refused, pairs = illegal_moves_refused()
    told = f"status moves: {len(legal & made)} of {len(legal)} legal ones made"
    return "\n".join([f"{told}; {refused} of {pairs} illegal ones are refused", *(f"  never: {name}" for name in never)])


def illegal_moves_refused() -> tuple[int, int]:
    """How many illegal moves `check_move` refuses, of how many."""
    illegal = [(a, b) for a in Status for b in Status if a is not b and b not in MOVES[a]]
    return sum(_refused(origin, target) for origin, target in illegal), len(illegal)


def _refused(origin: Status, target: Status) -> bool:
    try:
        check_move(origin, target)
    except IllegalMove:
        return True
    return False


# a failing seed


def explain(seed: int, *, strict: bool | None = None, smaller: bool = True) -> str:
    """A seed's story: its scenario (cut down, if it fails) and its timeline."""
    scenario = of_seed(seed, strict=strict)
    outcome = play(scenario)
    if outcome.check and smaller:
        scenario = shrink(scenario, lambda less: play(less).check == outcome.check)
    told = play(scenario, kept=True)
    again = f"intention sim --seed {seed}{' --strict' if strict else ''}"
    verdict = f"BROKEN: {told.message}" if told.check else f"ended as {told.ends}"
    cut = f"{len(of_seed(seed).faults)} faults, cut down to {len(scenario.faults)}" if outcome.check else ""
    return "\n".join([f"seed {seed} {cut}", *_written(scenario), "", *told.timeline, "", verdict, f"again: {again}"])


def _written(scenario: Scenario) -> Iterator[str]:
    for number, plan in enumerate(scenario.plans):
        yield f"  plan {number}" + (f", to end within {plan.timeout_ms} ms" if plan.timeout_ms else "")
        for step in plan.steps:
            needs = f" needs {', '.join(step.needs)}" if step.needs else ""
            yield f"    {step.name}: {step.tool} {step.args or ''}{needs}"
    yield f"  setting {msgspec.json.encode(scenario.setting).decode()}"
    yield from (f"  fault: {fault}" for fault in scenario.faults)
