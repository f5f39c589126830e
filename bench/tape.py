"""What Redis answered, kept and played again: the engine's side of a command can then be counted without a server.

`recorded` stands between a client and its server and keeps the answers by script; `replayed` is a client that speaks through
its own line to such a tape, with no socket and no waiting.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import hiredis
import msgspec
from redis.asyncio import Redis

from shared.redisdb.client import Client
from shared.redisdb.cluster import Routed
from shared.redisdb.connect import connect

Tape = dict[str, list[bytes]]
"""Answers in their order, by command, and by script where it is one."""
_MORE: Final = object()


class Recording(msgspec.Struct, frozen=True):
    """One execution as the server saw it."""

    execution: str
    tape: Tape


def name_of(words: list[Any]) -> str:
    """Under which a command's answers are kept."""
    first = words[0].decode().upper()
    return f"{first} {words[1].decode()}" if first == "EVALSHA" else str(first)


def resp(reply: Any) -> bytes:
    """An answer as the server sends it."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        case str():  # a status, such as OK
            return b"+%s\r\n" % reply.encode()
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(resp, reply))
        case _:
            raise TypeError(f"no tape of {type(reply).__name__}")


@contextlib.asynccontextmanager
async def recorded(port: int, tape: Tape) -> AsyncIterator[str]:
    """The URL of a way to the server on this port that keeps the answers. An error is kept too, and ends a replay."""

    passing: set[asyncio.Task[Any]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing.add(cast("asyncio.Task[Any]", asyncio.current_task()))
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        asked: list[str] = []
        await asyncio.gather(_there(reader, up_writer, asked), _back(up_reader, writer, asked, tape))
        writer.close()
        up_writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        await asyncio.wait(passing, timeout=5)  # the client has closed: both sides end by themselves


async def _there(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[str]) -> None:
    commands = hiredis.Reader(notEnoughData=_MORE)
    while data := await reader.read(1 << 16):
        commands.feed(data)
        while (words := commands.gets()) is not _MORE:
            asked.append(name_of(words))
        writer.write(data)
    writer.write_eof()  # the server closes then, and the way back ends


async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[str], tape: Tape) -> None:
    replies = hiredis.Reader(notEnoughData=_MORE)
    while data := await reader.read(1 << 16):
        replies.feed(data)
        while (reply := replies.gets()) is not _MORE:
            name = asked.pop(0)
            if not isinstance(reply, Exception | dict):
                tape.setdefault(name, []).append(resp(reply))
        writer.write(data)


def replayed(tape: Tape) -> Redis:
    """A client whose commands are answered from the tape, again and again. What is not on it raises KeyError."""
    client = connect("redis://127.0.0.1:1/0")
    assert isinstance(client, Client)
    client.line = client.routed = Routed(lambda: _Connection(tape), client.nodes)  # type: ignore[arg-type, return-value] # what Line uses of one
    return client


class _Connection:
    """As much of redis-py's as a Line uses."""

    def __init__(self, tape: Tape) -> None:
        self._writer = self  # redis-py's connection has a writer, and that a transport: here all three are one
        self.transport = self
        self._tape = tape
        self._played: dict[str, int] = defaultdict(int)
        self._commands = hiredis.Reader(notEnoughData=_MORE)
        self._protocol: Any = None

    async def connect(self) -> None:
        """It is."""

    def set_protocol(self, protocol: Any) -> None:
        """Who hears the answers."""
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Answered with the next turn of the loop."""
        self._commands.feed(data)
        found = []
        while (words := self._commands.gets()) is not _MORE:
            found.append(self._answer(name_of(words)))
        asyncio.get_running_loop().call_soon(self._protocol.data_received, b"".join(found))

    def _answer(self, name: str) -> bytes:
        answers, played = self._tape[name], self._played[name]
        self._played[name] = played + 1
        return answers[played % len(answers)]

    def abort(self) -> None:
        """Nothing to close."""

    def _close(self) -> None:
        """Nothing to close."""
