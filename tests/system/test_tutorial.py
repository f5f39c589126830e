"""The tutorial and what the README has one try, as they stand: files are written, commands run, outputs compared."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import Block, blocks, differs
from tests.system.harness import PATIENCE, ROOT
from tests.system.test_local_run import environment, wait_for

pytestmark = pytest.mark.system
PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf8")
README = (ROOT / "README.md").read_text(encoding="utf8")
START = "make run"
PORTS = {3000: "INGRESS_PORT", 3001: "EXECUTOR_PORT", 3002: "RESUME_PORT"}
"""What pages say, and which setting says otherwise here."""
READING = {"why", "get", "list"}
"""Asked again until they say what the page shows: a reader's fingers are slower than an execution."""
WITHIN_S = 20.0 * PATIENCE


class Desk:
    """A newcomer's folder, their two terminals, and what `make run` does in the first one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environ = environment(folder) | {"PYTHONPATH": str(ROOT), "INTENTION_DATA": ".intention"}
        """Free ports. In a checkout the folder itself is where the project is imported from."""
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._tell("intention", f'exec "{sys.executable}" -m shared.cli "$@"')
        self._tell("python", f'exec "{sys.executable}" "$@"')
        self._exports: dict[str, str] = {}
        self._system: subprocess.Popen[bytes] | None = None

    def _tell(self, name: str, line: str) -> None:
        script = self._bin / name
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)

    def start(self) -> None:
        """The first terminal: Ctrl-C if it runs, then `make run`, until it says that it is ready."""
        self.stop()
        log = self.folder / "run.log"
        with log.open("wb") as out:
            command = [sys.executable, "-m", "shared.local"]
            self._system = subprocess.Popen(command, env=self._environ, cwd=self.folder, stdout=out, stderr=out)
        wait_for(lambda: "is ready" in log.read_text(), within=WITHIN_S * 2, describe=f"ready; {log.read_text()[-500:]}")

    def stop(self) -> None:
        """Ctrl-C."""
        if self._system is not None and self._system.poll() is None:
            self._system.send_signal(signal.SIGINT)
            self._system.wait(30)

    def run(self, line: str) -> tuple[int, str]:
        """The second terminal: a line or several; the exit code and what was printed."""
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self._exports |= {} if name == "PATH" else {name: value}
            return 0, ""
        path = {"PATH": f"{self._bin}:{os.environ['PATH']}"}
        for port, setting in PORTS.items():
            line = line.replace(f"localhost:{port}", f"localhost:{self._environ[setting]}")
        done = subprocess.run(
            ["sh", "-c", line], env=self._environ | self._exports | path, cwd=self.folder,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """Nothing is left running."""
    found = Desk(folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def follow(desk: Desk, page: str) -> None:
    """Do what the page says, in its order. AssertionError at the first thing that is not as it says."""
    steps = list(blocks(page))
    for block, behind in zip(steps, [*steps[1:], Block("", "", "")], strict=True):
        if block.file:
            (desk.folder / block.file).write_text(block.text)
        elif block.text.strip() == START:
            desk.start()
        elif block.language == "bash":
            _do(desk, block.text.splitlines(), behind.text if behind.language == "text" else "")
        else:
            assert block.language == "text", f"what is this block for? {block.text}"


def _do(desk: Desk, lines: list[str], shown: str) -> None:
    printed = "".join(_line(desk, line) for line in lines)
    deadline = time.monotonic() + WITHIN_S
    while (missing := differs(shown, printed)) and _only_reads(lines) and time.monotonic() < deadline:
        time.sleep(0.1)
        printed = _line(desk, lines[0])
    assert not missing, f"{lines} does not print {missing!r}:\n{printed}"


def _only_reads(lines: list[str]) -> bool:
    return len(lines) == 1 and lines[0].split()[:1] == ["intention"] and lines[0].split()[1] in READING


def _line(desk: Desk, line: str) -> str:
    """What it prints, once it ends as the page says. An execution that has not come to its question yet is asked once more."""
    command, _, said = line.partition("    # exit code ")
    deadline = time.monotonic() + WITHIN_S
    while True:
        code, printed = desk.run(command)
        if code == int(said or 0):
            return printed
        assert code == 1, f"{line}: {code}, {printed}"
        assert time.monotonic() < deadline, f"{line}: {code}, {printed}"
        time.sleep(0.1)


def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    """From an empty folder to an undone saga, and nothing that the page shows is otherwise."""
    assert "@exec $(BIN)/python -m shared.cli dev\n" in (ROOT / "Makefile").read_text(encoding="utf8")
    with desk(tmp_path) as found:
        follow(found, PAGE)


def test_what_the_readme_has_one_try_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Its blocks in their order, the program too; in the end all is done that was asked for."""
    tried = [block for block in blocks(README) if block.language in {"bash", "python"} and "make run" not in block.text]
    assert [block.text.split()[0] for block in tried] == ["curl", "curl", "export", "curl", "import"]
    printed = ""
    with desk(tmp_path) as found:
        for block in tried:
            text = f"python - <<'END'\n{block.text}END" if block.language == "python" else block.text
            code, printed = found.run("\n".join(line for line in text.splitlines() if not line.startswith("export PATH")))
            assert code == 0, printed
        assert printed.strip() == "COMPLETED"
        wait_for(lambda: _statuses(found) == ["COMPLETED"] * 5, within=WITHIN_S * 2, describe=f"{_statuses(found)}")


def _statuses(desk: Desk) -> list[str]:
    code, printed = desk.run("intention list --json")
    assert code == 0, printed
    return [one["status"] for one in json.loads(printed)["executions"]]


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("```bash\nintention why last\n```\n", "why last: 3"),
        ("```bash\npython -c 'print(1)'\n```\n\n```text\n2\n```\n", "does not print '2'"),
        ("```yaml\na: 1\n```\n", "what is this block for"),
    ],
    ids=["a command that fails", "an output that is not so", "a file without a name"],
)
def test_a_page_that_is_wrong_is_noticed(tmp_path: Path, page: str, says: str) -> None:
    """No system runs beside it."""
    with pytest.raises(AssertionError, match=says):
        follow(Desk(tmp_path), page)
