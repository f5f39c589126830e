"""The command `intention` as a real process beside a running system."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.terminal import Terminal
from tests.system.harness import ROOT, System

COMMAND = (sys.executable, "-m", "shared.cli")
ASKED = (
    "QSTASH_URL", "QSTASH_TOKEN", "UPSTASH_QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY",
    "REDIS_URL", "EXECUTOR_URL", "RESUME_URL", "INTERNAL_SIGNING_KEY", "API_KEYS", "ABLY_API_KEY", "LLM_API_KEY",
    "MCP_SERVERS",
)  # fmt: skip


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def check(self, name: str) -> dict[str, Any]:
        """One check of `doctor --json`."""
        found: dict[str, Any] = next(one for one in json.loads(self.out)["checks"] if one["check"] == name)
        return found

    def failed(self) -> list[str]:
        """The checks of `doctor --json` that failed."""
        return [one["check"] for one in json.loads(self.out)["checks"] if one["status"] == "fail"]


def around(system: System) -> dict[str, str]:
    """The system's environment, for a command that runs in another folder."""
    return {**system.environ, "PYTHONPATH": str(ROOT)}


def without_settings(system: System) -> dict[str, str]:
    """The same without what setup asks for."""
    return {name: value for name, value in around(system).items() if name not in ASKED}


def files_in(folder: Path) -> list[str]:
    """Their names."""
    return sorted(path.name for path in folder.iterdir())


async def run(*arguments: str, cwd: Path, environ: dict[str, str]) -> Done:
    """Run it to its end."""

    def call() -> Done:
        command = [*COMMAND, *arguments]
        done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(call)


def terminal(*arguments: str, cwd: Path, environ: dict[str, str]) -> Terminal:
    """Run it on a terminal."""
    return Terminal([*COMMAND, *arguments], cwd=cwd, environ={**environ, "TERM": "xterm"})
