"""`python -m tests.model [--long]`: search every configuration with every guard, and print what was found."""

import sys
import time

from tests.model.cases import LONG, SHORT, Case
from tests.model.search import search


def _row(case: Case, *, limit: int) -> bool:
    began = time.perf_counter()
    found = search(case.protocol(), limit=limit)
    result = (
        f"{found.fault}: {found.trace}" if found.fault else "nothing wrong" if found.exhausted else "cut, nothing wrong so far"
    )
    print(f"{case!s:<48} {found.states:>9,} {time.perf_counter() - began:>7.1f} s  {result}", flush=True)
    return not found.fault


def main(arguments: list[str]) -> int:
    """Return 0 if nothing was found."""
    cases = SHORT + LONG if "--long" in arguments else SHORT
    sound = [_row(case, limit=1_500_000) for case in cases]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
