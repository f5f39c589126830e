"""What a plan will cost, asked of a running system, and what it then did cost."""

import pytest

from tests.system.harness import System, until, work

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


async def test_a_plan_is_shown_with_its_price_and_nothing_is_done(system: System) -> None:
    """The hash is the one that a confirmation names."""
    said = {"intent": "Book a table for 2 at 7pm", "userId": "test-user"}
    answer = await system.post("/api/plan", said)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    undo = {step["name"]: step["undo"] for step in found["steps"]}
    assert (undo["find_table"], undo["reserve_table"]) == ("nothing to undo", "by its own key")
    assert 1 <= found["price"]["messages"] <= len(found["steps"])
    assert found["price"]["reservedMessages"] > found["price"]["messages"]
    listed = await system.client.get(system.processes["ingress"].url + "/api/executions", params={"text": "7pm"})
    assert listed.json()["executions"] == []


async def test_what_was_forecast_is_what_it_cost(system: System) -> None:
    """Once the executors know how long a call takes: a chain of calls that does not fit into one invocation."""
    steps = work(5, 0.7)
    told = await system.ended(await system.run_plan(steps), within=60)
    assert told["status"] == "COMPLETED"
    await system.run_plan(work(1, 0.7))  # the next segment tells what the one before has measured

    async def known() -> bool:
        found = (await system.post("/api/plan", {"plan": {"steps": steps}})).json()
        return not found["price"]["guessed"]

    await until(known, within=30, describe="the executors have told how long do_work takes")
    price = (await system.post("/api/plan", {"plan": {"steps": steps}})).json()["price"]
    execution = await system.run_plan(steps)
    await system.ended(execution, within=60)
    assert abs(await system.messages(execution) - price["messages"]) <= 1


async def test_a_plan_that_would_be_refused_is_refused(system: System) -> None:
    """With the same words as when it is sent."""
    answer = await system.post("/api/plan", {"plan": {"steps": [{"name": "a", "tool": "nobody"}]}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "plan_refused")
    asked = await system.post("/api/plan", {"intent": "Book a table"})
    assert (asked.status_code, asked.json()["error"]["code"]) == (422, "clarification_needed")
