"""Channels that lose what they are given. A thousand sagas of each: `make losses`."""

from pathlib import Path

import pytest

from tests.system import report as reports
from tests.system.losses import run

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("heavy")]
SAGAS = 30


@pytest.mark.parametrize(
    ("way", "lost"),
    [
        ("qstash", ["qstash: drop 100%"]),
        ("both", ["qstash: drop 50%", "qstash: refuse 50%"]),
    ],
)
async def test_whatever_a_channel_loses_every_saga_ends_as_it_must(tmp_path: Path, way: str, lost: list[str]) -> None:
    """Eight steps and a message for each; effects once, those of the sagas that cannot succeed taken back."""
    report = await run(way, SAGAS, folder=tmp_path, at_once=SAGAS, within=240)

    assert not report.broken, reports.rendered(report)
    assert report.ends == {"chain: COMPLETED": 27, "failing chain: COMPENSATED": 3}
    assert all(report.faults[name] for name in lost), report.faults
