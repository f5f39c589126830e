"""What people do to executions, on real processes: by HTTP, and by the command line as its page shows it."""

import asyncio
import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from shared.cli.operate import COMMANDS
from tests.system.command_line import around, run
from tests.system.harness import ROOT, System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

PAGE = (ROOT / "docs/cli.md").read_text(encoding="utf8")


def sections() -> dict[str, list[str]]:
    """The lines to run of each section of the page."""
    found: dict[str, list[str]] = {}
    for title, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE):
        lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        if lines:
            found[title] = lines
    return found


async def test_every_verb_has_an_example() -> None:
    """A verb that nobody is shown does not exist."""
    shown = {line.split()[1] for lines in sections().values() for line in lines if line.startswith("intention")}
    assert {command.name for command in COMMANDS} | {"tools", "deploy", "mcp"} == shown


async def test_the_examples_of_the_page_run_as_they_stand(system: System, tmp_path: Path) -> None:
    """In their order, with the exit codes that it says. What an execution has not come to yet is asked once more."""
    environ = around(system)
    for line in [line for lines in sections().values() for line in lines]:
        command, _, said = line.partition("    # exit code ")
        words = shlex.split(command)
        if words[0] == "curl":
            await system.knobs(**json.loads(words[-1]))
            continue
        words = [str(ROOT / word) if word.startswith("examples/") else word for word in words]
        await _run(words[1:], int(said or 0), tmp_path, environ)


async def _run(words: list[str], expected: int, folder: Path, environ: dict[str, str]) -> None:
    deadline = time.monotonic() + 20
    while True:
        done = await run(*words, cwd=folder, environ=environ)
        if done.code == expected:
            return
        assert done.code == 1, (words, done)
        assert time.monotonic() < deadline, (words, done)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["get", "zzzz"], 1, "no execution begins or ends with 'zzzz'"),
        (["get", "exe_00_" + "0" * 32], 1, "there is no execution"),
        (["run"], 2, "give either words or --plan"),
        (["skip", "last", "a", "--output", "{"], 2, "write JSON"),
        (["edit", "last", "a", "--args", "[]"], 2, "is no JSON object"),
        (["list", "--status", "BROKEN"], 1, "status"),
        (["list", "--url", "http://127.0.0.1:1"], 3, "does not answer"),
        (["list", "--key", "wrong-key-0123456789"], 1, "give --key"),
    ],
)
async def test_what_goes_wrong_is_said_with_a_remedy(
    system: System, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    """On standard error, with an exit code of its own."""
    done = await run(*words, cwd=tmp_path, environ=around(system))
    assert (done.code, done.out) == (code, "")
    assert says in done.err


async def test_words_that_repeat_are_shown_as_a_schedule(system: System, tmp_path: Path) -> None:
    """With when it is next; nothing runs before."""
    done = await run(
        "run", "every Friday at 6pm book a table for 2 at 8pm", "--user", "test-user", cwd=tmp_path, environ=around(system)
    )
    assert (done.code, done.err) == (0, "")
    assert "scheduled: Every Friday at 6pm (0 18 * * FRI, UTC): Table for 2" in done.out
    assert "next at 20" in done.out


async def test_a_person_takes_an_execution_through_everything(system: System) -> None:
    """Paused, resumed, edited, approved, skipped, and undone after all; each effect is there once, and gone in the end."""
    execution = await system.run_plan(
        [
            {"name": "first", "tool": "do_work", "args": {"label": "one", "seconds": 1.0}},
            {"name": "gate", "approve": {"message": "go on?"}, "needs": ["first"]},
            {"name": "edited", "tool": "do_work", "args": {"label": "two"}, "needs": ["gate"]},
            {"name": "news", "wait": {"events": [{"name": "never"}]}, "needs": ["edited"]},
            {"name": "last", "tool": "do_work", "args": {"label": "after ${news.word}"}},
        ]
    )
    await act(system, execution, "pause")
    await settled(system, execution, status="PAUSED")
    assert (await system.get(execution))["pausedBy"] == "local/anna"
    await act(system, execution, "resume")
    await settled(system, execution, reason="approval")
    gate = step(await system.get(execution), "gate")
    await act(system, execution, "pause")
    await settled(system, execution, status="PAUSED")
    await act(system, execution, "approve", step="gate", argsHash=gate["hold"]["argsHash"])
    await act(system, execution, "resume")
    await settled(system, execution, reason="event")
    await act(system, execution, "skip", step="news", output={"word": "all"})
    found = await system.ended(execution, within=30)
    assert found["status"] == "COMPLETED"
    assert step(found, "last")["input"]["label"] == "after all"
    assert await system.effects(execution) == {"first": 1, "edited": 1, "last": 1}

    await act(system, execution, "compensate", version=found["version"])
    await until(lambda: _is(system, execution, status="COMPENSATED"), within=30, describe="everything is undone")
    town = system.processes["town"].url
    rows = (await system.client.get(f"{town}/effects", params={"prefix": execution})).json()["effects"]
    assert {row["state"] for row in rows} == {"undone"}
    acts = [line["detail"]["by"] for line in await system.history(execution) if "by" in line.get("detail", {})]
    assert set(acts) == {"local/anna"}


async def test_a_failed_step_is_edited_and_the_plan_goes_on(system: System) -> None:
    """Under a new key; what was refused is told in the history."""
    table = {"restaurant": "No Such Place", "party_size": 2, "date": "2030-05-03", "time": "19:00", "name": "Ann"}
    execution = await system.run_plan([{"name": "table", "tool": "reserve_table", "args": table}])
    found = await system.ended(execution, within=30)
    assert found["status"] == "FAILED"
    args = table | {"restaurant": "Golden Wok"}
    await act(system, execution, "edit", step="table", args=args, version=found["version"])
    found = await system.ended(execution, within=30)
    assert (found["status"], step(found, "table")["key"]) == ("COMPLETED", f"{execution}.table.2")


async def test_the_health_check_is_well_on_a_system_that_runs(system: System) -> None:
    """Every partition is looked at in turn."""
    url = system.processes["resume"].url + "/api/health/invariant"

    async def looked() -> dict[str, Any] | None:
        found: dict[str, Any] = (await system.client.get(url)).json()
        return found if found["partitions"] == 64 else None

    found = await until(looked, within=60, describe="all partitions were looked at")
    assert (found["ok"], found["broken"]) == (True, 0)


async def act(system: System, execution: str, action: str, **body: Any) -> None:
    """Anna does something."""
    answer = await system.post(f"/api/executions/{execution}/{action}", body, **{"X-Actor": "anna"})
    assert answer.status_code == 202, answer.text


def step(found: dict[str, Any], name: str) -> dict[str, Any]:
    """One step as it is shown."""
    return next(one for one in found["steps"] if one["name"] == name)


async def _is(system: System, execution: str, **wanted: str) -> bool:
    found = await system.get(execution)
    return all(found[name] == value for name, value in wanted.items())


async def settled(system: System, execution: str, **wanted: str) -> None:
    """Wait until it stands so."""
    await until(lambda: _is(system, execution, **wanted), within=20, describe=f"{execution} is {wanted}")
