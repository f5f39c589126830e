"""How ingress asks the supervisor to break something: a line of JSON there, a line back, on loopback, with a key of this run.

No HTTP: no page in a browser can speak it. A line without the key is answered with nothing at all.
"""

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeAlias

import msgspec

from shared.errors import Conflict, Unavailable

What: TypeAlias = Literal["qstash", "ably"]
LINE_MOST: Final = 65_536
ANSWER_S: Final = 10.0


class Kill(msgspec.Struct, frozen=True, tag="kill", tag_field="do"):
    """SIGKILL to the step executor; it is started again."""


class Drop(msgspec.Struct, frozen=True, tag="drop", tag_field="do"):
    """A channel takes nothing, and loses what it has."""

    what: What
    seconds: float | None = None
    """None: until it is mended."""


class Mend(msgspec.Struct, frozen=True, tag="mend", tag_field="do"):
    """The channel is as it was."""

    what: What


class Look(msgspec.Struct, frozen=True, tag="look", tag_field="do"):
    """How everything stands."""


Command: TypeAlias = Kill | Drop | Mend | Look


class Killing(msgspec.Struct, frozen=True, kw_only=True):
    """The latest end of the executor that was asked for. Times are unix ms."""

    killed_ms: int
    back_ms: int = 0
    """When its successor answered; 0 = not yet."""


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """The latest time for which a channel was dropped. Times are unix ms."""

    since_ms: int
    until_ms: int = 0
    """When it ends by itself; 0 = when it is mended."""
    ended_ms: int = 0
    """0 = it lasts."""
    struck: int = 0
    """What was refused or lost."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with what can be broken here."""

    pid: int
    """Of the executor; 0 while it is down."""
    killing: Killing | None = None
    here: tuple[What, ...] = ()
    """Channels that run on this machine: no other can be dropped."""
    outages: dict[What, Outage] = {}


class _Asked(msgspec.Struct, frozen=True):
    key: str
    command: Command


class _Told(msgspec.Struct, frozen=True, omit_defaults=True):
    report: Report | None = None
    refused: str = ""


_asked = msgspec.json.Decoder(_Asked)
_told = msgspec.json.Decoder(_Told)
Perform: TypeAlias = Callable[[Command], Awaitable[Report]]


@asynccontextmanager
async def listening(perform: Perform) -> AsyncIterator[tuple[str, str]]:
    """The address (`127.0.0.1:port`) and the key at which commands are taken while this lasts.

    `perform` may raise Conflict (it cannot be done now) or Unavailable.
    """
    key = secrets.token_urlsafe(32)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, msgspec.DecodeError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                asked = _asked.decode(await reader.readline())
                if hmac.compare_digest(asked.key.encode(), key.encode()):
                    writer.write(msgspec.json.encode(await _performed(perform, asked.command)) + b"\n")
                    await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=LINE_MOST)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", key
    finally:
        server.close()


async def _performed(perform: Perform, command: Command) -> _Told:
    try:
        return _Told(report=await perform(command))
    except (Conflict, Unavailable) as error:
        return _Told(refused=error.message)


async def ask(address: str, key: str, command: Command) -> Report:
    """What the supervisor did and how everything stands then; Conflict with its reason, Unavailable if it is not there."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, int(port), limit=LINE_MOST)
            try:
                writer.write(msgspec.json.encode(_Asked(str(key), command)) + b"\n")
                told = _told.decode(await reader.readline())
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, msgspec.DecodeError) as error:
        raise Unavailable("the supervisor (`make run`) does not answer", code="supervisor_away") from error
    if told.report is None:
        raise Conflict(told.refused, code="not_now")
    return told.report
