"""uvicorn's server, told when it is to stop. Imported by whoever serves: `shared` is also imported by code that never does.

uvicorn looks ten times a second whether it is to stop: 0.1 % of a core for a service that does nothing else.
"""

import asyncio
import contextlib
import gc
import socket
import sys
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from shared.errors import SettingsError

TICK_S: Final = 1.0
"""How often the Date header moves on."""
YOUNG: Final = 10_000
"""So many new objects before garbage is looked for: those of a few requests, most of which are gone by then."""


class Lifespan(LifespanOn):
    """An application that finds its settings wrong as it starts (a file, what Redis holds) fails without a traceback."""

    refused: SettingsError | None = None

    async def send(self, message: Any) -> None:
        """See uvicorn. Starlette tells of a failed start while it handles what was raised."""
        raised = sys.exc_info()[1]
        if message["type"] == "lifespan.startup.failed" and isinstance(raised, SettingsError):
            self.refused = raised
            self.logger.disabled = True  # it would print the traceback that is the message, and that it failed
        await super().send(message)


class Server(uvicorn.Server):
    """Streams have no end of their own: whoever holds some (`app.state.leave`) is told first, or nothing would end here."""

    def __init__(self, config: uvicorn.Config, *, tick_s: float = TICK_S) -> None:
        """Its application may be any ASGI one."""
        super().__init__(config)
        if not config.loaded:
            config.load()
        config.lifespan_class = Lifespan
        self._tick_s = tick_s
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn. SettingsError if the application says that its settings are wrong."""
        try:
            await super().startup(sockets)
        except SystemExit as over:
            raise getattr(self.lifespan, "refused", None) or over from None
        gc.freeze()  # what was loaded stays: looking through it would stop the service for tens of ms now and then
        gc.set_threshold(YOUNG, *gc.get_threshold()[1:])

    async def main_loop(self) -> None:
        """See uvicorn."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):
                    await self._told.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn: a signal has come."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        leave = getattr(getattr(self.config.app, "state", None), "leave", None)
        if leave is not None:
            leave()
        await super().shutdown(sockets)
