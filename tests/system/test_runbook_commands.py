"""What the runbook has one type to see a trouble runs as it stands, and answers."""

import re
from pathlib import Path

import pytest

from tests.architecture.test_runbook import sections
from tests.system.test_local_run import wait_for
from tests.system.test_tutorial import WITHIN_S, Desk, desk

pytestmark = pytest.mark.system
TYPED = ("curl ", "grep ", "echo ", "intention ")
NOTHING_FOUND = 1
"""What grep says where nothing is wrong."""


def commands() -> list[str]:
    """In the order of the page, each once."""
    shown = re.compile(r"^- \*\*See it\*\*:(.*?)(?=^- )", re.DOTALL | re.MULTILINE)
    spans = [span for text in sections().values() for line in shown.findall(text) for span in re.findall(r"`([^`]+)`", line)]
    return list(dict.fromkeys(span for span in spans if span.startswith(TYPED)))


def test_every_command_that_shows_a_trouble_runs(tmp_path: Path) -> None:
    """Beside a system in which nothing is wrong, so that none of them fails."""
    assert len(commands()) >= 12
    with desk(tmp_path) as found:
        code, printed = found.run('intention run "Book a table for 2 at 7pm" --user test-user --wait')
        assert code == 0, printed
        wait_for(lambda: _wrong(found) == [], within=WITHIN_S, describe=f"{_wrong(found)}")


def _wrong(desk: Desk) -> list[str]:
    return [told for line in commands() if (told := _told(desk, line))]


def _told(desk: Desk, line: str) -> str:
    """What is wrong with a command; empty if it answered."""
    code, printed = desk.run(line.replace(" ID", " last").replace("curl -s", "curl -sS --fail"))
    fine = {0, NOTHING_FOUND} if line.startswith("grep") else {0}
    return "" if code in fine else f"{line}: {code}, {printed}"
