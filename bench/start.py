"""How long each service takes from nothing to ready, and what it weighs: `make bench-start` (`python -m bench.start --runs 5`).

A service is started on an empty Valkey until `/readyz` answers 200: as the image has it, with the byte code of everything, and
from a copy of our code without any, which may write none (what an image without compiled code would cost). Then its memory,
and the size of the packages that its own lock file (`requirements/NAME.txt`) installs on this system.
"""

import argparse
import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from bench.installation import Installation
from bench.processes import ROOT
from bench.usage import cpu_s, memory_mib

SERVICES: Final = ("ingress", "step_executor", "resume", "qstash_dev")
OWN: Final = ("shared", "services")


class Row(msgspec.Struct, frozen=True):
    """One service. Seconds, MiB."""

    ready_s: float
    cpu_s: float
    bare_s: float
    bare_cpu_s: float
    pss_mib: float
    packages: int
    packages_mib: float


async def starts(folder: Path, code: Path, runs: int, **environ: str) -> dict[str, tuple[float, float, float]]:
    """Of each service: seconds until it is ready, the processor's part of them, and its memory then."""
    async with Installation(folder, fsync="everysec", code=code, **environ) as system:
        return {name: await _starts(system, name, runs) for name in SERVICES}


async def _starts(system: Installation, name: str, runs: int) -> tuple[float, float, float]:
    took, cpu = [], []
    for _ in range(runs):
        system.kill(name)
        began = time.monotonic()
        system.start(name)
        await system.ready(name)
        took.append(time.monotonic() - began)
        cpu.append(cpu_s(system.pids(name)))
    return statistics.median(took), statistics.median(cpu), memory_mib(system.pids(name))


def _prepare(folder: Path) -> None:
    """Two copies of our code, with byte code and without, whatever the working copy has."""
    for copy in ("whole", "bare"):
        for name in (*OWN, "bench"):
            shutil.copytree(ROOT / name, folder / copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / f"data-{copy}").mkdir()
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder / "whole")], check=True)


async def measure(folder: Path, runs: int) -> dict[str, Row]:
    """A row a service; they start one after the other on a running system."""
    _prepare(folder)
    compiled = await starts(folder / "data-whole", folder / "whole", runs, PYTHONDONTWRITEBYTECODE="1")
    bare = await starts(folder / "data-bare", folder / "bare", runs, PYTHONDONTWRITEBYTECODE="1")
    rows = {}
    for name, (ready, cpu, pss) in compiled.items():
        found = list(packages(name))
        size = sum(size for _, size in found) / 2**20
        rows[name] = Row(
            ready_s=ready,
            cpu_s=cpu,
            bare_s=bare[name][0],
            bare_cpu_s=bare[name][1],
            pss_mib=pss,
            packages=len(found),
            packages_mib=size,
        )
    return rows


def packages(service: str) -> Iterator[tuple[str, int]]:
    """Name and bytes of what a service's lock file installs here; what is for other systems is left out."""
    text = (ROOT / "requirements" / f"{service}.txt").read_text(encoding="utf8")
    for name in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE):
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        paths = (Path(str(file.locate())) for file in files)
        yield name, sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")


def own_mib() -> float:
    """What we add: our own code, as it is in a checkout, byte code left out."""
    names = subprocess.run(["git", "ls-files", *OWN], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S607
    return sum((ROOT / name).stat().st_size for name in names) / 2**20


async def main(argv: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    with TemporaryDirectory() as folder:
        rows = await measure(Path(folder), parser.parse_args(argv).runs)
    print("| service | ready, s | of it processor | without our byte code | of it processor | memory, MiB | packages | MiB |")
    print("|" + " --- |" * 8)
    for name, row in rows.items():
        print(
            f"| {name} | {row.ready_s:.2f} | {row.cpu_s:.2f} | {row.bare_s:.2f} | {row.bare_cpu_s:.2f} | {row.pss_mib:.0f}"
            f" | {row.packages} | {row.packages_mib:.1f} |"
        )
    print(f"\nour own code: {own_mib():.1f} MiB")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
