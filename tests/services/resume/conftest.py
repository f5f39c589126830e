"""Fixtures: ably_dev in this process on an empty Valkey, and one as a process of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.services.ably_dev.conftest import process, server
from tests.services.ably_dev.support import Process, Server
from tests.services.engine.conftest import site

__all__ = ["process", "server", "site"]


@pytest.fixture
async def beside(process: Process) -> AsyncIterator[Server]:
    """Ways to talk to the server that is a process of its own."""
    found = Server(process.port)
    yield found
    await found.http.aclose()
