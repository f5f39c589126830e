"""Group commit: commands of concurrent requests share one pipeline, and so one round trip and one fsync.

It also keeps the connection in a task of its own: a caller that is cancelled only stops waiting for its reply. Cancelled inside
redis-py while it connects, a task may go on as if nothing had happened (seen with 8.1).

One pipeline is on its way at a time, so commands take effect in the order they were given. A broken connection is tried once
more at once (Valkey may just have restarted); every script bears being applied twice.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import Unavailable
from shared.redisdb.connect import line_of
from shared.redisdb.lua import Script

MAX_COMMANDS = 256
CLOSE_S = 2.0
LOST = (RedisConnectionError, RedisTimeoutError, OSError)


class _Call(NamedTuple):
    script: Script
    keys: list[str]
    args: list[Any]
    reply: "asyncio.Future[Any]"


class Pipe:
    """Runs scripts; `run` raises Unavailable when their outcome is unknown or Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._line = line_of(redis)
        self._waiting: list[_Call] = []
        self._flusher: asyncio.Task[None] | None = None
        self.on_disturbance: Callable[[], None] = lambda: None
        """Called when a reply was lost: what was asked may have happened without anybody here knowing."""

    async def run(self, script: Script, keys: list[str], args: list[Any]) -> Any:
        """The script's reply."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(script, keys, args, reply))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        return await reply

    async def close(self) -> None:
        """Wait for what is on its way, so that the connection under it can be closed; not for ever, if Redis is away."""
        if self._flusher and not self._flusher.done():
            _, late = await asyncio.wait([self._flusher], timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _flush(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting[:MAX_COMMANDS], self._waiting[MAX_COMMANDS:]
            try:
                replies = await self._send_twice(calls)
            except Exception as error:  # noqa: BLE001 - whatever it was, every waiting caller must hear of it
                replies = [_unavailable(error)] * len(calls)
            for call, reply in zip(calls, replies, strict=True):
                _settle(call.reply, reply)

    async def _send_twice(self, calls: list[_Call]) -> list[Any]:
        try:
            return await self._send(calls)
        except LOST:
            self.on_disturbance()
            return await self._send(calls)

    async def _send(self, calls: list[_Call]) -> list[Any]:
        asked = (("EVALSHA", call.script.digest, len(call.keys), *call.keys, *call.args) for call in calls)
        replies = await self._line.ask_once(asked)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            return await self._teach(calls, replies)
        return replies

    async def _teach(self, calls: list[_Call], replies: list[Any]) -> list[Any]:
        """The server restarted and forgot the scripts: run those calls again with their text."""
        forgotten = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        again = [calls[place] for place in forgotten]
        asked = (("EVAL", call.script.text, len(call.keys), *call.keys, *call.args) for call in again)
        for place, reply in zip(forgotten, await self._line.ask_once(asked), strict=True):
            replies[place] = reply
        return replies


def _settle(reply: "asyncio.Future[Any]", value: Any) -> None:
    if reply.done():  # its caller was cancelled
        return
    if isinstance(value, Exception):
        reply.set_exception(value if isinstance(value, Unavailable) else _unavailable(value))
    else:
        reply.set_result(value)


def _unavailable(error: Exception) -> Unavailable:
    kind = "does not answer" if isinstance(error, LOST) else "refused a command"
    text = f"Redis {kind}: {error}" if isinstance(error, RedisError | OSError) else f"the call to Redis failed: {error!r}"
    return Unavailable(text)
