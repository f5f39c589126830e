"""A table is refused for good, on real processes: a model makes another plan, a person is asked, and nothing is done twice."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import Response

from tests.services.engine.scripted_model import KEY, Script, refuses, says, scripted
from tests.services.engine.support import Taken
from tests.system.command_line import around, run
from tests.system.harness import QUICK, System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("replanning")]

RIDE = {"destination": "Harbour", "date": "2030-05-01", "time": "18:30"}
TABLE = {"restaurant": "Sakura", "party_size": 2, "date": "2030-05-01", "time": "19:00", "name": "Ann"}
TELL = {"channel": "sms", "to": "+15551234567", "text": "We have a table."}
SLOW = asyncio.Event()
"""Until the test lets the model answer."""
HEARD: Counter[str] = Counter()
"""Calls, by where the ride begins: it names the case."""


def new(**changed: Any) -> dict[str, Any]:
    """Another table and the message that had not been sent; `table` and `steps` of it may be changed."""
    table = TABLE | {"restaurant": "Golden Wok"} | changed.get("table", {})
    steps = [
        {"name": "table2", "tool": "reserve_table", "args": table, "needs": ["ride"]},
        {"name": "tell2", "tool": "send_message", "args": TELL, "needs": ["table2"]},
    ]
    return {"steps": [*changed.get("steps", []), *steps], "summary": "Reserve at the Golden Wok."}


HOSTILE = (
    new(steps=[{"name": "ride", "tool": "book_ride", "args": RIDE | {"pickup": "Station"}}]),
    new(steps=[{"name": "rm", "tool": "rm_rf", "args": {}}]),
    new(steps=[{"name": "more", "tool": "send_message", "args": TELL | {"to": "+1 900 555 0199"}}]),
)
"""Does again what is done; calls a tool that nobody registered; writes to somebody whom only a partner named."""


async def model(request: Taken) -> Response:
    """What it says depends on the case, and for some on how often it heard of it."""
    document = json.loads(json.loads(request.body)["messages"][1]["content"])
    if "plan" not in document:
        return await says({"steps": steps("words"), "summary": "Ride, table, message."})(request)
    case = document["plan"][0]["args"]["pickup"]
    HEARD[case] += 1
    times = HEARD[case]
    if case == "hostile" and times <= len(HOSTILE):
        return await says(HOSTILE[times - 1])(request)
    if case == "hopeless":
        return await says(HOSTILE[times % len(HOSTILE)])(request)
    if case == "refused":
        return await refuses(401)(request)
    if case == "slow" and times == 1:
        await SLOW.wait()
    later = {"table": {"time": "21:30"}} if case in {"later", "no"} else {}
    return await says(new(**later))(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thinking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[System, Script]]:
    """A system with a model, in whose town the Sakura is full on that evening."""
    async with scripted(model) as (url, script):
        settings = {"LLM_BASE_URL": url, "LLM_MODEL": "small", "LLM_API_KEY": KEY}
        async with System(tmp_path_factory.mktemp("replanning"), **QUICK, **settings) as running:
            parties = [{"name": f"p{size}", "tool": "reserve_table", "args": TABLE | {"party_size": size}} for size in (20, 4)]
            first = await running.run_plan(parties)
            assert (await running.ended(first, within=30))["status"] == "COMPLETED"
            yield running, script
        SLOW.set()


def steps(case: str) -> list[dict[str, Any]]:
    """A ride, a table that is not to be had, a message."""
    return [
        {"name": "ride", "tool": "book_ride", "args": RIDE | {"pickup": case}},
        {"name": "table", "tool": "reserve_table", "args": TABLE, "needs": ["ride"]},
        {"name": "tell", "tool": "send_message", "args": TELL, "needs": ["table"]},
    ]


async def asked(system: System, case: str, **more: Any) -> str:
    """As a plan; what its caller is told is its id."""
    body = {"plan": {"steps": steps(case)}, "userId": "test-user", "replan": {"most": 1}, **more}
    answer = await system.post("/api/execute", body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def waiting(system: System, execution: str) -> dict[str, Any]:
    """As it waits for a yes to a version."""

    async def rests() -> dict[str, Any] | None:
        found = await system.get(execution)
        return found if found["status"] == "AWAITING_CONFIRMATION" and found["plan"]["version"] == 2 else None

    return await until(rests, within=30, describe="the next version waits for a yes")


async def lines(system: System, execution: str, event: str) -> list[dict[str, Any]]:
    """What the history tells of one kind of event."""
    return [line["detail"] for line in await system.history(execution) if line["event"] == event]


async def standing(system: System, execution: str) -> dict[str, int]:
    """What stands in the town, by step."""
    rows = await system.effect_rows(execution)
    return {row["key"].split(".")[1]: row["standing"] for row in rows if row["standing"]}


ALL = {"ride": 1, "table2": 1, "tell2": 1}


async def test_another_table_at_the_same_time_is_taken_at_once(thinking: tuple[System, Script]) -> None:
    """What was done stays; the version, and both hashes, are on record; the key of the endpoint is nowhere."""
    system, script = thinking
    execution = await asked(system, "same")
    ended = await system.ended(execution, within=40)
    assert ended["status"] == "COMPLETED"
    assert await system.effects(execution) == ALL
    assert (ended["plan"]["version"], ended["plan"]["summary"]) == (2, "Reserve at the Golden Wok.")
    assert [(step["name"], step["status"], step.get("replaced", False)) for step in ended["steps"]] == [
        ("ride", "DONE", False),
        ("table", "FAILED", True),
        ("tell", "SKIPPED", True),
        ("table2", "DONE", False),
        ("tell2", "DONE", False),
    ]
    (told,) = await lines(system, execution, "plan.replanned")
    assert (told["version"], told["confirm"], told["hash"]) == (2, False, ended["plan"]["hash"])
    assert told["before"] != told["hash"]
    document = json.loads(script.asked[-1]["messages"][1]["content"])
    assert document["failed"][0]["step"] == "table"
    assert KEY not in json.dumps([ended, await system.history(execution)])


async def test_words_that_the_model_planned_are_planned_again(thinking: tuple[System, Script]) -> None:
    """It is told them once more; version 1 was its own."""
    system, script = thinking
    words = "something nice, somehow, and tell +15551234567"
    answer = await system.post("/api/execute", {"intent": words, "userId": "test-user", "replan": {}})
    assert (answer.status_code, answer.json()["plan"]) == (202, None), answer.text
    ended = await system.ended(answer.json()["id"], within=40)
    assert (ended["status"], ended["plan"]["version"]) == ("COMPLETED", 2)
    assert await system.effects(ended["id"]) == ALL
    told = [json.loads(one["messages"][1]["content"]) for one in script.asked[-2:]]
    assert [one["words"] for one in told] == [words, words]
    assert ["plan" in one for one in told] == [False, True]


async def test_another_time_is_asked_about_with_the_difference(thinking: tuple[System, Script], tmp_path: Path) -> None:
    """And taken with a yes to exactly that plan; a yes to the one before is refused."""
    system, _ = thinking
    execution = await asked(system, "later")
    found = await waiting(system, execution)
    assert found["plan"]["differences"] == [{"step": "table2", "field": "time", "before": "19:00", "after": "21:30"}]
    assert await system.effects(execution) == {"ride": 1}
    shown = await run("confirm", execution, cwd=tmp_path, environ=around(system))
    assert "differs in table2: time was 19:00, is 21:30" in shown.err
    path = f"/api/executions/{execution}"
    (told,) = await lines(system, execution, "plan.replanned")
    stale = await system.post(f"{path}/confirm", {"planHash": told["before"]})
    assert stale.status_code == 409, stale.text
    yes = await system.post(f"{path}/confirm", {"planHash": found["plan"]["hash"]})
    assert yes.status_code == 202, yes.text
    assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
    assert await system.effects(execution) == ALL


async def test_a_no_undoes_what_was_done(thinking: tuple[System, Script]) -> None:
    """As the failure would have."""
    system, _ = thinking
    execution = await asked(system, "no")
    await waiting(system, execution)
    no = await system.post(f"/api/executions/{execution}/reject", {})
    assert no.status_code == 202, no.text
    ended = await system.ended(execution, within=30)
    assert (ended["status"], ended["cause"]) == ("COMPENSATED", "failed")
    assert await standing(system, execution) == {}


async def test_whoever_signed_the_plan_signs_the_next_one(thinking: tuple[System, Script]) -> None:
    """Although it says the same."""
    system, _ = thinking
    execution = await asked(system, "signed", confirm=True)
    first = await system.get(execution)
    assert first["status"] == "AWAITING_CONFIRMATION"
    path = f"/api/executions/{execution}/confirm"
    assert (await system.post(path, {"planHash": first["plan"]["hash"]})).status_code == 202
    found = await waiting(system, execution)
    assert found["plan"]["differences"] == []
    assert (await system.post(path, {"planHash": found["plan"]["hash"]})).status_code == 202
    assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
    assert await system.effects(execution) == ALL


async def test_hostile_answers_are_mended_or_come_to_nothing(thinking: tuple[System, Script]) -> None:
    """No step is done twice, no tool beyond the registry is called, nobody hears of it whom nobody named."""
    system, _ = thinking
    execution = await asked(system, "hostile")
    assert (await system.ended(execution, within=60))["status"] == "COMPLETED"
    assert await system.effects(execution) == ALL
    said = [line["said"] for line in await lines(system, execution, "planning.answered")]
    assert said == ["flawed", "flawed", "flawed", "plan"]
    hopeless = await asked(system, "hopeless")
    ended = await system.ended(hopeless, within=60)
    assert ended["status"] == "COMPENSATED"
    assert await standing(system, hopeless) == {}
    assert HEARD["hopeless"] == 4
    assert len(await lines(system, hopeless, "replanning.given_up")) == 1


async def test_without_an_answer_it_is_undone(thinking: tuple[System, Script]) -> None:
    """The model refuses its key."""
    system, _ = thinking
    execution = await asked(system, "refused")
    assert (await system.ended(execution, within=40))["status"] == "COMPENSATED"
    assert await standing(system, execution) == {}


async def test_an_executor_that_is_killed_while_the_model_thinks_costs_one_call(thinking: tuple[System, Script]) -> None:
    """What was done before is not done again; the next one asks again."""
    system, _ = thinking
    execution = await asked(system, "slow")

    async def heard() -> bool | None:
        return HEARD["slow"] == 1 or None

    await until(heard, within=30, describe="the model thinks")
    await system.restart("step_executor")
    ended = await system.ended(execution, within=60)
    assert ended["status"] == "COMPLETED"
    assert await system.effects(execution) == ALL
    assert HEARD["slow"] == 2
    assert len(await lines(system, execution, "plan.replanned")) == 1
    SLOW.set()


async def test_an_executor_that_is_killed_around_the_version_loses_nothing(thinking: tuple[System, Script]) -> None:
    """As soon as the version stands in the record; whatever of it runs by then."""
    system, _ = thinking
    execution = await asked(system, "killed")

    async def stored() -> bool | None:
        return (await system.get(execution))["plan"]["version"] == 2 or None

    await until(stored, within=30, describe="the version is stored")
    await system.restart("step_executor")
    assert (await system.ended(execution, within=60))["status"] == "COMPLETED"
    assert await system.effects(execution) == ALL
    assert len(await lines(system, execution, "plan.replanned")) == 1


async def test_a_restart_runs_the_version_without_what_it_replaced(thinking: tuple[System, Script]) -> None:
    """The refused table is not tried again."""
    system, _ = thinking
    execution = await asked(system, "again")
    ended = await system.ended(execution, within=40)
    path = f"/api/executions/{execution}/restart"
    answer = await system.post(path, {"version": ended["version"], "acceptEffects": True})
    assert answer.status_code == 202, answer.text
    once_more = answer.json()["id"]
    assert (await system.ended(once_more, within=30))["status"] == "COMPLETED"
    assert await system.effects(once_more) == ALL
