"""A saga may be longer than an invocation; an invocation never passes its limit, and a message carries many steps."""

from pathlib import Path

import pytest

from tests.system.harness import System, work

pytestmark = pytest.mark.system


async def test_twenty_seconds_of_work_run_in_several_segments_within_the_limit(tmp_path: Path) -> None:
    """40 steps of 0.5 s under the default limits: no invocation passes 9.5 s."""
    async with System(tmp_path) as system:
        execution = await system.run_plan(work(40, 0.5))
        found = await system.ended(execution, within=90)

        assert found["status"] == "COMPLETED"
        assert found["segment"] >= 3
        assert await system.effects(execution) == {f"s{number}": 1 for number in range(40)}
        took = [line["took_ms"] for line in system.events("step_executor", "segment.answered")]
        assert len(took) >= 3
        assert max(took) < 9_500
        saved = [line["message"] for line in system.events("step_executor", "checkpoint.saved")]
        assert saved[0].startswith("Checkpoint saved [segment 0, next step: s")


async def test_short_steps_share_messages(tmp_path: Path) -> None:
    """8 steps of 0.3 s in a fresh system (nothing learned yet) use at most a quarter of a message each."""
    async with System(tmp_path) as system:
        execution = await system.run_plan(work(8, 0.3))
        found = await system.ended(execution, within=30)

        assert found["status"] == "COMPLETED"
        assert 1 <= await system.messages(execution) <= 8 * 0.25


async def test_one_step_a_message_when_asked_for(tmp_path: Path) -> None:
    """STEPS_PER_MESSAGE=1: as many messages as steps."""
    async with System(tmp_path, STEPS_PER_MESSAGE="1") as system:
        execution = await system.run_plan(work(5, 0))
        found = await system.ended(execution, within=30)

        assert found["status"] == "COMPLETED"
        assert await system.messages(execution) == 5
        assert found["segment"] == 5
