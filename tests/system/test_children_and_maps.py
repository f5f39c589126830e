"""More than a chain of calls, on real processes that are killed: children, maps, events by key, callbacks, pauses, limits."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.system.harness import QUICK, System, until, work

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("heavy")]
ITEMS = 200
MANY_STEPS = 10_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shaken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """One system for all; a test that kills a process starts it again."""
    folder: Path = tmp_path_factory.mktemp("shaken")
    async with System(folder, **QUICK) as running:
        yield running


def job(name: str, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
    """A job of the town."""
    return {"name": name, "tool": "do_work", "args": {"label": name, "seconds": seconds}} | more


async def standing(system: System, execution: str, status: str, reason: str | None = None, *, within: float = 20) -> None:
    """Wait until an execution stands there."""

    async def there() -> bool:
        found = await system.get(execution)
        return found["status"] == status and reason in {None, found["reason"]}

    await until(there, within=within, describe=f"{execution} is {status} {reason or ''}")


async def effects_begun(system: System, execution: str, count: int) -> None:
    """Wait until the town has so many effects of an execution."""

    async def enough() -> bool:
        return len(await system.effect_rows(execution)) >= count

    await until(enough, within=30, describe=f"{count} effects of {execution}")


async def told(system: System, execution: str, event: str, step: str) -> None:
    """Wait until the history tells this of a step."""

    async def there() -> bool:
        try:
            lines = await system.history(execution)
        except AssertionError:
            return False  # a child that is not created yet
        return any((line["event"], line.get("step")) == (event, step) for line in lines)

    await until(there, within=30, describe=f"{event} {step} of {execution}")


# --- children


def with_child(*behind: dict[str, Any]) -> list[dict[str, Any]]:
    """A job, a child of three jobs, and what comes behind it."""
    inner = {"steps": [job("x", 0.4), job("y", 0.4, needs=["x"]), job("z", 0.4, needs=["y"])], "output": {"all": "${z.label}"}}
    return [job("first"), {"name": "trip", "child": inner, "needs": ["first"]}, *behind]


async def child_of(system: System, execution: str) -> str:
    """The child's id, once it is asked for."""

    async def asked() -> str | None:
        lines = [line for line in await system.history(execution) if line["event"] == "step.child_asked"]
        return str(lines[0]["detail"]["child"]) if lines else None

    return await until(asked, within=20, describe="a child is asked for")


async def test_a_child_runs_once_whatever_is_killed_meanwhile(shaken: System) -> None:
    """The executor and the watchdog die while the child runs; its output reaches the parent."""
    last = {"name": "last", "tool": "do_work", "args": {"label": "after ${trip.all}"}}
    execution = await shaken.run_plan(with_child(last))
    child = await child_of(shaken, execution)
    await told(shaken, child, "step.intended", "y")
    await asyncio.gather(shaken.restart("step_executor"), shaken.restart("resume"))

    found = await shaken.ended(execution, within=40)
    assert found["status"] == "COMPLETED"
    assert found["steps"][-1]["input"] == {"label": "after z"}
    assert await shaken.effects(execution) == {"first": 1, "last": 1}
    assert await shaken.effects(child) == {"x": 1, "y": 1, "z": 1}


async def test_what_a_child_did_is_undone_with_its_parent_whatever_is_killed_meanwhile(shaken: System) -> None:
    """The parent fails behind the child; the executor dies while the child takes everything back."""
    table = {"restaurant": "No Such Place", "party_size": 2, "date": "2099-05-01", "time": "19:00", "name": "Ann"}
    execution = await shaken.run_plan(with_child({"name": "doomed", "tool": "reserve_table", "args": table, "needs": ["trip"]}))
    child = await child_of(shaken, execution)

    async def some_undone() -> bool:
        return any(not row["standing"] for row in await shaken.effect_rows(child))

    await until(some_undone, within=40, describe="the child takes something back")
    await shaken.restart("step_executor")

    assert (await shaken.ended(execution, within=40))["status"] == "COMPENSATED"
    assert (await shaken.get(child))["status"] == "COMPENSATED"
    rows = [*await shaken.effect_rows(execution), *await shaken.effect_rows(child)]
    applied = {row["key"].split(".")[1]: (row["times_applied"], row["standing"]) for row in rows}
    assert applied == dict.fromkeys(("first", "x", "y", "z"), (1, 0))


