"""Executors stand still under load: what is overdue is not sent again and again, and everything goes on when they do."""

from pathlib import Path

import pytest

from tests.system.harness import QUICK, System
from tests.system.standstill import ALLOWED, standstill

pytestmark = pytest.mark.system


@pytest.mark.parametrize("direct", ["true", "false"])
async def test_executors_that_stand_still_cause_no_storm(tmp_path: Path, direct: str) -> None:
    """Sixty executions under way, eight seconds; with direct calls and without. `make standstill` is the long form."""
    async with System(tmp_path, RESUME_DIRECT=direct, **QUICK) as system:
        report = await standstill(system, executions=60, seconds=8, steps=4, within=90)
    assert report.completed == 60
    assert report.ratio <= ALLOWED, report
