"""Fixtures: a server of this process on an empty Valkey, and one as a process of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.services.ably_dev import support
from tests.support.valkey import Valkey


@pytest.fixture
async def server(redis: Redis, valkey: Valkey) -> AsyncIterator[support.Server]:  # noqa: ARG001 - empties it first
    """The server in this process."""
    async with support.serving(valkey.url) as found:
        yield found


@pytest.fixture
async def process(redis: Redis, valkey: Valkey, tmp_path: Path) -> AsyncIterator[support.Process]:  # noqa: ARG001
    """The server as users run it, ready, and killed in the end."""
    found = support.Process(valkey.url, tmp_path / "ably_dev.log")
    await found.start()
    yield found
    await found.end()
