"""New code takes over: what is in flight runs the version that it was planned with, and what would break is said before."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis.asyncio import Redis

from shared.cli.main import intention
from shared.interpret import Interpreter
from shared.machine.plan import Effect
from shared.redisdb.in_flight import Flights
from shared.relay import Sender
from shared.tools.registry import Call, Registry, Runner
from tests.services.engine.support import ONCE, Stage, staged, step
from tests.support.valkey import Valkey

MODULE = """
from shared.tools.declare import tool

async def undo(call):
    "Take it back."

@tool(effect="idempotent", version="{version}", name="greet", undo=undo)
async def greet(call, *, name: str{more}) -> dict:
    "Greet somebody."
    return {{}}
"""


async def greet(_: Call, *, name: str) -> Any:
    """Greet somebody."""
    return {"said": f"hello {name}", "version": 1}


async def greet_politely(_: Call, *, name: str, title: str = "dear") -> Any:
    """Greet somebody politely."""
    return {"said": f"good day, {title} {name}", "version": 2}


def registry(*versions: str) -> Registry:
    """`greet` in these versions."""
    found = Registry()
    for version in versions:
        function = {"1": greet, "2": greet_politely}[version]
        found.add(function, name="greet", effect=Effect.IDEMPOTENT, version=version, retry=ONCE)
    return found


def runs(stage: Stage, tools: Registry) -> None:
    """The executor with this code."""
    stage.interpreter = Interpreter(
        store=stage.store,
        sender=Sender(stage.queue, stage.acks),
        tools=Runner(tools),
        clock=stage.clock,
        limits=stage.limits,
    )


STEPS = [step("a", tool="greet", args={"name": "Ann"}), step("b", "a", tool="greet", args={"name": "Bob"})]


async def outputs(stage: Stage, execution: str) -> list[int]:
    """The version that each step was called in."""
    return [one.output["version"] for one in (await stage.reader.view(execution, "acme")).steps]


async def test_what_is_in_flight_goes_on_with_its_version_while_new_plans_get_the_newer(redis: Redis) -> None:
    """The code is replaced between two segments."""
    stage = staged(redis, steps_per_message=1)
    runs(stage, registry("1"))
    old = await stage.create(STEPS, contracts=registry("1").contracts())
    await stage.run(old)

    both = registry("1", "2")
    runs(stage, both)
    new = await stage.create(STEPS, contracts=both.contracts())
    for execution in (old, new, new):
        await stage.run(execution)

    assert await outputs(stage, old) == [1, 1]
    assert await outputs(stage, new) == [2, 2]


async def test_without_its_version_a_step_is_refused_and_not_called_in_another(redis: Redis) -> None:
    """Whoever takes the old version away too early fails what is in flight, with a reason that says so."""
    stage = staged(redis, steps_per_message=1)
    runs(stage, registry("1"))
    execution = await stage.create(STEPS, contracts=registry("1").contracts())
    await stage.run(execution)
    runs(stage, registry("2"))
    await stage.run(execution)

    found = (await stage.reader.view(execution, "acme")).steps[1]
    assert (found.status, found.output) == ("FAILED", None)
    assert "greet, version 1" in str(found.error)


async def check(valkey: Valkey, folder: Path, modules: dict[str, str], *more: str) -> Result:
    """`intention deploy check` where these modules are the new code."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    environ = {"INTENTION_MODE": "local", "REDIS_URL": valkey.url, "TOOLS": ",".join(modules), "TOWN_URL": ""}
    command = ["deploy", "check", "--env-file", "/dev/null", *more]
    return await asyncio.to_thread(CliRunner(env=environ).invoke, intention, command)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the new code is."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


async def in_flight(stage: Stage) -> str:
    """An execution whose first step is done, planned with version 1."""
    tools = registry("1")
    runs(stage, tools)
    execution = await stage.create(STEPS, contracts=tools.contracts())
    await stage.run(execution)
    return execution


async def test_code_without_the_old_version_is_reported_before_it_is_deployed(
    redis: Redis, valkey: Valkey, folder: Path
) -> None:
    """With the execution, the step and what to do; exit code 1."""
    execution = await in_flight(staged(redis, steps_per_message=1))

    found = await check(valkey, folder, {"only_new": MODULE.format(version="2", more=', title: str = "dear"')}, "--json")

    assert found.exit_code == 1, found.output
    told = json.loads(found.stdout)
    assert (told["ok"], told["looked_at"], told["broken"]) == (False, 1, 1)
    [one] = told["breaks"]
    assert (one["execution"], one["tenant"], one["step"], one["kind"]) == (execution, "acme", "b", "version")
    lines = (await check(valkey, folder, {"only_new": MODULE.format(version="2", more="")})).output
    assert "b: greet: there is no version 1 any more, only 2: keep it beside them" in lines
    assert "1 of 1 executions in flight would break." in lines


async def test_a_schema_that_changed_under_its_version_is_reported(redis: Redis, valkey: Valkey, folder: Path) -> None:
    """One more argument is enough."""
    await in_flight(staged(redis, steps_per_message=1))

    found = await check(valkey, folder, {"changed": MODULE.format(version="1", more=", title: str")}, "--json")

    assert found.exit_code == 1
    assert [one["kind"] for one in json.loads(found.stdout)["breaks"]] == ["changed"]


async def test_what_is_over_is_nobodys_business(redis: Redis, valkey: Valkey, folder: Path) -> None:
    """Nothing of it is called any more."""
    stage = staged(redis)
    execution = await in_flight(stage)
    assert (await stage.header(execution))["status"] == "COMPLETED"

    found = await check(valkey, folder, {"no_greeting": MODULE.replace("greet", "wave").format(version="1", more="")})

    assert (found.exit_code, found.output) == (0, "Nothing would break: 0 executions are in flight.\n")


async def test_a_limit_bounds_what_is_shown_and_not_what_is_counted(redis: Redis, valkey: Valkey, folder: Path) -> None:
    """Every execution of every partition is looked at, in pages."""
    stage = staged(redis, steps_per_message=1)
    tools = registry("1")
    made = {await stage.create(STEPS, contracts=tools.contracts()) for _ in range(250)}

    assert {one.id async for one in Flights(redis).all()} == made
    found = await check(
        valkey, folder, {"gone": MODULE.replace("greet", "wave").format(version="1", more="")}, "--json", "--limit=3"
    )
    told = json.loads(found.stdout)
    assert (told["looked_at"], told["broken"], len(told["breaks"])) == (250, 250, 3)


async def test_what_cannot_be_asked_is_code_2(valkey: Valkey, folder: Path) -> None:
    """A Redis that is away, a module that is not there."""
    away = await asyncio.to_thread(
        CliRunner(env={"INTENTION_MODE": "local", "REDIS_URL": "redis://127.0.0.1:1/0"}).invoke,
        intention,
        ["deploy", "check", "--env-file", "/dev/null"],
    )
    missing = await check(valkey, folder, {"bad": "import no_such_module"})

    assert (away.exit_code, missing.exit_code) == (2, 2)
    assert "Redis does not answer" in away.output
    assert "TOOLS: bad cannot be imported" in missing.output
