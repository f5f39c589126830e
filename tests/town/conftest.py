"""Fixtures of the town's tests: one fresh town a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.town.support import TownProcess


@pytest.fixture
def town_process(tmp_path: Path) -> Iterator[TownProcess]:
    """A town that can be killed; start it in the test."""
    town = TownProcess(tmp_path / "made" / "on demand" / "town.sqlite")
    yield town
    town.kill()
