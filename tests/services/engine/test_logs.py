"""Logs in both formats, as a process of its own writes them; and work that outlives its request."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.background import Background

ROOT = Path(__file__).parents[3]
PROGRAM = """
from shared import logs
logs.configure(service="resume", format={format!r}, level="info")
log = logs.get_logger()
log.debug("nothing.said")
log.info("message.sent", message="QStash message sent", execution="exe_1", size=2**70, odd={{1: object}})
try:
    token = "secret-in-a-local"
    raise ValueError("broke")
except ValueError:
    log.exception("request.crashed")
"""


def printed(format_: str) -> str:
    """What a process prints."""
    command = [sys.executable, "-c", PROGRAM.format(format=format_)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout


def test_a_json_line_has_what_a_query_and_a_grep_look_for() -> None:
    """One object a line: event, sentence, service, level, time, ids; nothing below the level."""
    lines = [json.loads(line) for line in printed("json").splitlines()]

    assert [line["event"] for line in lines] == ["message.sent", "request.crashed"]
    first, crash = lines
    assert (first["service"], first["level"], first["execution"]) == ("resume", "info", "exe_1")
    assert first["message"] == "QStash message sent"
    assert first["timestamp"].endswith("Z")
    assert "ValueError: broke" in crash["exception"]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_no_values_of_locals(format_: str) -> None:
    """One of them may be a header with a token in it."""
    text = printed(format_)

    assert "ValueError: broke" in text
    assert text.count("secret-in-a-local") <= text.count('token = "secret-in-a-local"')


def test_a_line_for_people_begins_with_its_sentence() -> None:
    """After the time, the level and the event."""
    line = printed("console").splitlines()[0]

    assert "message.sent" in line
    assert "QStash message sent" in line


async def test_work_in_the_background_is_waited_for_and_its_failure_logged() -> None:
    """Neither is a task lost at the end nor an error unheard."""
    background, done = Background(), asyncio.Event()

    async def works() -> None:
        await asyncio.sleep(0)
        done.set()

    async def fails() -> None:
        raise ValueError("broke")

    with capture_logs() as logs:
        background.start(works())
        background.start(fails())
        await background.close()

    assert done.is_set()
    assert [line["event"] for line in logs] == ["background.failed"]