# --- maps and large plans


async def test_a_map_does_every_item_once_though_its_executor_is_killed(shaken: System) -> None:
    """200 items, ten at a time. 1,000 items and three kills: `python -m tests.system.drill map`."""
    plan = {"name": "m", "tool": "do_work", "args": {"label": "item ${item}"}, "map": {"over": list(range(ITEMS))}}
    execution = await shaken.run_plan([plan])
    await effects_begun(shaken, execution, 70)
    await shaken.restart("step_executor")

    found = await shaken.ended(execution, within=60)
    assert found["status"] == "COMPLETED"
    rows = await shaken.effect_rows(execution)
    assert Counter(row["times_applied"] for row in rows) == {1: ITEMS}
    assert [one["label"] for one in found["steps"][0]["output"]] == [f"item {number}" for number in range(ITEMS)]


async def test_a_plan_of_ten_thousand_steps_is_taken_and_stopped(shaken: System) -> None:
    """It fits into a request; a cancel ends it with what it did taken back. To its end: `python -m tests.system.drill plan`."""
    steps = [job(f"s{number}", 0, needs=[f"s{number - 16}"] if number >= 16 else []) for number in range(MANY_STEPS)]
    execution = await shaken.run_plan(steps)
    await effects_begun(shaken, execution, 20)
    assert (await shaken.post(f"/api/executions/{execution}/cancel", {})).status_code == 202

    found = await shaken.ended(execution, within=60)
    assert (found["status"], found["cause"]) == ("COMPENSATED", "cancelled")
    assert found["totalSteps"] == MANY_STEPS
    rows = await shaken.effect_rows(execution)
    assert len(rows) >= 20
    assert {(row["times_applied"], row["standing"]) for row in rows} == {(1, 0)}


# --- what comes from outside


async def test_one_event_by_key_wakes_ten_executions(shaken: System) -> None:
    """Each once, and the executor and the watchdog die while they are told."""
    wait = {"name": "w", "wait": {"events": [{"name": "opened", "key": "shop-7"}], "timeout_ms": 600_000}}
    waiting = [await shaken.run_plan([wait, job("go", needs=["w"])]) for _ in range(10)]
    for execution in waiting:
        await standing(shaken, execution, "SUSPENDED", "event")

    event = {"key": "shop-7", "id": "opening-1", "data": {"at": 9}}
    told = await shaken.post("/api/events/opened", event)
    again = await shaken.post("/api/events/opened", event)
    assert (told.status_code, again.status_code) == (202, 202)
    await asyncio.gather(shaken.restart("step_executor"), shaken.restart("resume"))

    for execution in waiting:
        found = await shaken.ended(execution, within=40)
        assert found["status"] == "COMPLETED"
        assert found["steps"][0]["output"]["data"] == {"at": 9}
        assert await shaken.effects(execution) == {"go": 1}


