"""The official JavaScript client, unchanged, as a judge: `js/*.test.js` under node, against the server as users run it."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from shared.settings import DEV_ABLY_KEY
from tests.services.ably_dev.support import Process

JS = Path(__file__).parent / "js"
NODE = shutil.which("node")
LIMIT_S = 60

needs_node = pytest.mark.skipif(
    NODE is None or not (JS / "node_modules" / "ably").is_dir(),
    reason="node or the installed packages are absent: `make test` installs them where npm is there",
)


@needs_node
async def test_the_javascript_client_does_everything_that_it_does_at_ably(process: Process) -> None:
    """REST, realtime, resume, recovery, rewind, renewal, capabilities, presence, lost continuity; JSON and msgpack."""
    assert NODE
    judge = await asyncio.create_subprocess_exec(
        *(NODE, "--test", "--test-reporter=tap", "client.test.js"),
        cwd=JS,
        env={"PATH": os.environ["PATH"], "ABLY_PORT": str(process.port), "ABLY_KEY": DEV_ABLY_KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        report, _ = await asyncio.wait_for(judge.communicate(), LIMIT_S)
    finally:
        if judge.returncode is None:
            judge.kill()
            await judge.wait()
    assert judge.returncode == 0, report.decode()
    assert b"# fail 0" in report
    assert b"# skipped 0" in report


def test_the_lock_of_the_javascript_packages_names_no_host() -> None:
    """Whoever installs them uses the registry they have; the hashes say what it must be."""
    lock = (JS / "package-lock.json").read_text()
    assert not re.findall(r"https?://", lock)
    assert lock.count('"integrity"') == lock.count('"version"')
