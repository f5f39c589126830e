"""The engine and its peers, measured one after the other on this machine, in one table: `make bench-peers`.

`--peers` is a folder with a `NAME_peer.py` for each peer, which prints a JSON line with the keys of `bench.engine`; `--pythons`
a folder with a virtual environment `NAME` for each. A peer without one is left out, and named. `--lines` reads the lines of an
earlier run again.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from shared.local.valkey import command

LIMIT_S: Final = 3_600
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "ms a step alone": ("sequential", "gap", "p50_ms"),
    "steps/s": ("throughput", "steps_per_s"),
    "CPU-s per 1,000 steps": ("throughput", "cpu_s_per_1000"),
    "start p50 ms": ("submit", "p50_ms"),
    "start p99 ms": ("submit", "p99_ms"),
    "idle MiB": ("idle", "pss_mib"),
    "idle % of a core": ("idle", "cpu_percent_of_a_core"),
}


def measured(words: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """A line for each system, ours first."""
    yield from _lines([sys.executable, "-m", "bench.engine", "--runs", str(words.runs)], Path(__file__).parents[1])
    server = folder / "redis-server"
    server.symlink_to(command(port=0, folder=folder)[0])  # what peers on Redis start is the server that ours starts
    for script in sorted(words.peers.glob("*_peer.py")):
        name = script.stem.removesuffix("_peer")
        python = words.pythons / name / "bin" / "python"
        if not python.exists():
            print(f"{name}: left out, there is no {python}", file=sys.stderr)
            continue
        for options in words.option.get(name, [[]]):
            yield from _lines([str(python), script.name, "--runs", str(words.runs), *options], words.peers, folder)


def _lines(words: list[str], where: Path, programs: Path | None = None) -> list[dict[str, Any]]:
    path = f"{programs}{os.pathsep}{os.environ['PATH']}" if programs else os.environ["PATH"]
    found = subprocess.run(
        words, cwd=where, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False
    )
    if found.returncode:
        print(f"{' '.join(words)} ended with {found.returncode}", file=sys.stderr)
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [f"| system | durability | {' | '.join(COLUMNS)} | on again after a kill, s |", "| --- | --- |" + " --- |" * 8]
    for row in rows:
        cells = [str(_at(row, path)) for path in COLUMNS.values()]
        again = [kill.get("goes_on_after_s", f"stuck after {kill.get('stuck_after_s')}") for kill in row.get("crash", [])]
        lines.append(f"| {row['peer']} | {row['durability']} | {' | '.join(cells)} | {', '.join(map(str, again))} |")
    return "\n".join(lines)


def _at(row: dict[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = row
    for key in path:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return "" if found == {} else found


def main(argv: list[str]) -> None:
    """Measure or read, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--pythons", type=Path, default=Path("v"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lines", type=Path, help="JSON lines of an earlier run, instead of measuring")
    words = parser.parse_args(argv)
    words.peers, words.pythons = words.peers.resolve(), words.pythons.absolute()
    fsyncs = [["--fsync", "always"], ["--fsync", "everysec"]]
    words.option = {"saq": fsyncs, "celery": fsyncs}
    if words.lines:
        rows = [json.loads(line) for line in words.lines.read_text(encoding="utf8").splitlines()]
    else:
        with TemporaryDirectory() as folder:
            rows = []
            for row in measured(words, Path(folder)):
                print(json.dumps(row), flush=True)
                rows.append(row)
    print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
