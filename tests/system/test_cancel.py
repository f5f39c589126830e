"""Cancel is one step boundary away, and what was done is undone."""

from pathlib import Path

import pytest

from tests.system.harness import QUICK, System, work

pytestmark = pytest.mark.system


async def test_after_a_cancel_nothing_new_is_intended_and_what_was_done_is_undone(tmp_path: Path) -> None:
    """Cancel while a step runs: it may finish; no later forward step is INTENDED; every effect is taken back."""
    async with System(tmp_path, **QUICK) as system:
        execution = await system.run_plan(work(10, 0.3))
        await system.done_steps(execution, 2, within=20)
        answer = await system.post(f"/api/executions/{execution}/cancel", {"reason": "changed my mind"})
        assert answer.status_code == 202

        found = await system.ended(execution, within=30)
        assert found["status"] == "COMPENSATED"
        assert found["cause"] == "cancelled"
        lines = [line["event"] for line in await system.history(execution)]
        assert "step.intended" not in lines[lines.index("signal.received") :]
        done = [step["name"] for step in found["steps"] if step["status"] == "DONE"]
        undone = [line["step"] for line in await system.history(execution) if line["event"] == "undo.done"]
        assert undone == list(reversed(done))
        town = system.processes["town"].url
        rows = (await system.client.get(f"{town}/effects", params={"prefix": execution})).json()["effects"]
        assert {row["state"] for row in rows} == {"undone"}


async def test_a_cancel_before_anything_happened_ends_cancelled(tmp_path: Path) -> None:
    """With the executor away, a cancel still is the first thing it sees when it comes back."""
    async with System(tmp_path, **QUICK) as system:
        await system.kill("step_executor")
        execution = await system.run_plan(work(3, 0))
        await system.post(f"/api/executions/{execution}/cancel", {})
        again = await system.post(f"/api/executions/{execution}/cancel", {})
        assert again.json()["result"] == "was cancelled before"
        await system.start("step_executor")

        found = await system.ended(execution, within=30)
        assert found["status"] == "CANCELLED"
        assert await system.effects(execution) == {}
        over = await system.post(f"/api/executions/{execution}/cancel", {})
        assert over.json()["status"] == "CANCELLED"


async def test_a_step_that_fails_for_good_undoes_the_steps_before_it(tmp_path: Path) -> None:
    """A refused reservation takes back the ride that was booked before it."""
    async with System(tmp_path, **QUICK) as system:
        ride = {"pickup": "home", "destination": "harbour", "date": "2030-05-01", "time": "19:00"}
        table = {"restaurant": "No Such Place", "party_size": 2, "date": "2030-05-01", "time": "19:00", "name": "Ann"}
        steps = [
            {"name": "ride", "tool": "book_ride", "args": ride},
            {"name": "table", "tool": "reserve_table", "args": table, "needs": ["ride"]},
        ]
        found = await system.ended(await system.run_plan(steps), within=30)

        assert found["status"] == "COMPENSATED"
        assert found["cause"] == "failed"
        by_name = {step["name"]: step for step in found["steps"]}
        assert by_name["table"]["status"] == "FAILED"
        assert by_name["table"]["error"]["message"]
        assert by_name["ride"]["undo"]["status"] == "DONE"
