"""The second channel's subscriber under random faults, on real processes. Ten minutes of it: `make mesh`."""

from pathlib import Path

import pytest

from tests.system import mesh

pytestmark = pytest.mark.system


@pytest.mark.xdist_group("heavy")
async def test_every_event_is_handled_once_whatever_happens_to_the_connection(tmp_path: Path) -> None:
    """About ten random faults of eighteen kinds; other seeds by hand."""
    print(await mesh.run(tmp_path, seconds=25, seed=3))  # noqa: T201 - shown with a failure
