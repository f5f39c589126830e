"""A destination that answers 200 and counts: `/in` takes messages, `/account` tells how many, when the last, and their lags."""

import sys
import time
from dataclasses import dataclass, field

import uvloop
from aiohttp import web


@dataclass
class Account:
    """What has come since it was last emptied."""

    count: int = 0
    last: float = 0.0
    lags: list[float] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """One message."""
        now = time.time()
        await request.read()
        self.count, self.last = self.count + 1, now
        if sent := request.headers.get("Sent"):
            self.lags.append(now - float(sent))
        return web.Response()

    async def tell(self, _: web.Request) -> web.Response:
        """All of it."""
        return web.json_response(
            {"count": self.count, "last": self.last, "lags": self.lags if len(self.lags) == self.count else []}
        )

    async def empty(self, _: web.Request) -> web.Response:
        """Begin again."""
        self.count, self.last, self.lags = 0, 0.0, []
        return web.Response()

    async def ready(self, _: web.Request) -> web.Response:
        """It listens."""
        return web.Response()


def main(port: int) -> None:
    """Until it is ended."""
    account, app = Account(), web.Application()
    app.router.add_post("/in", account.take)
    app.router.add_get("/account", account.tell)
    app.router.add_delete("/account", account.empty)
    app.router.add_get("/readyz", account.ready)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
