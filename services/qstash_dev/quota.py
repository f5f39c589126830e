"""Limits like those of QStash's plans, to see how a program bears them: 429 with the documented headers. Off by default.

`QSTASH_DEV_QUOTA=daily=1000,burst=100`: messages a day (UTC) and a user, and calls a second for everything that publishes
nothing. The words of the official server (`payg`, `pro`) mean no limit.
"""

import re
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.qstash_dev.durations import DAY_MS, SECOND_MS
from services.qstash_dev.keys import Keys
from services.qstash_dev.pipe import Pipe
from shared.errors import IntentionError, SettingsError, TooMany
from shared.http import Json
from shared.redisdb.lua import Script

DAILY, BURST = "RateLimit", "Burst-RateLimit"
UNLIMITED = ("publish", "enqueue", "batch", "notify", "wait", "trigger", "dev")
"""What has no limit a second: whatever makes messages; and this server's own pages."""


class Quota(NamedTuple):
    """0 is no limit."""

    daily: int = 0
    burst: int = 0


class Limited(TooMany):
    """A limit is used up; the headers say which, and when it ends."""

    def __init__(self, kind: str, limit: int, left: int, reset_s: int) -> None:
        super().__init__(f"quota exceeded: {'messages a day' if kind == DAILY else 'calls a second'}")
        numbers = {"Limit": limit, "Remaining": left, "Reset": reset_s}
        self.headers = {f"{kind}-{name}": str(number) for name, number in numbers.items()}

    def answer(self) -> Json:
        """429; the SDKs tell the two kinds apart by their headers."""
        return Json({"error": self.message}, status_code=self.status, headers=self.headers)


def parse(text: str) -> Quota:
    """The quota of QSTASH_DEV_QUOTA; SettingsError for what it cannot be."""
    if text in {"", "payg", "pro"}:
        return Quota()
    if not re.fullmatch(r"(daily|burst)=[1-9][0-9]{0,8}(,(daily|burst)=[1-9][0-9]{0,8})?", text):
        raise SettingsError(f"QSTASH_DEV_QUOTA={text}: daily=<n>,burst=<n>, one of them, payg or pro is expected")
    return Quota(**{name: int(number) for name, number in (part.split("=") for part in text.split(","))})


class Meter:
    """Counts in Redis what the quota limits, and nothing where it does not."""

    def __init__(self, quota: Quota, pipe: Pipe) -> None:
        self.quota = quota
        self._pipe = pipe
        self._spend = Script("services.qstash_dev", "spend")

    async def messages(self, keys: Keys, count: int, now_ms: int) -> None:
        """Limited when so many more messages are not allowed today."""
        await self._take(keys, DAILY, count, self.quota.daily, now_ms, DAY_MS)

    async def call(self, keys: Keys, now_ms: int) -> None:
        """Limited when this second has no more calls."""
        await self._take(keys, BURST, 1, self.quota.burst, now_ms, SECOND_MS)

    async def _take(self, keys: Keys, kind: str, count: int, limit: int, now_ms: int, period_ms: int) -> None:
        if not limit or not count:
            return
        period = now_ms // period_ms
        args = [keys.prefix, f"{kind}:{period}", count, limit, 2 * period_ms]
        taken, left = await self._pipe.run(self._spend, keys.fixed, args)
        if not taken:
            raise Limited(kind, limit, int(left), (period + 1) * period_ms // SECOND_MS)


class Burst:
    """Middleware: the limit a second, before a route is looked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, or answers 429."""
        if scope["type"] == "http" and (refused := await self._refused(Request(scope))):
            await refused.answer()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _refused(self, request: Request) -> Limited | None:
        from services.qstash_dev.deps import deps, user  # deps has a Meter

        parts = deps(request)
        if not parts.meter.quota.burst:
            return None
        root, _, rest = request.scope["path"].lstrip("/").partition("/")
        if root != "v2" or rest.partition("/")[0] in UNLIMITED:
            return None
        try:
            await parts.meter.call(user(request).keys, parts.now_ms())
        except Limited as limited:
            return limited
        except IntentionError:  # no user, or no Redis: the route will say so
            return None
        return None


async def on_limited(_: Request, error: Exception) -> Json:
    """The answer to a publish that is too many."""
    if not isinstance(error, Limited):
        raise error
    return error.answer()
