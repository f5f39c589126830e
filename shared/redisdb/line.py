"""One connection for the commands of a whole process: what is asked in one turn of the loop leaves together.

redis-py gives each command a connection of its own for as long as it takes, with a task, a lock and several timers; that costs
seven times the processor time of asking over one line, and for commands that come together more than twenty times
(docs/performance.md). Commands that are under way at once also share the server's fsync. Connecting stays redis-py's work: TLS,
passwords and database are as the URL says.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

Word: TypeAlias = str | bytes | int | float

CLOSED: Final = "the client is closed"
CLOSE_S: Final = 2.0
"""How long closing waits for commands that are under way."""
ANSWER_S: Final = 5.0
"""What has no answer by then has a lost connection."""
AGAIN_S: Final = (0.05, 0.1, 0.2)
"""Pauses before a command is sent again after a lost connection: every script bears that."""
_ERRORS: Final[dict[str, type[ResponseError | RedisConnectionError]]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "LOADING": BusyLoadingError,
    "MOVED": MovedError,
    "NOAUTH": AuthenticationError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "TRYAGAIN": TryAgainError,
}

_MORE: Final = object()


def _error(text: str) -> Exception:
    kind = _ERRORS.get(text.partition(" ")[0], ResponseError)
    return kind(text.partition(" ")[2] if kind is not ResponseError else text.removeprefix("ERR "))


class Line:
    """Asks over one connection, made when first needed and again when it is lost."""

    def __init__(self, make: Callable[[], AbstractConnection]) -> None:
        """`make`: a connection of redis-py's that nobody else uses."""
        self._make = make
        self._opening = asyncio.Lock()
        self._wire: _Wire | None = None
        self._closed = False

    async def ask(self, *words: Word) -> Any:
        """The answer to a command that may be sent twice. redis-py's exceptions."""
        packed, wire = _packed(words), self._wire
        if wire is not None and not wire.lost:
            try:
                return await wire.ask(packed, 0)
            except (RedisConnectionError, RedisTimeoutError):
                if self._closed:
                    raise
        return await self._ask(packed, 0)

    async def ask_all(self, commands: Iterable[Sequence[Word]]) -> list[Any]:
        """The answers to all of these, in their order, in one round trip. All of them may be sent twice."""
        packed = [_packed(words) for words in commands]
        found: list[Any] = await self._ask(b"".join(packed), len(packed)) if packed else []
        return found

    async def ask_once(self, commands: Iterable[Sequence[Word]]) -> list[Any]:
        """The answers to all of these, errors among them, in one round trip. Nothing is sent twice."""
        packed = [_packed(words) for words in commands]
        found: list[Any] = await (await self._open()).ask(b"".join(packed), len(packed), each=True) if packed else []
        return found

    async def _ask(self, packed: bytes, many: int) -> Any:
        for pause in AGAIN_S:
            try:
                return await (await self._open()).ask(packed, many)
            except (RedisConnectionError, RedisTimeoutError):
                if self._closed:
                    raise
            await asyncio.sleep(pause)
        return await (await self._open()).ask(packed, many)

    async def aclose(self) -> None:
        """Take no more commands, and wait for those under way, CLOSE_S at most."""
        self._closed = True
        async with self._opening:
            wire, self._wire = self._wire, None
        if wire is not None:
            await wire.finish(CLOSE_S)

    async def _open(self) -> "_Wire":
        wire = self._wire
        if wire is not None and not wire.lost:
            return wire
        async with self._opening:
            if self._closed:
                raise RedisConnectionError(CLOSED)
            if self._wire is None or self._wire.lost:
                self._wire = await _connected(self._make())
            return self._wire


async def _connected(made: AbstractConnection) -> "_Wire":
    try:
        await made.connect()  # type: ignore[no-untyped-call] # redis-py's
    except BaseException:
        await made.disconnect(nowait=True)  # cancelled in the middle of its greeting, it would stay open
        raise
    return _Wire(made)


def _packed(words: Sequence[Word]) -> bytes:
    found: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type] # its stubs take a tuple of one
    return found


class _Question:
    """What somebody waits for: one answer, or `many` together, of which the first error counts or `each` stands for itself."""

    __slots__ = ("answer", "due", "each", "many", "replies")

    def __init__(self, answer: "asyncio.Future[Any]", due: float, many: int, *, each: bool) -> None:
        self.answer = answer
        self.due = due
        self.each = each
        self.many = many
        self.replies: list[Any] = []

    def take(self, reply: Any) -> bool:
        """Whether it has all its answers now."""
        if self.many:
            self.replies.append(reply)
            if len(self.replies) < self.many:
                return False
            error = None if self.each else next((one for one in self.replies if isinstance(one, Exception)), None)
            reply = error or self.replies
        if not self.answer.done():  # who asked may have been cancelled
            (self.answer.set_exception if isinstance(reply, Exception) else self.answer.set_result)(reply)
        return True


class _Wire(asyncio.Protocol):
    """One connection's life. What is lost with it is told to whoever asked."""

    def __init__(self, made: AbstractConnection) -> None:
        assert made._writer is not None  # noqa: S101, SLF001 - it is connected; redis-py has no public way to its transport
        self._made = made
        self._transport: asyncio.WriteTransport = made._writer.transport  # noqa: SLF001
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_MORE, protocolError=InvalidResponse, replyError=_error)
        self._asked: deque[_Question] = deque()
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.lost = False
        self._transport.set_protocol(self)

    def ask(self, packed: bytes, many: int, *, each: bool = False) -> "asyncio.Future[Any]":
        """Its answer, or its `many` answers. A caller who is cancelled only stops waiting for it."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        now = self._loop.time()
        self._asked.append(_Question(answer, now + ANSWER_S, many, each=each))
        self._idle.clear()
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(packed)
        if self._timer is None:
            self._timer = self._loop.call_at(now + ANSWER_S, self._look)
        return answer

    async def finish(self, within_s: float) -> None:
        """Close it once all is answered, or after `within_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        self._lose(RedisConnectionError, CLOSED)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _MORE:
                self._answer(reply)
        except InvalidResponse as error:
            self._lose(RedisConnectionError, f"the server does not speak RESP: {error}")
        if not self._asked:
            self._idle.set()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._lose(RedisConnectionError, f"the connection was cut: {error or 'by the server'}")

    def _send(self) -> None:
        words, self._unsent = self._unsent, []
        if not self.lost:
            self._transport.write(b"".join(words))

    def _answer(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification):
            return  # nobody asked
        if self._asked[0].take(reply):
            self._asked.popleft()

    def _look(self) -> None:
        """One timer for all: answers come in order, so the oldest question has the first deadline."""
        self._timer = None
        if not self._asked or self.lost:
            return
        due = self._asked[0].due
        if due <= self._loop.time():
            self._lose(RedisTimeoutError, f"no answer within {ANSWER_S} s")
        else:
            self._timer = self._loop.call_at(due, self._look)

    def _lose(self, kind: type[RedisError], why: str) -> None:
        if self.lost:
            return
        self.lost = True
        self._transport.abort()
        self._made._close()  # type: ignore[no-untyped-call] # noqa: SLF001 - redis-py's; it forgets its transport
        for question in self._asked:
            if not question.answer.done():
                question.answer.set_exception(kind(why))
        self._asked.clear()
        self._idle.set()
        if self._timer is not None:
            self._timer.cancel()
