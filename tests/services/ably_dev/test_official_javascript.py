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
async def test_the_javascript_client_does_everything_that_it_does_at_ably(process: Process, tmp_path: Path) -> None:
    """REST, realtime, resume, recovery, rewind, renewal, capabilities, presence, lost continuity; JSON and msgpack."""
    assert NODE
    report = tmp_path / "report.tap"  # a file, so that it is there also when node does not end
    with report.open("wb") as out:
        judge = await asyncio.create_subprocess_exec(
            *(NODE, "--test", "--test-reporter=tap", "client.test.js"),
            cwd=JS,
            env={"PATH": os.environ["PATH"], "ABLY_PORT": str(process.port), "ABLY_KEY": DEV_ABLY_KEY},
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        code = await asyncio.wait_for(judge.wait(), LIMIT_S)
    except TimeoutError:
        raise AssertionError(f"node did not end: {report.read_text()}") from None
    finally:
        if judge.returncode is None:
            judge.kill()
            await judge.wait()
    assert code == 0, report.read_text()
    assert "# fail 0" in report.read_text()
    assert "# skipped 0" in report.read_text()


def test_the_lock_of_the_javascript_packages_names_no_host() -> None:
    """Whoever installs them uses the registry they have; the hashes say what it must be."""
    lock = (JS / "package-lock.json").read_text()
    assert not re.findall(r"https?://", lock)
    assert lock.count('"integrity"') == lock.count('"version"')
