"""`make mutants`: every mutant in a process of its own, until a seed notices; a table of who noticed, after how many seeds."""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.simulation.mutants.loading import ROOT, install
from tests.simulation.mutants.mutants import MUTANTS, Mutant

BUDGET = 4_000
SURVIVED = "-"
BROKEN = "does not load"


class Verdict(NamedTuple):
    """Who noticed a mutant, and after how many seeds."""

    mutant: str
    check: str
    seeds: int
    seconds: float
    message: str = ""


def main(arguments: Sequence[str]) -> int:
    """The table; exit code 1 if a mutant survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only mutants with one of these in their name")
    parser.add_argument("--budget", type=int, default=BUDGET, help="seeds to play with each (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at the same time (default %(default)s)")
    parser.add_argument("--here", metavar="MUTANT", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        return _here(options.here, options.budget)
    chosen = [one for one in MUTANTS if not options.names or any(name in one.name for name in options.names)]
    with ThreadPoolExecutor(options.jobs) as pool:
        verdicts = list(pool.map(lambda one: _tell(judge(one, options.budget)), chosen))
    survivors = [one.mutant for one in verdicts if one.check in {SURVIVED, BROKEN}]
    print(f"{len(verdicts) - len(survivors)} of {len(verdicts)} mutants were noticed")
    return 1 if survivors else 0


def judge(mutant: Mutant, budget: int) -> Verdict:
    """Play seeds against one mutant, in a process of its own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.simulation.mutants", "--here", mutant.name, "--budget", str(budget)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-1:] or [""]
    check, tab, seeds = last[0].partition("\t")
    if done.returncode or not tab:
        last_words = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return Verdict(mutant.name, BROKEN, 0, time.monotonic() - began, last_words)
    return Verdict(mutant.name, check, int(seeds), time.monotonic() - began)


def _tell(verdict: Verdict) -> Verdict:
    caught = f"{verdict.check} after {verdict.seeds} seeds"
    if verdict.check in {SURVIVED, BROKEN}:
        caught = f"SURVIVED {verdict.seeds} seeds" if verdict.check == SURVIVED else f"DOES NOT LOAD: {verdict.message}"
    print(f"{verdict.mutant:<62} {caught:<60} {verdict.seconds:5.1f} s", flush=True)
    return verdict


def _here(name: str, budget: int) -> int:
    """In the child: the engine is imported only now, with the mutant in it."""
    [mutant] = [one for one in MUTANTS if one.name == name]
    install(mutant.patches)
    from shared.simulation.scenario import of_seed
    from shared.simulation.world import play

    for seed in range(budget):
        try:
            check = play(of_seed(seed)).check
        except Exception as error:  # noqa: BLE001 - a mutant may break the engine in any way: that is noticed too
            check = f"{type(error).__name__}"
        if check:
            print(f"{check}\t{seed + 1}")
            return 0
    print(f"{SURVIVED}\t{budget}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
