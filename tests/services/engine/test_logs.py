"""Logs in both formats, as a process of its own writes them; and work that outlives its request."""

import asyncio
import contextlib
import io
import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.background import Background
from shared.logs import Lines

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


class Kept(io.BytesIO):
    """What was written, a write each."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any, /) -> int:
        """Keep it."""
        self.writes.append(bytes(data))
        return len(data)


async def test_lines_of_one_turn_of_the_loop_are_one_write_in_their_order() -> None:
    """And the next turn's are another: nothing is left over, nothing comes twice."""
    file = Kept()
    lines = Lines(file)
    for turn in (b"a", b"b"):
        lines.msg(turn + b"1")
        lines.msg(turn + b"2")
        assert turn + b"1\n" not in b"".join(file.writes)
        await asyncio.sleep(0)
    assert file.writes == [b"a1\na2\n", b"b1\nb2\n"]


async def test_a_write_is_of_whole_lines_and_no_larger_than_a_pipe_takes_at_once() -> None:
    """What another process writes to the same pipe comes in the middle of no line; a longer line is a write of its own."""
    file = Kept()
    lines = Lines(file)
    said = [b"x" * size for size in (1_000, 2_000, 1_093, 1, select.PIPE_BUF + 1, 3, 4)]
    for line in said:
        lines.msg(line)
    await asyncio.sleep(0)
    assert b"".join(file.writes) == b"".join(line + b"\n" for line in said)
    assert [len(write) for write in file.writes] == [4_096, 2, select.PIPE_BUF + 2, 9]


async def test_a_line_of_a_thread_waits_for_no_loop_and_takes_along_what_does() -> None:
    """In the order in which they were said."""
    file = Kept()
    lines = Lines(file)
    lines.msg(b"of the loop")
    await asyncio.to_thread(lines.msg, b"of a thread")
    await asyncio.sleep(0)
    assert b"".join(file.writes) == b"of the loop\nof a thread\n"


def test_what_a_loop_left_behind_comes_with_the_next_line() -> None:
    """Its last turn never came."""
    file = Kept()
    lines = Lines(file)

    async def say() -> None:
        lines.msg(b"last words")
        asyncio.get_running_loop().stop()

    with asyncio.Runner() as runner, contextlib.suppress(RuntimeError):
        runner.run(say())
    lines.msg(b"after it")
    assert b"".join(file.writes) == b"last words\nafter it\n"


def test_what_is_said_last_is_written_before_the_process_ends() -> None:
    """Also inside a loop that ends with it."""
    program = (
        PROGRAM.format(format="json")
        + "\nimport asyncio, sys\nasync def go(): log.info('said.last'); sys.exit(3)\nasyncio.run(go())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "said.last"
