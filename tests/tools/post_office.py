"""A mail server on a real socket, which can be told where in the conversation to break it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class PostOffice:
    """Keeps letters. `says` maps a verb to the line that it gets instead of the usual one; "" hangs up."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []
        self.login = ""
        self.says: dict[str, str] = {}
        self.port = 0
        self._open: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._open.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        goes_on = await self._say(writer, "HELLO", "220 post office")
        while goes_on and (line := (await reader.readline()).decode().strip()):
            verb = line.split(" ")[0].split(":")[0].upper()
            usual = "250-here\r\n250 AUTH PLAIN" if verb == "EHLO" else "250 fine"
            if verb == "AUTH":
                self.login, usual = line.split(" ")[-1], "235 welcome"
            if verb == "DATA":
                goes_on = await self._say(writer, "DATA", "354 go on")
                if goes_on and "DATA" not in self.says:
                    letter = await reader.readuntil(b"\r\n.\r\n")
                    if self.says.get("TEXT", "250")[:1] in {"2", "", "s"}:
                        self.letters.append(letter.removesuffix(b".\r\n"))
                    goes_on = await self._say(writer, "TEXT", "250 kept")
                continue
            goes_on = await self._say(writer, verb, usual)

    async def _say(self, writer: asyncio.StreamWriter, verb: str, usual: str) -> bool:
        line = self.says.get(verb, usual)
        if line == "silence":
            await asyncio.Event().wait()
        if line:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()
        return bool(line)

    def stop(self) -> None:
        """Nobody waits any more."""
        for task in self._open:
            task.cancel()


@contextlib.asynccontextmanager
async def post_office() -> AsyncIterator[PostOffice]:
    """One that listens on 127.0.0.1."""
    found = PostOffice()
    server = await asyncio.start_server(found.take, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        found.stop()
        await asyncio.sleep(0)
