"""One official client and what it says. It is opened, looked at, pinged and closed; never mended: one that fails is replaced.

Three things follow from what it is known to do wrong: nothing of it is awaited without a bound, its listeners only take notes,
and a channel is never released.
"""

import asyncio
import contextlib
import enum
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias
from weakref import WeakSet

from ably import AblyException, AblyRealtime, AblyRest  # type: ignore[import-untyped] # it has no py.typed

from services.resume.subscriber.judging import Channel, Pace, View
from services.resume.subscriber.mailbox import mail_of
from services.resume.subscriber.progress import Mail

Auth: TypeAlias = Callable[[Any], Awaitable[Any]]
CLOSE_S: Final = 2.0
"""The client waits ten seconds for a server that does not answer its goodbye."""


class Ping(enum.Enum):
    """What came of a ping."""

    ANSWERED = "answered"
    SILENT = "silent"
    DEAF = "deaf"
    """The socket is closed, and the client does not know."""


class Line:
    """Listens until it is closed; after that nothing of it is heard any more."""

    def __init__(self, client: AblyRealtime, *, hear: Callable[[Mail], None], gap: Callable[[str], None]) -> None:
        """`hear` takes each message, `gap` the name of a channel on which something may be missing. Both return at once."""
        self._client, self._hear, self._gap = client, hear, gap
        self._over = False
        self._channels: dict[str, Any] = {}
        self._attaching: list[asyncio.Task[None]] = []
        self._transports: WeakSet[Any] = WeakSet()
        self._down_since: float | None = time.monotonic()
        self._unanswered, self._deaf = 0, False
        self.changed = asyncio.Event()

    def open(self, names: Sequence[str]) -> None:
        """Begin to listen. `view` says what has come of it."""
        self._client.connection.on(lambda _: self.changed.set())
        keep = lambda one: self._transports.add(one)  # noqa: E731, PLW0108 - the client takes functions written in Python only
        self._client.connection.connection_manager.on("transport.pending", keep)
        for name in names:
            self._channels[name] = channel = self._client.channels.get(name)
            channel.on(self._on_state(name))
            self._attaching.append(asyncio.create_task(self._subscribe(channel, self._on_message(name))))

    async def _subscribe(self, channel: Any, listener: Callable[[Any], None]) -> None:
        with contextlib.suppress(AblyException):  # the channel's state says it too
            await channel.subscribe(listener)  # for ever, if the server is away: this task is cancelled by `close`

    def _on_message(self, name: str) -> Callable[[Any], None]:
        def listener(message: Any) -> None:
            if not self._over:
                self._hear(mail_of(name, message))

        return listener

    def _on_state(self, name: str) -> Callable[[Any], None]:
        def listener(change: Any) -> None:
            if not self._over and change.current == "attached" and not change.resumed:
                self._gap(name)
            self.changed.set()

        return listener

    def view(self) -> View:
        """How it is now."""
        now = time.monotonic()
        found = View(
            connection=self._client.connection.state.value,
            code=_code(self._client.connection.error_reason),
            channels={name: Channel(one.state.value, _code(one.error_reason)) for name, one in self._channels.items()},
            down_s=now - self._down_since if self._down_since is not None else 0.0,
            unanswered=self._unanswered,
            deaf=self._deaf,
        )
        self._down_since = None if found.up else self._down_since or now
        return found

    async def ping(self, within_s: float) -> Ping:
        """Ask whether the server still hears it."""
        found = await self._ping(within_s)
        if found is Ping.DEAF:  # or the socket was closed this very moment, and it comes back by itself
            found = await self._ping(within_s)
        self._unanswered = 0 if found is Ping.ANSWERED else self._unanswered + 1
        self._deaf = found is Ping.DEAF
        return found

    async def _ping(self, within_s: float) -> Ping:
        try:
            async with asyncio.timeout(within_s):
                await self._client.connection.ping()
        except (TimeoutError, AblyException):
            return Ping.SILENT
        except Exception:  # noqa: BLE001 - websockets' ConnectionClosed, or a bare Exception: there is no socket
            return Ping.DEAF
        return Ping.ANSWERED

    async def close(self) -> None:
        """Give it up, within a bound."""
        self._over = True
        for task in self._attaching:
            task.cancel()
        await asyncio.gather(*self._attaching, return_exceptions=True)
        with contextlib.suppress(Exception):  # it is given up whatever it says
            async with asyncio.timeout(CLOSE_S):
                await self._client.close()
        with contextlib.suppress(Exception):
            await AblyRest.close(self._client)  # in case that was cut short; closing twice does nothing
        for transport in list(self._transports):
            _abandon(transport)


def client(options: dict[str, Any], auth: Auth, pace: Pace) -> AblyRealtime:
    """A new client, which begins to connect. `options`: where the server is."""
    answer_ms, retry_ms = round(pace.answer_s * 1000), round(pace.retry_s * 1000)
    made = AblyRealtime(
        auth_callback=auth,
        realtime_request_timeout=answer_ms,
        disconnected_retry_timeout=retry_ms,
        suspended_retry_timeout=retry_ms,
        channel_retry_timeout=retry_ms,
        **options,
    )
    # Before it tries a fallback host it asks the internet with a blocking call, which would stop this whole service.
    made.connection.connection_manager.check_connection = lambda: True
    return made


def _code(error: Any) -> int:
    """Of Ably; 0 for what else the client keeps as an error, such as the socket's own."""
    return int(error.code or 0) if isinstance(error, AblyException) else 0


def _abandon(transport: Any) -> None:
    """A client that was told to close while it connects, or whose server is silent, leaves its socket open for a while."""
    for task in (transport.ws_connect_task, transport.read_loop, transport.idle_timer):
        if task is not None:
            task.cancel()
    if transport.websocket is not None:
        transport.websocket.transport.abort()
