"""`make run`: everything with one command, and nothing left behind."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.system.harness import ROOT, free_ports

pytestmark = pytest.mark.system


def environment(folder: Path) -> dict[str, str]:
    """Free ports for everything, data in `folder`."""
    names = ("QSTASH_DEV_PORT", "ABLY_DEV_PORT", "TOWN_PORT", "EXECUTOR_PORT", "RESUME_PORT", "INGRESS_PORT", "valkey")
    ports = {name: str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    base = "http://127.0.0.1:"
    return {
        "PATH": os.environ["PATH"],
        "INTENTION_DATA": str(folder / "data"),
        "TOWN_DATABASE": str(folder / "town.sqlite"),
        "REDIS_URL": f"redis://127.0.0.1:{ports.pop('valkey')}/0",
        "QSTASH_URL": base + ports["QSTASH_DEV_PORT"],
        "TOWN_URL": base + ports["TOWN_PORT"],
        "EXECUTOR_URL": base + ports["EXECUTOR_PORT"],
        "RESUME_URL": base + ports["RESUME_PORT"],
        **ports,
    }


@contextmanager
def running(environ: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The supervisor, ready; ended by a signal at the latest here."""
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "shared.cli", "dev"], env=environ, cwd=ROOT, stdout=out, stderr=out)
    try:
        wait_for(lambda: "is ready" in log.read_text(), within=40, describe=f"ready; {log.read_text()[-300:]}")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def wait_for(condition: Callable[[], bool], *, within: float, describe: str) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {describe}"
        time.sleep(0.05)


def pids(environ: dict[str, str]) -> dict[str, int]:
    """The running children, by service."""
    found = {}
    for file in (Path(environ["INTENTION_DATA"]) / "run").glob("*.pid"):
        with contextlib.suppress(FileNotFoundError):  # it ended just now
            found[file.stem] = int(file.read_text())
    return found


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def ask(environ: dict[str, str], path: str, body: object = None) -> httpx.Response:
    """Speak with ingress."""
    url = f"http://127.0.0.1:{environ['INGRESS_PORT']}{path}"
    return httpx.get(url, trust_env=False) if body is None else httpx.post(url, json=body, trust_env=False)


def test_ctrl_c_stops_every_process_and_the_data_survives_a_restart(tmp_path: Path) -> None:
    """One command up, Ctrl-C down, up again: the execution is still there, and what was measured of its calls."""
    environ = environment(tmp_path)
    with running(environ, tmp_path / "first.log") as process:
        children = pids(environ)
        assert set(children) == {"valkey", "town", "qstash_dev", "ably_dev", "step_executor", "resume", "ingress"}
        taken = ask(environ, "/api/execute", {"intent": "Book a table for 2 at 7pm", "userId": "test-user"}).json()
        wait_for(lambda: ended(environ, taken["id"]), within=20, describe="the execution ends")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not [name for name, pid in children.items() if alive(pid)]

    with running(environ, tmp_path / "second.log"):
        found = ask(environ, f"/api/executions/{taken['id']}").json()
        assert found["status"] == "COMPLETED"
        states = {tool["name"]: tool["latency"] for tool in ask(environ, "/api/tools/state").json()["tools"]}
        assert all(states[name]["calls"] == 1 for name in ("find_table", "reserve_table", "send_message"))


def ended(environ: dict[str, str], execution: str) -> bool:
    """Whether an execution is over."""
    return ask(environ, f"/api/executions/{execution}").json()["endedAt"] is not None


def test_a_killed_service_is_started_again_and_a_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
    """kill -9 of a child, then of the parent."""
    environ = environment(tmp_path)
    with running(environ, tmp_path / "run.log") as process:
        before = pids(environ)
        os.kill(before["step_executor"], signal.SIGKILL)
        wait_for(
            lambda: pids(environ).get("step_executor", before["step_executor"]) != before["step_executor"],
            within=20,
            describe="the supervisor starts the executor again",
        )
        children = pids(environ)
        process.kill()
        process.wait(10)
        if sys.platform == "linux":
            wait_for(lambda: not any(map(alive, children.values())), within=30, describe="no child is left")


def intention(environ: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """The command line, to its end."""
    command = [sys.executable, "-m", "shared.cli", *words]
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line_breaks_parts_on_purpose_and_mends_them(tmp_path: Path) -> None:
    """The executor comes back as another process; a channel is dropped until it is mended."""
    environ = environment(tmp_path)
    with running(environ, tmp_path / "run.log"):
        before = pids(environ)["step_executor"]
        killed = intention(environ, "dev", "break", "executor")
        assert killed.returncode == 0, killed.stderr
        assert "killed at" in killed.stdout
        wait_for(
            lambda: (
                f"runs as process {pids(environ).get('step_executor', before)}; killed at"
                in intention(environ, "dev", "broken").stdout
                and pids(environ).get("step_executor", before) != before
            ),
            within=30,
            describe="the executor is back",
        )
        dropped = json.loads(intention(environ, "dev", "break", "qstash", "--json").stdout)
        assert (dropped["qstash"]["dropped"], dropped["qstash"]["until"], dropped["ably"]["dropped"]) == (True, None, False)
        assert "QStash: dropped since" in intention(environ, "dev", "broken").stdout
        assert "QStash: there; was dropped from" in intention(environ, "dev", "mend", "qstash").stdout
        refused = intention(environ, "dev", "mend", "qstash")
        assert (refused.returncode, "QStash is not dropped" in refused.stderr) == (1, True)
        assert intention(environ, "dev", "break", "executor", "--seconds", "3").returncode == 2


def test_a_busy_port_is_named_with_the_setting_that_changes_it(tmp_path: Path) -> None:
    """Before anything is started."""
    environ = environment(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environ["RESUME_PORT"])))
        taken.listen()
        command = [sys.executable, "-m", "shared.cli", "dev"]
        done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    assert f"port {environ['RESUME_PORT']}" in done.stderr
    assert "RESUME_PORT" in done.stderr
    assert not pids(environ)


def test_a_service_that_cannot_start_says_why_in_the_last_line(tmp_path: Path) -> None:
    """Behind the lines of those that are stopped, so that nobody looks for it."""
    environ = environment(tmp_path) | {"TOOLS": "no_such_bakery"}
    command = [sys.executable, "-m", "shared.local"]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "TOOLS: no_such_bakery cannot be imported" in done.stderr.splitlines()[-1]
    assert not pids(environ)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("QSTASH_TOKN", "x", "did you mean QSTASH_TOKEN"),
        ("MAX_PLAN_STEPS", "many", "MAX_PLAN_STEPS"),
        ("INGRESS_PORT", "70000", "INGRESS_PORT"),
        ("QSTASH_URL", "127.0.0.1:8080", "needs a scheme"),
        ("EXECUTOR_URL", "http://host/path", "without the path"),
    ],
)
def test_a_setting_that_is_wrong_stops_the_start_up_and_is_named(tmp_path: Path, name: str, value: str, says: str) -> None:
    """One line, no traceback."""
    environ = environment(tmp_path) | {name: value}
    command = [sys.executable, "-m", "shared.cli", "dev"]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
