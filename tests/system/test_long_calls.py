"""A call that takes longer than an invocation may: QStash makes it, on real processes."""

from pathlib import Path

import pytest

from tests.system.harness import QUICK, System, until

pytestmark = pytest.mark.system
PLAN = [
    {"name": "long", "tool": "do_long_work", "args": {"label": "long", "seconds": 4}},
    {"name": "after", "tool": "do_work", "args": {"label": "after ${long.label}"}},
]


async def test_work_beyond_the_hard_limit_is_done_once_whoever_dies_meanwhile(tmp_path: Path) -> None:
    """Four seconds where an invocation has three; the executor that asked for it is gone when it ends."""
    async with System(tmp_path, **QUICK) as system:
        execution = await system.run_plan(PLAN)

        async def waits() -> bool:
            return bool((await system.get(execution))["reason"] == "callback")

        await until(waits, within=20, describe="the step waits for its callback")
        await system.kill("step_executor")
        await system.start("step_executor")
        found = await system.ended(execution, within=40)

        assert found["status"] == "COMPLETED"
        assert await system.effects(execution) == {"long": 1, "after": 1}
