"""The tests of the public API run against any QStash (docs/qstash-dev.md): here against one in a process of its own, twice."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.services.qstash_dev import support
from tests.services.qstash_dev.support import ROOT, Process, Valkey

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(support.TARGET), reason="it is what chooses the server")]

FILES = ("test_groups.py", "test_callbacks.py", "test_workflow.py", "test_crashes.py")


async def run(url: str) -> tuple[int, str]:
    """Exit code and last line of some test files' run against this server; no other variable of ours is handed on."""
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/services/qstash_dev/{name}" for name in FILES)]
    given = {"PATH": os.environ["PATH"], "QSTASH_TEST_URL": url}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, env=given, stdout=pipe)
    output, _ = await process.communicate()
    return await process.wait(), output.decode().strip().splitlines()[-1]


async def test_the_public_api_is_tested_against_a_server_that_runs_elsewhere(tmp_path: Path) -> None:
    """A second time as well: what the first left there disturbs nobody. Tests that need our own server are skipped."""
    valkey = Valkey()
    valkey.start()
    process = Process(valkey.url, tmp_path / "log")
    process.start()
    await process.answers("/readyz", 200)
    for _ in range(2):
        code, last = await run(process.url)
        assert code == 0, last
        assert " passed" in last
        assert " skipped" in last
    await process.end(signal.SIGTERM)
    valkey.kill()
