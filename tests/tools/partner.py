"""A partner on a real socket that answers by script, and counts who came."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import msgspec


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def says(status: int, body: object = None, **headers: str) -> Script:
    """A script: this answer. Names of headers have `_` for `-`."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)

    async def script(_: Asked, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
        await writer.drain()

    return script


async def hangs_up(_: Asked, writer: asyncio.StreamWriter) -> None:
    """A script: no answer, the connection is gone."""
    writer.close()


async def never_answers(_: Asked, __: asyncio.StreamWriter) -> None:
    """A script: silence, until the other side has enough."""
    await asyncio.Event().wait()


async def never_stops(_: Asked, writer: asyncio.StreamWriter) -> None:
    """A script: a body without an end, as fast as it is read."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()


async def trickles(_: Asked, writer: asyncio.StreamWriter) -> None:
    """A script: one byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)


class Partner:
    """Answers with `script`; `asked` has every request that arrived, `connections` counts those who only knocked, too."""

    def __init__(self) -> None:
        self.script: Script = says(200, {"ok": True})
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = 0
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            asked = await _read(reader)
            if asked is not None:
                self.asked.append(asked)
                await self.script(asked, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._open.discard(task)
            writer.close()

    def stop(self) -> None:
        """Nobody waits for an answer any more."""
        for task in self._open:
            task.cancel()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@contextlib.asynccontextmanager
async def partner(tls: ssl.SSLContext | None = None) -> AsyncIterator[Partner]:
    """One that listens on 127.0.0.1."""
    found = Partner()
    server = await asyncio.start_server(found.take, "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        found.stop()
        await asyncio.sleep(0)
