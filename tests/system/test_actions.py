"""What people do to executions, on real processes: by HTTP, and by the command line as its page shows it."""

from typing import Any

import pytest

from tests.system.harness import System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


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
