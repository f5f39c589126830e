"""Whether a step still costs what it did: `make bench-guard`, or `python -m bench.guard`.

Instructions are counted (valgrind's callgrind), not seconds: the machine's noise is not in them. The work is `bench.hotpath`;
two lengths of it are subtracted, so that start-up cancels. A step is told in yards, the instructions of a fixed piece of
Python, so that another build of a like Python gives a like figure.

The base line is `bench/guard.json`, by Python's version; 3.11.9 is held to that of another 3.11 if it has none of its own.
`--write` writes it, when a change that costs more is meant, or one that costs less is to be held. Ends with 1 when a step takes
more than TOLERANCE above it. Without valgrind, and with a Python that has no base line, nothing is counted, and that is said.
"""

import argparse
import asyncio
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from bench.hotpath import STEPS
from bench.processes import ROOT
from bench.recording import record
from shared.logs import configure

TOLERANCE: Final = 0.05
SEGMENTS: Final = (5, 45)
YARDS: Final = (100, 600)
FILE: Final = ROOT / "bench" / "guard.json"
LIMIT_S: Final = 600


class Cost(msgspec.Struct, frozen=True):
    """What a step takes."""

    instructions: int
    yard: int

    @property
    def yards(self) -> float:
        """The figure that is compared."""
        return self.instructions / self.yard


class Judgement(msgspec.Struct, frozen=True):
    """What to say, and whether it is well."""

    text: str
    good: bool


def base_for(bases: dict[str, Cost], version: str) -> str | None:
    """The version whose base line holds for this one: itself, or one that differs in the last number only."""
    minor = version.rpartition(".")[0] + "."
    return version if version in bases else next((one for one in sorted(bases) if one.startswith(minor)), None)


def judge(found: Cost, base: Cost, version: str) -> Judgement:
    """Beside the base line of that version of Python."""
    told = f"a step takes {found.instructions:,} instructions, {found.yards:.2f} yards"
    change = found.yards / base.yards - 1
    beside = (
        f"{told}: {change:+.1%} of the base line for Python {version} ({base.yards:.2f} yards), {TOLERANCE:.0%} are let pass"
    )
    if change > TOLERANCE:
        return Judgement(
            f"{beside}\nthe hot path does more work: find what (callgrind_annotate), or --write if it is meant", good=False
        )
    return Judgement(beside + ("\nit does less: --write holds it there" if change < -TOLERANCE else ""), good=True)


def cost(totals: dict[str, int]) -> Cost:
    """From the instructions of each part, start-up included."""
    few, many = (totals[f"steps-{times}"] for times in SEGMENTS)
    short, long = (totals[f"yards-{times}"] for times in YARDS)
    return Cost(
        instructions=round((many - few) / ((SEGMENTS[1] - SEGMENTS[0]) * STEPS)),
        yard=round((long - short) / (YARDS[1] - YARDS[0])),
    )


def measure(folder: Path) -> Cost:
    """Run it all under callgrind; CalledProcessError if it does not end well."""
    recording, pids = folder / "recording", folder / "pids"
    recording.write_bytes(pickle.dumps(asyncio.run(record())))
    parts = [*(f"steps-{times}" for times in SEGMENTS), *(f"yards-{times}" for times in YARDS)]
    valgrind = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={folder}/out.%p"]
    subprocess.run(
        [*valgrind, sys.executable, "-m", "bench.hotpath", str(recording), str(pids), *parts],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.DEVNULL,
        timeout=LIMIT_S,
        check=True,
    )
    lines = (line.split() for line in pids.read_text(encoding="utf8").splitlines())
    return cost({name: _total(folder / f"out.{pid}") for name, pid in lines})


def _total(file: Path) -> int:
    found = re.search(r"^totals: (\d+)", file.read_text(encoding="utf8"), re.MULTILINE)
    assert found, f"callgrind did not finish {file.name}"
    return int(found[1])


def main(argv: list[str]) -> int:
    """1 if a step costs more than it did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make what is found the base line of this Python")
    words = parser.parse_args(argv)
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not there (apt-get install valgrind)")
        return 0
    version = platform.python_version()
    bases = msgspec.json.decode(FILE.read_bytes(), type=dict[str, Cost]) if FILE.exists() else {}
    base = base_for(bases, version)
    if base is None and not words.write:
        print(f"skipped: there is no base line for Python {version} in {FILE.relative_to(ROOT)}, only for {', '.join(bases)}")
        return 0
    configure(service="bench", format="json", level="error")
    with TemporaryDirectory() as folder:
        found = measure(Path(folder))
    if words.write or base is None:
        base, bases[version] = version, found
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(bases), indent=2) + b"\n")
    said = judge(found, bases[base], base)
    print(said.text)
    return 0 if said.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
