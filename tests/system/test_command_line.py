"""The command line on a running system: the examples of its page, terminals and pipes, what is watched, what died."""

import asyncio
import base64
import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from shared import signing
from shared.cli.main import intention
from shared.settings import DEV_CURRENT_KEY
from tests.system.command_line import around, files_in, run, terminal
from tests.system.harness import ROOT, System, until, work

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

PAGE = (ROOT / "docs/cli.md").read_text(encoding="utf8")
ELSEWHERE = {"dev": "test_local_run.py", "setup": "test_setup.py", "doctor": "test_doctor.py"}
"""Verbs that ask, or never end, and where they are run."""


def sections() -> dict[str, list[str]]:
    """The lines to run of each section of the page."""
    found: dict[str, list[str]] = {}
    for title, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE):
        lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        if lines:
            found[title] = lines
    return found


def verbs(command: click.Command, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb that there is, as words."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for one in command.list_commands(context):
            found = command.get_command(context, one)
            assert found is not None, one
            yield from verbs(found, (*name, one))


async def test_every_verb_has_an_example_and_every_example_is_of_a_verb() -> None:
    """A verb that nobody is shown does not exist."""
    known = set(verbs(intention))
    shown = set()
    for line in [line for lines in sections().values() for line in lines if line.startswith("intention")]:
        words = tuple(shlex.split(line, comments=True)[1:])
        shown.add(max((words[:size] for size in (1, 2) if words[:size] in known), key=len, default=words))
    assert shown == known


async def test_what_is_not_run_from_the_page_is_run_by_a_test_of_its_own() -> None:
    """Each of them, as the command."""
    for verb, file in ELSEWHERE.items():
        assert f'"{verb}"' in (Path(__file__).parent / file).read_text(encoding="utf8")


async def test_the_examples_of_the_page_run_as_they_stand(system: System, tmp_path: Path) -> None:
    """In their order, with the exit codes that it says. What an execution has not come to yet is asked once more."""
    environ = around(system) | {"INTENTION_CONFIG": str(config(tmp_path))}
    for title, lines in sections().items():
        if title == "Dead letters":
            await bury(system)
        for line in lines:
            await _example(system, line, tmp_path, environ)


def config(folder: Path) -> Path:
    """The page's own example of a configuration file, for its owner only."""
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = folder / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


async def _example(system: System, line: str, folder: Path, environ: dict[str, str]) -> None:
    command, _, said = line.partition("    # exit code ")
    words = shlex.split(command)
    if words[0] == "curl":
        await system.knobs(**json.loads(words[-1]))
    elif words[1] not in ELSEWHERE:
        words = [str(ROOT / word) if word.startswith("examples/") else word for word in words]
        await _run(words[1:], int(said or 0), folder, environ)


async def _run(words: list[str], expected: int, folder: Path, environ: dict[str, str]) -> None:
    deadline = time.monotonic() + 20
    while True:
        done = await run(*words, cwd=folder, environ=environ)
        if done.code == expected:
            return
        assert done.code == 1, (words, done)
        assert time.monotonic() < deadline, (words, done)
        await asyncio.sleep(0.1)


async def bury(system: System) -> str:
    """A dead letter of an execution that waits: QStash says that a message of it is dead. The letter's id."""
    execution = await waiting(system)
    body = json.dumps({"executionId": execution, "segment": 0, "reason": "start"}).encode()
    letter = {"sourceMessageId": "msg_dead", "status": 503, "retried": 3, "dlqId": "dlq-1"}
    letter |= {"sourceBody": base64.b64encode(body).decode(), "body": base64.b64encode(b"the night is long").decode()}
    raw = json.dumps(letter).encode()
    url = system.processes["resume"].url + "/api/engine/failed"
    token = signing.sign_call(issuer="Upstash", url=url, body=raw, key=DEV_CURRENT_KEY, now=time.time(), jti="jwt_1")
    answer = await system.client.post(url, content=raw, headers={"Upstash-Signature": token})
    assert answer.json() == {"result": "noted"}
    found = await system.client.get(f"{system.processes['ingress'].url}/api/dlq", params={"execution": execution})
    return str(found.json()["letters"][0]["id"])


async def waiting(system: System) -> str:
    """An execution that waits for somebody."""
    execution = await system.run_plan([{"name": "gate", "approve": {"message": "go on?"}}])
    await until(lambda: _suspended(system, execution), within=20, describe=f"{execution} waits")
    return execution


async def _suspended(system: System, execution: str) -> bool:
    return bool((await system.get(execution))["status"] == "SUSPENDED")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["get", "zzzz"], 1, "no execution begins or ends with 'zzzz'"),
        (["get", "exe_00_" + "0" * 32], 1, "there is no execution"),
        (["dlq", "show", "zzzz"], 1, "no dead letter begins or ends with 'zzzz'"),
        (["schedule", "show", "sch_00_" + "0" * 32], 1, "schedule"),
        (["run"], 2, "give either words or --plan"),
        (["dlq", "resend"], 2, "say which: IDs, or --all"),
        (["dlq", "discard", "--all", "some"], 2, "say which: IDs, or --all"),
        (["lst"], 2, "Did you mean 'list'?"),
        (["schedule", "ad"], 2, "Did you mean 'add'?"),
        (["frobnicate"], 2, "Try 'intention --help'"),
        (["skip", "last", "a", "--output", "{"], 2, "write JSON"),
        (["edit", "last", "a", "--args", "[]"], 2, "is no JSON object"),
        (["list", "--status", "BROKEN"], 1, "status"),
        (["list", "--url", "http://127.0.0.1:1"], 3, "`intention dev` starts everything here"),
        (["list", "--url", "nonsense"], 3, "does not answer"),
        (["list", "--key", "wrong-key-0123456789"], 1, "give --key"),
        (["list", "--profile", "nobody"], 1, "no profile 'nobody'"),
        (["export", "exe_00_" + "0" * 32, "-o", "x.json"], 1, "there is no execution"),
        (["gates", "pause", "--tool", "nothing"], 1, "there is no tool"),
        (["gates", "audit", "--tool", "nothing"], 1, "there is no tool 'nothing'"),
        (["bulk", "cancel"], 2, "Filters are --status"),
        (["bulk", "cancel", "--reason", "bogus"], 1, "Error: --reason: "),
        (["schedule", "list", "--before", "abc"], 1, "Error: --before='abc'"),
        (["schedule", "add", "x", "--cron", "bad"], 1, "Error: --cron: 'bad' is no cron expression"),
        (["run", "book a table", "--timezone", "Mars/Base"], 1, "Error: --timezone: "),
    ],
)
async def test_what_goes_wrong_is_said_with_a_remedy(
    system: System, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    """On standard error, with an exit code of its own; nothing is left behind."""
    done = await run(*words, cwd=tmp_path, environ=around(system) | {"INTENTION_CONFIG": str(tmp_path / "none.toml")})
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert files_in(tmp_path) == []


async def test_an_id_that_is_not_enough_names_those_that_it_could_be(system: System, tmp_path: Path) -> None:
    """With their status; the end of one is enough."""
    several = [await waiting(system) for _ in range(2)]
    done = await run("get", "exe_", cwd=tmp_path, environ=around(system))
    assert (done.code, done.out) == (1, "")
    assert all(f"{one}  SUSPENDED approval" in done.err for one in several)
    short = await run("get", several[0][-8:], cwd=tmp_path, environ=around(system))
    assert short.out.startswith(several[0])


async def test_what_is_over_is_told_to_be_over(system: System, tmp_path: Path) -> None:
    """The version that was seen goes along by itself, and nobody is sent to ask what it waits for."""
    execution = await system.run_plan(work(1, 0.0))
    await system.ended(execution, within=30)
    for words in (("reject", "{}"), ("approve", "{}", "a", "--args-hash", "0a1b"), ("confirm", "{}", "--plan-hash", "0a1b")):
        done = await run(*(word.format(execution) for word in words), cwd=tmp_path, environ=around(system))
        assert (done.code, done.out, "[moot]" in done.err) == (1, "", True), done
        assert "intention why" not in done.err


async def test_cancelling_what_has_ended_by_itself_ends_with_1(system: System, tmp_path: Path) -> None:
    """Nothing was cancelled. Of what was cancelled, to ask twice is no mistake."""
    execution = await system.run_plan(work(1, 0.0))
    await system.ended(execution, within=30)
    done = await run("cancel", execution, cwd=tmp_path, environ=around(system))
    assert (done.code, done.out.strip()) == (1, f"{execution}: is over already; nothing was cancelled (COMPLETED)")
    told = await run("cancel", execution, "--json", cwd=tmp_path, environ=around(system))
    assert (told.code, json.loads(told.out)["status"]) == (1, "COMPLETED")
    stopped = await waiting(system)
    assert [(await run("cancel", stopped, cwd=tmp_path, environ=around(system))).code for _ in range(2)] == [0, 0]
    await system.ended(stopped, within=30)
    assert (await run("cancel", stopped, cwd=tmp_path, environ=around(system))).code == 0


async def test_words_that_repeat_are_shown_as_a_schedule(system: System, tmp_path: Path) -> None:
    """With when it is next; nothing runs before."""
    done = await run(
        "run", "every Friday at 6pm book a table for 2 at 8pm", "--user", "test-user", cwd=tmp_path, environ=around(system)
    )
    assert (done.code, done.err) == (0, "")
    assert "scheduled: Every Friday at 6pm (0 18 * * FRI, UTC): Table for 2" in done.out
    assert "next at 20" in done.out


async def test_every_list_has_json_and_lines_that_a_program_can_read(system: System, tmp_path: Path) -> None:
    """No colour, no title, nothing cut; one line a row."""
    execution = await waiting(system)
    letter = await bury(system)
    for words, wanted in [
        (("list",), f"{execution} SUSPENDED approval 20"),
        (("dlq", "list"), f"{letter} message dead exe_"),
        (("approvals",), f"{execution} gate - go on?"),
        (("tools",), "do_work "),
        (("quota",), "day "),
        (("gates", "list"), "none"),
    ]:
        done = await run(*words, cwd=tmp_path, environ=around(system) | {"COLUMNS": "40"})
        assert (done.code, done.err) == (0, "")
        assert any(" ".join(line.split()).startswith(wanted) for line in done.out.splitlines()), (words, done.out)
        assert "\x1b" not in done.out
        told = await run(*words, "--json", cwd=tmp_path, environ=around(system))
        assert isinstance(json.loads(told.out), dict)


async def test_an_export_is_written_whole(system: System, tmp_path: Path) -> None:
    """To a file for its owner, or to standard output; more steps than a page."""
    execution = await system.run_plan(work(3, 0.0))
    await system.ended(execution, within=30)
    done = await run("export", execution[-8:], "-o", "out.json", cwd=tmp_path, environ=around(system))
    assert (done.code, done.err) == (0, "")
    kept = json.loads((tmp_path / "out.json").read_text())
    assert (kept["id"], [one["status"] for one in kept["execution"]["steps"]]) == (execution, ["DONE"] * 3)
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o600
    piped = json.loads((await run("export", execution, cwd=tmp_path, environ=around(system))).out)
    assert piped | {"exportedAt": ""} == kept | {"exportedAt": ""}


async def test_waiting_tells_each_event_on_a_line_and_shows_the_end(system: System, tmp_path: Path) -> None:
    """On standard error, so that a pipe gets what came of it; with --json nothing is told."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"steps": work(2, 0.4)}))
    done = await run("run", "--plan", str(plan), "--wait", cwd=tmp_path, environ=around(system))
    assert done.code == 0
    told = [line.split()[1] for line in done.err.splitlines()]
    assert (told.count("step.done"), told[-1]) == (2, "execution.ended")
    assert "COMPLETED" in done.out.splitlines()[0]
    quiet = await run("run", "--plan", str(plan), "--wait", "--json", cwd=tmp_path, environ=around(system))
    assert (quiet.code, quiet.err, json.loads(quiet.out)["status"]) == (0, "", "COMPLETED")


async def test_a_terminal_shows_a_table_that_fits(system: System, tmp_path: Path) -> None:
    """With titles, ages and short ids, and how to get the next page."""

    def look() -> str:
        with terminal("list", "--limit", "1", cwd=tmp_path, environ=around(system)) as shell:
            assert shell.end() == 0
            return shell.screen

    await waiting(system)
    execution = await waiting(system)
    drawn = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in (await asyncio.to_thread(look)).splitlines()]
    assert drawn[0].split() == ["ID", "STATUS", "WAITS", "FOR", "CREATED", "USER", "WHAT"]
    assert drawn[1].startswith(f"{execution[-8:]}  SUSPENDED  approval   ")
    assert re.search(r" (now|ago) ", drawn[1])
    assert max(map(len, drawn[:-1])) <= 80
    assert drawn[2].startswith("more with --before ")


async def test_colours_can_be_turned_off(system: System, tmp_path: Path) -> None:
    """The words say the same."""
    await waiting(system)

    def look(**more: str) -> str:
        with terminal("list", cwd=tmp_path, environ=around(system) | more) as shell:
            assert shell.end() == 0
            return shell.screen

    assert "\x1b[36mSUSPENDED" in await asyncio.to_thread(look)
    plain = await asyncio.to_thread(look, NO_COLOR="1")
    assert "SUSPENDED" in plain
    assert "\x1b[3" not in plain


async def test_ctrl_c_ends_the_watching_and_not_the_execution(system: System, tmp_path: Path) -> None:
    """The table moves, says what is waited for, and how to come back."""
    execution = await waiting(system)

    def look() -> tuple[int, str]:
        with terminal("watch", execution, cwd=tmp_path, environ=around(system)) as shell:
            shell.expect("0/1 steps")
            shell.expect("gate needs somebody's approval")
            code = shell.interrupt()
            return code, shell.screen

    code, drawn = await asyncio.to_thread(look)
    assert code == 130
    assert f"goes on: intention watch {execution[-8:]}" in drawn
    assert (await system.get(execution))["status"] == "SUSPENDED"


async def test_watching_on_a_terminal_follows_to_the_end(system: System, tmp_path: Path) -> None:
    """Step by step; what is left on the screen is what came of it."""
    execution = await system.run_plan(work(2, 0.7))

    def look() -> tuple[int, str]:
        with terminal("watch", execution, cwd=tmp_path, environ=around(system)) as shell:
            shell.expect("1/2 steps")
            return shell.end(within=30), shell.screen

    code, drawn = await asyncio.to_thread(look)
    assert code == 0
    assert f"{execution}  " in drawn.rpartition("goes on")[2]


async def test_completion_knows_statuses_and_ids(system: System, tmp_path: Path) -> None:
    """As a shell asks; where nobody answers there is nothing, and no error."""
    execution = await waiting(system)

    async def completed(line: str, **more: str) -> Any:
        words = line.split(" ")
        asked = {"_INTENTION_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return await run(cwd=tmp_path, environ=around(system) | asked | more)

    assert execution in (await completed("intention get exe_")).out
    assert (await completed("intention list --status COMPE")).out.split() == ["plain,COMPENSATING", "plain,COMPENSATED",
                                                                             "plain,COMPENSATION_FAILED"]  # fmt: skip
    away = await completed("intention get exe_", INTENTION_URL="http://127.0.0.1:1")
    assert (away.out.strip(), away.err) == ("", "")
