"""HTTP/1.1 over connections that are kept: for the calls that the engine and its servers make all the time.

A whole body goes out and a whole one comes back; nothing is decoded, no redirect followed, no cookie kept and no proxy asked.
What a general client does beyond that costs ten times the processor time (docs/decisions/0028-one-lean-client.md).
"""

import asyncio
import base64
import os
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias, cast
from urllib.parse import quote, unquote, urlsplit

import certifi
import httptools
import idna

Pairs: TypeAlias = Iterable[tuple[str, str]]

KEEP_S: Final = 3.0
"""Idle connections are given up before common servers close theirs (5 s): a request must not go into a closing one."""
MOST_BYTES: Final = 1_048_576
_PORTS: Final = {"http": 80, "https": 443}
_BODYLESS: Final = frozenset({204, 304})
_SWITCHED: Final = 101


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """As they came, in their order."""
    body: bytes
    """What was longer than it may be is cut."""

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body for people."""
        return self.body.decode("utf-8", "replace")


class NoAnswer(Exception):
    """There was none. Its class says how far the request came, its text what happened."""


class NotConnected(NoAnswer):
    """Nothing was sent."""


class CutOff(NoAnswer):
    """The connection ended before the answer did, or what came is no HTTP: the request may have been carried out."""


class TooLate(NoAnswer):
    """The time is up: the request may be carried out."""


class Target(NamedTuple):
    """Where a request goes."""

    host: str
    port: int
    tls: bool
    authority: str
    """For the Host header."""
    path: str
    """With the query, byte for byte as the URL has them."""
    credentials: str = ""
    """Those before the host, as an Authorization header has them."""


@lru_cache(maxsize=256)
def target_of(url: str) -> Target:
    """What a URL names; ValueError unless it is an http(s) one with a host."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url[:100]!r} is no http(s) URL with a host")
    host = parts.hostname if parts.hostname.isascii() else idna.encode(parts.hostname, uts46=True).decode()
    named = f"[{host}]" if ":" in host else host
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return Target(
        host=host,
        port=parts.port or _PORTS[parts.scheme],
        tls=parts.scheme == "https",
        authority=named if parts.port in {None, _PORTS[parts.scheme]} else f"{named}:{parts.port}",
        path=path if path.isascii() else quote(path, safe="%/?:@!$&'()*+,;=~#[]"),
        credentials="" if user == ":" else f"Basic {base64.b64encode(user.encode()).decode()}",
    )


class HttpClient:
    """One for a process; `close` it. As many connections to a server as there are requests on their way to it."""

    def __init__(self, *, keep_s: float = KEEP_S, most_bytes: int = MOST_BYTES, tls: ssl.SSLContext | None = None) -> None:
        """`keep_s`: how long a connection is kept that nobody uses. `most_bytes`: of an answer's body. `tls`: whom to trust."""
        self._keep_s = keep_s
        self._most = most_bytes
        self._given = tls
        self._idle: dict[tuple[str, int, bool], list[_Wire]] = defaultdict(list)
        self._closed = False

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when it is needed first: many a process speaks to its neighbours only, and these certificates take 1 MiB."""
        if self._given:
            return self._given
        context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())
        context.load_default_certs()
        return context

    async def post(self, url: str, headers: Pairs, body: bytes, *, answer_s: float, connect_s: float | None = None) -> Answer:
        """See `request`."""
        return await self.request("POST", url, headers, body, answer_s=answer_s, connect_s=connect_s)

    async def request(
        self, method: str, url: str, headers: Pairs, body: bytes, *, answer_s: float, connect_s: float | None = None
    ) -> Answer:
        """The answer, whatever its status. Host is added unless it is given, and Content-Length always.

        `answer_s`: from the first byte sent to the last one read; `connect_s`: before that, or else connecting is a part of
        `answer_s`. NoAnswer; ValueError for what would not be one request.
        """
        target = target_of(url)
        packed = _packed(method, target, headers, body)
        wire = self._kept(target)
        if wire is None:
            began = time.monotonic()
            wire = await self._connected(target, connect_s or answer_s)
            answer_s -= 0 if connect_s else time.monotonic() - began
        try:
            return await wire.ask(packed, answer_s, self._most)
        finally:
            self._keep(target, wire)

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `close`."""
        await self.close()

    async def close(self) -> None:
        """Give the connections up."""
        self._closed = True
        kept = [wire for wires in self._idle.values() for wire in wires]
        self._idle.clear()
        for wire in kept:
            wire.end()
        await asyncio.sleep(0)  # transports close in the loop's next turn

    def _kept(self, target: Target) -> "_Wire | None":
        wires = self._idle.get(target[:3])
        while wires:
            wire = wires.pop()
            if wire.rests():
                return wire
        return None

    async def _connected(self, target: Target, within_s: float) -> "_Wire":
        loop = asyncio.get_running_loop()
        tls = self._tls if target.tls else None
        try:
            async with asyncio.timeout(within_s):
                _, wire = await loop.create_connection(lambda: _Wire(loop), target.host, target.port, ssl=tls)
        except TimeoutError as error:
            raise NotConnected(f"no connection within {within_s:g} s") from error
        except (OSError, UnicodeError) as error:  # a name that is longer than a name may be is a UnicodeError
            raise NotConnected(f"{type(error).__name__}: {error}") from error
        return wire

    def _keep(self, target: Target, wire: "_Wire") -> None:
        if self._closed or not wire.reusable:
            wire.end()
        else:
            wire.rest(self._keep_s, lambda: self._forget(target[:3], wire))
            self._idle[target[:3]].append(wire)

    def _forget(self, where: tuple[str, int, bool], wire: "_Wire") -> None:
        """It ended while nobody used it; of a server that is not asked any more nothing is left."""
        wires = self._idle.get(where, [])
        if wire in wires:
            wires.remove(wire)
        if not wires:
            self._idle.pop(where, None)


