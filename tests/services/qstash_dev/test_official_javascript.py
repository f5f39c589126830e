"""The official JavaScript clients, unchanged, as judges: `js/*.test.js` under node, against the server as users run it."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.qstash_dev.users import DEV_USERS
from tests.services.qstash_dev.support import Process, Valkey

JS = Path(__file__).parent / "js"
NODE = shutil.which("node")
LIMIT_S = 50

needs_node = pytest.mark.skipif(
    NODE is None or not (JS / "node_modules" / "@upstash" / "workflow").is_dir(),
    reason="node or the installed packages are absent: `make test` installs them where npm is there",
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Process]:
    """A server of its own, as a process, on a Valkey that writes to disk."""
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    process = Process(valkey.url, tmp_path / "server.log")
    process.start()
    await process.answers("/readyz", 200)
    yield process
    await process.end(signal.SIGTERM)
    valkey.kill()


async def judged(script: str, **environment: str) -> None:
    """Run one file of tests; its report is the message when one of them fails."""
    assert NODE
    process = await asyncio.create_subprocess_exec(
        *(NODE, "--test", "--test-reporter=tap", script),
        cwd=JS,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        report, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, report.decode()
    assert b"# fail 0" in report
    assert b"# skipped 0" in report


def _access(server: Process) -> dict[str, str]:
    user = DEV_USERS[0]
    return {
        "QSTASH_URL": server.url,
        "QSTASH_TOKEN": user.token,
        "QSTASH_CURRENT_SIGNING_KEY": user.current_key,
        "QSTASH_NEXT_SIGNING_KEY": user.next_key,
    }


@needs_node
async def test_the_client_publishes_reads_and_manages(server: Process) -> None:
    """Publish, batch, queues, schedules, URL groups, dead letters, logs; the receiver accepts our signatures."""
    await judged("client.test.js", **_access(server))


@needs_node
async def test_dev_mode_finds_this_server_and_downloads_nothing(server: Process, tmp_path: Path) -> None:
    """Two variables are all it needs; its home stays empty."""
    home = tmp_path / "home"
    home.mkdir()
    await judged("devmode.test.js", QSTASH_DEV="true", QSTASH_DEV_PORT=str(server.port), HOME=str(home))


@needs_node
async def test_workflows_of_the_javascript_sdk_run(server: Process) -> None:
    """Parallel steps, calls, events, webhooks, invocations, failures, resumption, cancelling."""
    await judged("workflow.test.js", **_access(server))


def test_the_lock_of_the_javascript_packages_names_no_host() -> None:
    """Whoever installs them uses the registry they have; the hashes say what it must be."""
    lock = (JS / "package-lock.json").read_text()
    assert not re.findall(r"https?://", lock)
    assert lock.count('"integrity"') == lock.count('"version"')
