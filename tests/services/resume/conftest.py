"""Fixtures: ably_dev in this process on an empty Valkey, and one as a process of its own."""

from tests.services.ably_dev.conftest import process, server

__all__ = ["process", "server"]
