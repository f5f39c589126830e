"""One running system for all tests of a module that break nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.system.harness import QUICK, System


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A whole system with the quick limits; tests keep apart by their own executions."""
    folder: Path = tmp_path_factory.mktemp("system")
    async with System(folder, **QUICK, MAX_PLAN_STEPS="50") as running:
        yield running


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a running system stay on one worker; all others are spread."""
    for item in items:
        if "system" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
