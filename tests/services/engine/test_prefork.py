"""A parent and its children, each a real process; what they do as a service is in tests/system/test_executor_processes.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes that share a port are for Linux")
BEGIN = """
import ctypes, os, signal, sys, time
from pathlib import Path
from shared.prefork import prefork

began = Path(sys.argv[1])
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come to it, as to process 1 of a container
prefork(2)
with began.open("a") as file:
    file.write(f"{os.getpid()}\\n")
number = began.read_text().split().index(str(os.getpid()))
"""


def ran(tmp_path: Path, then: str) -> "tuple[subprocess.CompletedProcess[str], list[str]]":
    """A parent whose children do this, and the children's pids."""
    began = tmp_path / "began"
    program = [sys.executable, "-c", BEGIN + then, str(began)]
    found = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return found, began.read_text().split()


def test_who_ends_with_a_code_ends_the_rest_and_the_parent_with_it(tmp_path: Path) -> None:
    """It has said why; another would say the same."""
    found, children = ran(tmp_path, "time.sleep(0.2) if number else time.sleep(60)\nsys.exit('no such thing')")
    assert (found.returncode, found.stderr) == (1, "no such thing\n")
    assert len(children) == 2


ORPHAN = """
if number < 2:
    if number == 0 and os.fork() == 0:
        while os.getppid() != int(os.environ["PARENT"]):
            time.sleep(0.01)
        os._exit(7)  # as an orphan: none of the parent's
    while number:
        time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.5)
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(60)
"""


def test_who_is_killed_has_a_successor_and_an_orphan_of_somebody_has_none(tmp_path: Path) -> None:
    """Told to stop, the parent tells them and ends with 0."""
    found, children = ran(tmp_path, "os.environ['PARENT'] = str(os.getppid())\n" + ORPHAN)
    assert (found.returncode, found.stderr) == (0, "")
    assert len(children) == 3
    assert [line.count("process.ended") for line in found.stdout.splitlines()].count(1) == 1