def _packed(method: str, target: Target, headers: Pairs, body: bytes) -> bytes:
    """The request's bytes."""
    lines = [f"{method} {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    given = {line.partition(":")[0].lower() for line in lines}
    if "host" not in given:
        lines.append(f"Host: {target.authority}")
    if target.credentials and "authorization" not in given:
        lines.append(f"Authorization: {target.credentials}")
    lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise ValueError("a header has a character that no header may have")
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


class _Wire(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._most = 0
        self._lost = False
        self._ended: Callable[[], None] | None = None
        self.reusable = False
        """After an answer: whether the server keeps it open, and nothing is left on it."""

    def ask(self, packed: bytes, within_s: float, most: int) -> "asyncio.Future[Answer]":
        """The answer to these bytes, or NoAnswer. A caller who is cancelled ends the connection."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._begun = self.reusable = False
        self._most = most
        self._answer = answer = self._loop.create_future()
        if self._lost:
            self._fail(CutOff("the connection was closed"))
        else:
            self._transport.write(packed)
            self._timer = self._loop.call_later(within_s, self._fail, TooLate(f"no answer within {within_s:g} s"))
        return answer

    def rest(self, seconds: float, ended: Callable[[], None]) -> None:
        """Nobody uses it: it ends after so long, or when the server ends it. `ended` hears of both."""
        self._ended = ended
        self._timer = self._loop.call_later(seconds, self.end)

    def rests(self) -> bool:
        """Whether it may be used again; it does not end by itself any more."""
        self._ended = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return not self._lost and not self._transport.is_closing()

    def end(self) -> None:
        """Close it."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._lost:
            self._transport.abort() if self._answer is not None else self._transport.close()

    # -- asyncio's protocol ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._answer is None:  # nobody asked
            self.end()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.end()  # it speaks something else from here on
        except httptools.HttpParserError as error:
            self._fail(CutOff(f"what came is no HTTP answer: {error}"))

    def eof_received(self) -> bool:
        """See asyncio; nothing more comes."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio. An answer without a length ends here."""
        self._lost = True
        if self._answer is None:
            if self._timer is not None:
                self._timer.cancel()
            if self._ended is not None:
                self._ended()
            return
        if self._begun and error is None and self._is_endless():
            self._done()
        else:
            self._fail(CutOff(f"the connection was cut: {error or 'by the server'}"))

    # -- httptools' callbacks ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """See httptools."""
        self.reusable = False  # behind an answer: nobody asked for more

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._begun = True

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._body += body
        if len(self._body) > self._most and self._answer is not None:
            del self._body[self._most :]
            self._done(whole=False)

    def on_message_complete(self) -> None:
        """See httptools."""
        status = self._parser.get_status_code()
        if status < 200 and status != _SWITCHED:  # an interim answer: the one that counts follows
            self._headers, self._begun = [], False
        elif self._answer is not None:
            self._done()

    # ----------------------------------------------------------------------------------------------------------------------

    def _is_endless(self) -> bool:
        named = {name.lower() for name, _ in self._headers}
        return not named & {b"content-length", b"transfer-encoding"} and self._parser.get_status_code() not in _BODYLESS

    def _done(self, *, whole: bool = True) -> None:
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if answer is None or answer.done():
            return
        self.reusable = (
            whole and not self._lost and self._parser.should_keep_alive() and not self._transport.get_write_buffer_size()
        )
        answer.set_result(Answer(self._parser.get_status_code(), self._headers, bytes(self._body)))

    def _fail(self, why: NoAnswer) -> None:
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if answer is not None and not answer.done():
            answer.set_exception(why)
        if not self._lost:
            self._transport.abort()
