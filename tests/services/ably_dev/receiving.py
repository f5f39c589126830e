"""A real HTTP server that webhooks call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web


@dataclass
class Call:
    """A call as it arrived."""

    path: str
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """Answers with `status`, after `hang` seconds."""

    url: str = ""
    status: int = 200
    hang: float = 0.0
    seen: list[Call] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Remember, then answer."""
        self.seen.append(Call(request.path, request.headers.copy(), await request.read()))
        if self.hang:
            await asyncio.sleep(self.hang)
        return web.Response(status=self.status)

    def messages(self) -> list[dict[str, Any]]:
        """The messages of all batches."""
        return [message for call in self.seen for item in call.json["items"] for message in item["data"]["messages"]]

    def ids(self) -> list[str]:
        """Their ids."""
        return [message["id"] for message in self.messages()]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    here = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", here.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield here
    finally:
        await runner.cleanup()
