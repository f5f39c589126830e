"""EXECUTOR_PROCESSES: several processes of the step executor at one address, on a real system."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.harness import ROOT, System, until, work

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the setting is for Linux")
TWO = {"EXECUTOR_PROCESSES": "2"}


def forked(system: System) -> list[int]:
    """All that were ever forked, as the log tells: the first ones, and who took the place of another."""
    return [int(line["pid"]) for line in system.events("step_executor", "durability.chosen")]


def running(pids: list[int]) -> list[int]:
    """Those that are neither gone nor zombies."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf8").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.append(pid)
    return found


async def works(system: System, execution: str) -> int:
    """Which process calls this execution's tool, once one does."""

    async def found() -> int | None:
        lines = system.events("step_executor", "step.intended")
        return next((int(line["pid"]) for line in lines if line["execution"] == execution), None)

    return await until(found, within=20, describe="a call is under way")


async def both_work(system: System, count: int) -> list[str]:
    """Executions that are under way, some in each process."""
    executions = [await system.run_plan(work(1, 2)) for _ in range(count)]
    assert len({await works(system, one) for one in executions}) == 2
    return executions


async def test_both_work_and_one_that_is_killed_has_a_successor_that_goes_on(tmp_path: Path) -> None:
    """What the other does is not touched; what the dead one held is taken up at once, and each effect stays one."""
    async with System(tmp_path, **TWO) as system:
        first = forked(system)
        executions = await both_work(system, 16)
        dead = await works(system, executions[0])
        held = [one for one in executions if await works(system, one) == dead]
        os.kill(dead, signal.SIGKILL)
        for one in executions:
            assert (await system.ended(one, within=40))["status"] == "COMPLETED"
            assert await system.effects(one) == {"s0": 1}
            assert len(await causes(system, one)) == (one in held)
        assert await causes(system, held[-1]) in (["left behind"], ["created"]), "its successor looked, or QStash came"
        assert len(first) == 2
        assert len(running(forked(system))) == 2
        ended = system.events("step_executor", "process.ended")
        assert [(line["pid"], line["by"]) for line in ended] == [(dead, "SIGKILL")]


async def causes(system: System, execution: str) -> list[str]:
    """What brought each segment but the first."""
    lines = [line for line in await system.history(execution) if line["event"] == "segment.started"]
    return [line["detail"]["cause"] for line in lines[1:]]


async def test_with_a_killed_parent_all_are_gone_and_the_next_parent_goes_on(tmp_path: Path) -> None:
    """As with one process: kill -9, and again; the port is free, and nobody serves whom nobody minds."""
    async with System(tmp_path, **TWO) as system:
        executions = await both_work(system, 8)
        children = forked(system)
        await system.restart("step_executor")
        assert running(children) == []
        for one in executions:
            assert (await system.ended(one, within=40))["status"] == "COMPLETED"
            assert await system.effects(one) == {"s0": 1}


async def test_told_to_stop_both_end_what_they_have_begun(tmp_path: Path) -> None:
    """SIGTERM to the parent: the calls under way are awaited, and it ends with 0 when both have ended."""
    async with System(tmp_path, **TWO) as system:
        executions = await both_work(system, 8)
        parent = system.processes["step_executor"]
        parent.signal(signal.SIGTERM)

        async def ended() -> bool:
            return parent.code is not None

        await until(ended, within=20, describe="the parent ends")
        assert parent.code == 0
        assert running(forked(system)) == []
        await system.start("step_executor")
        for one in executions:
            assert (await system.ended(one, within=40))["status"] == "COMPLETED"
            assert await causes(system, one) == [], "it ended in the segment that it was begun in"


async def test_one_that_is_told_to_stop_by_its_pid_is_replaced(tmp_path: Path) -> None:
    """An operator's SIGTERM to one of them: the others serve meanwhile."""
    async with System(tmp_path, **TWO) as system:
        first = forked(system)
        os.kill(first[0], signal.SIGTERM)

        async def replaced() -> bool:
            return len(forked(system)) == 3

        await until(replaced, within=20, describe="another takes its place")
        execution = await system.run_plan(work(1, 0.1))
        assert (await system.ended(execution, within=20))["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"EXECUTOR_PROCESSES": "0"}, "EXECUTOR_PROCESSES is not usable"),
        ({"METRICS": "true"}, "METRICS and EXECUTOR_PROCESSES above 1 exclude each other"),
        ({"EXECUTOR_PORT": "{taken}"}, "stop what uses the port, or set EXECUTOR_PORT"),
        ({"TOOLS": "nothing.there"}, "TOOLS"),
    ],
)
def test_what_cannot_start_says_so_once(wrong: dict[str, str], says: str) -> None:
    """Before anything is forked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = {name: value.format(taken=taken.getsockname()[1]) for name, value in wrong.items()}
        environ = {"PATH": os.environ["PATH"], "INTENTION_MODE": "local", **TWO, **given}
        words = [sys.executable, "-m", "services.step_executor.main"]
        found = subprocess.run(words, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 1
    lines = (found.stdout + found.stderr).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("cannot start: ")
    assert says in lines[0]
