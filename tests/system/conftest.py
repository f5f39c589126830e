"""One running system for all tests of a module that break nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.settings import DEV_ABLY_KEY
from tests.system.harness import QUICK, System


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A whole system with the quick limits; tests keep apart by their own executions."""
    folder: Path = tmp_path_factory.mktemp("system")
    made = System(folder, **QUICK, MAX_PLAN_STEPS="50", CHAT_PER_MINUTE="0", ABLY_WEBHOOK_KEYS=DEV_ABLY_KEY)
    made.environ["ABLY_DEV_RULES"] = webhook_rule(made)
    async with made as running:
        yield running


def webhook_rule(made: System) -> str:
    """What is published on our channels comes to the resume service by a webhook, too."""
    target = {"url": f"{made.environ['RESUME_URL']}/api/mesh/resume", "signingKeyId": DEV_ABLY_KEY.partition(":")[0]}
    return json.dumps([{"requestMode": "batch", "source": {"channelFilter": "^mesh:resume(:|$)"}, "target": target}])


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a running system stay on one worker; all others are spread."""
    for item in items:
        if "system" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
