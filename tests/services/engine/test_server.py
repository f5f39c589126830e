"""uvicorn's server as our services run it: told when to stop, and what it says of the time."""

import asyncio
import signal

import uvicorn
from starlette.types import Receive, Scope, Send

from shared.server import Server
from tests.support.waiting import eventually


async def app(_: Scope, __: Receive, ___: Send) -> None:
    """Nobody calls it."""


def server(**more: float) -> Server:
    """One that listens nowhere."""
    config = uvicorn.Config(app, log_config=None)
    config.load()
    return Server(config, **more)


async def test_a_server_that_is_told_to_stop_stops_before_its_next_tick() -> None:
    """Which comes in an hour here."""
    found = server(tick_s=3_600)
    running = asyncio.create_task(found.main_loop())
    await eventually(lambda: found.server_state.default_headers, describe="its first tick")
    assert not running.done()

    found.handle_exit(signal.SIGTERM, None)
    async with asyncio.timeout(60):
        await running


async def test_a_server_that_is_told_to_stop_before_it_runs_does_not_run() -> None:
    """A signal may come while it starts."""
    found = server(tick_s=3_600)
    found.handle_exit(signal.SIGTERM, None)
    async with asyncio.timeout(60):
        await found.main_loop()


async def test_the_date_of_answers_moves_on() -> None:
    """Twice, without a request."""
    found = server(tick_s=0.01)
    running = asyncio.create_task(found.main_loop())
    dates: set[bytes] = set()

    def moved() -> bool:
        dates.update(value for name, value in found.server_state.default_headers if name == b"date")
        return len(dates) > 1

    await eventually(moved, describe="another second")
    found.handle_exit(signal.SIGTERM, None)
    await running
