"""A TCP proxy with bad weather: between two processes it refuses, drops, delays, throttles, cuts, or swallows everything.

It runs in the loop of whoever made it and is switched from there. With several backends connections go to them in turn, so that
one address stands for a fleet; a backend that refuses is passed over, as a balancer does.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple

CHUNK: Final = 65_536
LOOK_S: Final = 0.02
"""How often a throttled or swallowing connection looks whether the weather has changed."""


class Weather(NamedTuple):
    """How the line behaves. The default is: it only carries."""

    refuse: bool = False
    """Nobody can connect; what is connected is cut off."""
    drop: bool = False
    """A connection is taken and closed before a byte went through."""
    hole: bool = False
    """Bytes are kept back in both directions, and go on when the weather clears: a network that is parted, not a reset."""
    delay_s: float = 0.0
    """Every chunk comes so much later, in order."""
    rate: int = 0
    """Bytes a second of one direction of a connection; 0 = as fast as it goes."""
    cut: float = 0.0
    """The chance of each chunk that half of it goes through, and then the connection is reset."""


CLEAR: Final = Weather()


class Proxy:
    """One listening port. Use as an async context manager; every connection ends with it."""

    def __init__(self, port: int, backends: Sequence[int], *, seed: int = 0) -> None:
        """`backends`: ports on loopback. `seed` decides which chunks are cut."""
        self.port = port
        self.backends = list(backends)
        self.weather = CLEAR
        self.taken = self.cuts = 0
        """Connections that were asked for, and connections that were reset on purpose."""
        self._dice = random.Random(seed)
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it is reached over HTTP."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Proxy":
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop_listening()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def turn(self, weather: Weather) -> None:
        """This weather from now on, for open connections too."""
        self.weather = weather
        if weather.refuse:
            self._stop_listening()
            self.cut_all()
        elif self._server is None:
            await self._listen()

    def cut_all(self) -> None:
        """Reset every connection in the middle of whatever it carries."""
        self.cuts += len(self._open) // 2
        for writer in list(self._open):
            _reset(writer)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port, backlog=2048)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()  # without wait_closed: since Python 3.12 that waits for the connections too
            self._server = None

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back = None if self.weather.drop else await self._connected()
        if back is None:
            _reset(writer)
            return
        there, away = back
        both = (writer, away)
        self._open.update(both)
        try:
            await self._both_ways(self._pump(reader, away), self._pump(there, writer))
            for one in both:
                one.close()
        except OSError:
            pass  # one side was reset, so the other one is
        finally:
            self._open.difference_update(both)
            for one in both:
                if not one.is_closing():
                    _reset(one)

    async def _both_ways(self, *ways: Coroutine[Any, Any, None]) -> None:
        """Until both have ended, or one was reset."""
        pumps = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """To the next backend that listens; None if none does."""
        for _ in self.backends:
            self._turn += 1
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self.backends[self._turn % len(self.backends)])
        return None

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            await self._delivered(data, sink)
        with contextlib.suppress(OSError):
            sink.write_eof()

    async def _delivered(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        while self.weather.hole:  # noqa: ASYNC110 - a look is simpler than an event that every change of the weather keeps
            await asyncio.sleep(LOOK_S)
        if self.weather.delay_s:
            await asyncio.sleep(self.weather.delay_s)
        if self.weather.cut and self._dice.random() < self.weather.cut:
            self.cuts += 1
            sink.write(data[: len(data) // 2])
            await sink.drain()
            raise ConnectionResetError
        while (rate := self.weather.rate) and data:
            part, data = data[: max(1, int(rate * LOOK_S))], data[max(1, int(rate * LOOK_S)) :]
            sink.write(part)
            await sink.drain()
            await asyncio.sleep(LOOK_S)
        sink.write(data)
        await sink.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection at once with a RST, as a machine does that forgot it; what was not read yet is gone."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
