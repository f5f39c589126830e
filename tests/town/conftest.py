"""Fixtures of the town's tests: one fresh town a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.town.support import Host, Town, TownProcess, hosting


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """The listening server."""
    with hosting() as host:
        yield host


@pytest.fixture
def town(host: Host, tmp_path: Path) -> Iterator[Town]:
    """A fresh town on a real socket, in this process."""
    with host.town(tmp_path / "town.sqlite") as town:
        yield town


@pytest.fixture
def town_process(tmp_path: Path) -> Iterator[TownProcess]:
    """A town that can be killed; start it in the test."""
    town = TownProcess(tmp_path / "made" / "on demand" / "town.sqlite")
    yield town
    town.kill()