async def test_a_wait_is_called_at_the_address_that_a_tool_was_given(shaken: System) -> None:
    """The address is read where the town keeps the message; it serves once, and the executor is away meanwhile."""
    ask = {
        "name": "ask",
        "tool": "send_message",
        "args": {"to": "a@b.example", "channel": "email", "text": "${w.callback_url}"},
    }
    wait = {"name": "w", "wait": {"callback": True, "timeout_ms": 600_000}, "needs": ["ask"]}
    execution = await shaken.run_plan([ask, wait, job("go", args={"label": "room ${w.room}"})])
    await standing(shaken, execution, "SUSPENDED", "callback")
    town = shaken.processes["town"].url
    [message] = (await shaken.client.get(f"{town}/messages", params={"prefix": execution})).json()["messages"]
    await shaken.kill("step_executor")
    first = await shaken.client.post(message["text"], json={"room": 7})
    second = await shaken.client.post(message["text"], json={"room": 8})
    await shaken.start("step_executor")

    assert (first.status_code, second.json()["result"]) == (202, "was called before")
    found = await shaken.ended(execution, within=40)
    assert found["status"] == "COMPLETED"
    assert found["steps"][-1]["input"] == {"label": "room 7"}
    assert await shaken.effects(execution) == {"ask": 1, "go": 1}


async def test_a_pause_holds_and_a_resume_goes_on_though_the_executor_dies_in_between(shaken: System) -> None:
    """Paused while a step runs, killed, started: nothing moves until it is resumed."""
    execution = await shaken.run_plan(work(8, 0.3))
    await shaken.done_steps(execution, 2, within=20)
    assert (await shaken.post(f"/api/executions/{execution}/pause", {"actor": "ann"})).status_code == 202
    await shaken.restart("step_executor")
    await standing(shaken, execution, "PAUSED")
    before = await shaken.effects(execution)
    await shaken.restart("step_executor")
    other = await shaken.run_plan(work(2, 0.1))
    await shaken.ended(other, within=40)

    assert (await shaken.get(execution))["status"] == "PAUSED", "another one ran to its end meanwhile"
    assert await shaken.effects(execution) == before
    assert len(before) < 8
    assert (await shaken.post(f"/api/executions/{execution}/resume", {"actor": "ann"})).status_code == 202
    assert (await shaken.ended(execution, within=40))["status"] == "COMPLETED"
    assert await shaken.effects(execution) == {f"s{number}": 1 for number in range(8)}


# --- limits


async def test_a_limit_holds_at_the_town_though_executors_die_with_slots_in_their_hands(shaken: System) -> None:
    """Thirty executions, three letters at a time: the town counts how many it had at once, also those of dead callers."""
    town = shaken.processes["town"].url
    await shaken.client.delete(f"{town}/knobs")
    await shaken.knobs(latency_ms=200, only_path="/letters")
    limited = {
        "name": "a",
        "tool": "post_letter",
        "args": {"to": "Ann", "text": "Hello"},
        "limits": [{"key": "post", "most": 3}],
    }
    executions = [await shaken.run_plan([limited]) for _ in range(30)]

    async def counts() -> dict[str, int]:
        found: dict[str, int] = (await shaken.client.get(f"{town}/knobs")).json()["counts"]
        return found

    async def posted() -> bool:
        return (await counts())["delayed"] >= 5

    await until(posted, within=40, describe="some letters are posted")
    await shaken.restart("step_executor")
    ends = [await shaken.ended(execution, within=60) for execution in executions]
    await shaken.knobs()

    assert {found["status"] for found in ends} == {"COMPLETED"}
    assert 1 < (await counts())["working_most"] <= 3
    for execution in executions:
        assert await shaken.effects(execution) == {"a": 1}


async def test_when_both_channels_die_one_that_comes_back_is_enough(shaken: System) -> None:
    """qstash_dev and the watchdog are gone, the executor dies holding the lease; then one of the two comes back, alone."""
    for name in ("qstash_dev", "resume"):
        execution = await shaken.run_plan(work(4, 0.2))
        await shaken.done_steps(execution, 1, within=20)
        await asyncio.gather(*(shaken.kill(one) for one in ("qstash_dev", "resume", "step_executor")))
        await shaken.start("step_executor")
        await shaken.start(name)
        try:
            assert (await shaken.ended(execution, within=60))["status"] == "COMPLETED"
            assert await shaken.effects(execution) == {f"s{number}": 1 for number in range(4)}
        finally:
            await shaken.start("resume" if name == "qstash_dev" else "qstash_dev")
