"""Server-sent events as an answer: written until they end, their reader leaves, or it takes nothing any more."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.logs import get_logger

log = get_logger()

HEADERS: Final[dict[str, str]] = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Nobody between us may keep a stream back."""
STALLED_S: Final = 30.0
"""A connection that takes nothing for so long is given up."""
HEARTBEAT: Final = b": still here\n\n"
HELLO: Final = b"retry: 1000\n: following\n\n"
"""At once, so that the reader knows that it is connected."""


def hello(cursor: str) -> bytes:
    """The same of a stream whose place moves on also without events: a block with an id, and nothing to tell."""
    return f"retry: 1000\n: following\nid: {cursor}\n\n".encode()


def event(name: str, data: Any, *, line: str = "") -> bytes:
    """One event on the wire; `line` is its id, and a message without a name is what readers get by default."""
    head = (f"id: {line}\n" if line else "") + (f"event: {name}\n" if name else "")
    return f"{head}data: {msgspec.json.encode(data).decode()}\n\n".encode()


class EventStream(Response):
    """Writes `parts`. However it ends, `held` is closed: what the stream held on to."""

    media_type = "text/event-stream"

    def __init__(
        self,
        parts: AsyncGenerator[bytes, None],
        held: AsyncExitStack | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        stalled_s: float = STALLED_S,
    ) -> None:
        super().__init__(headers=HEADERS | dict(headers or {}))
        del self.headers["content-length"]
        self._parts, self._held, self._stalled_s = parts, held or AsyncExitStack(), stalled_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        async with self._held, aclosing(self._parts):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            gone = asyncio.create_task(_gone(receive))
            writing = asyncio.create_task(self._write(send))
            try:
                await asyncio.wait({gone, writing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (gone, writing):
                    task.cancel()
                await asyncio.gather(gone, writing, return_exceptions=True)
        if not writing.cancelled() and (error := writing.exception()):
            if not isinstance(error, TimeoutError | OSError):
                raise error
            log.info("stream.stalled", path=scope["path"], error=type(error).__name__)

    async def _write(self, send: Send) -> None:
        async for part in self._parts:
            async with asyncio.timeout(self._stalled_s):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
