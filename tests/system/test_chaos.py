"""Everything at once, for a short while. For minutes, with any seed: `make chaos`."""

from pathlib import Path

import pytest

from tests.system import report as reports
from tests.system.chaos import run

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("heavy")]
SEED = 3
SECONDS = 20


async def test_a_fleet_that_is_killed_cut_off_and_lied_to_keeps_every_promise(tmp_path: Path) -> None:
    """Each kind of trouble comes at least once: kills, stops, bad lines, lost messages, lost events, a bad town, new keys."""
    report = await run(SEED, SECONDS, folder=tmp_path, a_second=1.5, every_s=1.5)

    assert not report.broken, reports.rendered(report)
    assert report.executions >= 30
    kinds = {name.split(":")[0].split(" ")[0] for name in report.faults}
    assert {"killed", "frozen", "line", "keys"} <= kinds, report.faults
