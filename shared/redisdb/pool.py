"""Connections that end with their client.

redis-py's pool closes the connections that it has when it is closed. One that is being made at that moment comes into being
afterwards, and a command given later makes another: both stay open, with nobody to close them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

CLOSED: Final = "the client is closed"
CLOSE_S: Final = 2.0
"""How long `aclose` waits for commands that are under way."""


class Pool(BlockingConnectionPool):
    """Blocking: a command beyond the last connection waits for one, instead of failing as if Redis were away."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.connection_class = _kind(self.connection_class, lambda: self._over)
        self._closing = False
        self._over = False

    def can_get_connection(self) -> bool:
        """ConnectionError once the pool is closed."""
        if self._closing:
            raise RedisConnectionError(CLOSED)
        return bool(super().can_get_connection())

    async def aclose(self) -> None:
        """Take no more commands, let those end that are under way, and cut what is left after CLOSE_S."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S), self._condition:
                await self._condition.wait_for(lambda: not self._in_use_connections)
        self._over = True
        await super().aclose()


def _kind(base: type[AbstractConnection], over: Callable[[], bool]) -> type[AbstractConnection]:
    """The same kind of connection, which is not made any more when its pool is `over`.

    And for which a line that was cut is a lost connection on every event loop: over a transport that is closed already, uvloop
    raises a RuntimeError. redis-py takes that for a fault of its caller, does not send again, and it gets past whoever reckons
    with a Redis that is away.
    """

    class Kind(base):  # type: ignore[misc, valid-type] # the URL chooses: TCP, TLS or a socket
        async def connect_check_health(self, **options: Any) -> None:
            await super().connect_check_health(**options)
            if over():
                await self.disconnect(nowait=True)
                raise RedisConnectionError(CLOSED)

        async def send_packed_command(self, *args: Any, **options: Any) -> None:
            try:
                await super().send_packed_command(*args, **options)
            except RuntimeError as error:
                raise RedisConnectionError(f"the connection was cut: {error}") from error

    return Kind
