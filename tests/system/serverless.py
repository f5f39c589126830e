"""A serverless platform in small, in front of the step executor: `python -m tests.system.serverless`.

One invocation at a time in an instance, which is a process of its own. An instance is frozen (SIGSTOP) between invocations, so
that nothing runs behind an answer, and killed (SIGKILL) when its invocation passes `PLATFORM_LIMIT_MS`, as platforms do: nobody
is warned, and the caller gets a 504.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared import http, logs
from shared.http import Json
from shared.logs import get_logger
from tests.support.valkey import free_port

log = get_logger()
EXECUTOR: Final = (sys.executable, "-m", "services.step_executor.main")
START_S: Final = 20.0
HOP: Final = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """In an instance: no test that kills the platform may leave one behind. A frozen process dies of SIGKILL only."""
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGKILL)


class Instance:
    """One process of the step executor on a port of its own."""

    def __init__(self) -> None:
        port = free_port()
        environ = {**os.environ, "EXECUTOR_PORT": str(port), "EXECUTOR_HOST": "127.0.0.1"}
        self.process = subprocess.Popen(EXECUTOR, env=environ, preexec_fn=_die_with_parent)  # noqa: PLW1509 - Linux, one thread
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=None, trust_env=False)  # noqa: S113

    async def started(self) -> "Instance":
        """Itself, once it answers."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if (await self.client.get("/healthz")).is_success:
                    return self
            except httpx.TransportError:
                await asyncio.sleep(0.02)
        raise RuntimeError("an instance does not start; its lines above say why")

    async def answer(self, request: Request, body: bytes) -> Response:
        """What it says to a request."""
        headers = [(name, value) for name, value in request.headers.items() if name not in HOP]
        url = httpx.URL(path=request.url.path, query=request.url.query.encode())
        found = await self.client.request(request.method, url, content=body, headers=headers)
        kept = {name: value for name, value in found.headers.items() if name not in HOP}
        return Response(found.content, found.status_code, kept)

    def freeze(self) -> None:
        """Nothing runs in it any more, and nothing is lost."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Without a warning."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await self.client.aclose()


class Platform:
    """Gives each request to an instance that has none, and starts one if there is no such."""

    def __init__(self, limit_s: float) -> None:
        """`limit_s`: what an invocation may take, counted from the moment an instance has it."""
        self._limit_s = limit_s
        self._idle: list[Instance] = []
        self._all: list[Instance] = []

    async def handle(self, request: Request) -> Response:
        """One invocation."""
        body = await request.body()
        instance = await self._taken()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._limit_s):
                answer = await instance.answer(request, body)
        except TimeoutError:
            self._all.remove(instance)
            await instance.kill()
            log.warning("invocation.killed", path=request.url.path, took_ms=int((time.monotonic() - began) * 1000))
            return Json(http.error_body("killed", "the invocation passed the limit of this platform"), status_code=504)
        instance.freeze()
        self._idle.append(instance)
        if request.method == "POST":
            log.info("invocation.ended", status=answer.status_code, took_ms=int((time.monotonic() - began) * 1000))
        return answer

    async def _taken(self) -> Instance:
        if self._idle:
            instance = self._idle.pop()
            instance.thaw()
            return instance
        instance = Instance()
        self._all.append(instance)
        return await instance.started()

    async def close(self) -> None:
        """Leave no instance behind."""
        await asyncio.gather(*(instance.kill() for instance in self._all))


def build_app(limit_s: float) -> Starlette:
    """The platform's front."""
    platform = Platform(limit_s)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await platform.close()

    return Starlette(
        routes=[Route("/{rest:path}", platform.handle, methods=["GET", "POST"])], lifespan=lifespan,
        exception_handlers=http.ERROR_HANDLERS,
    )  # fmt: skip


def main() -> None:
    """Serve at EXECUTOR_PORT until told to stop."""
    logs.configure(service="platform", format="json", level="info")
    app = build_app(int(os.environ["PLATFORM_LIMIT_MS"]) / 1000)
    http.serve(app, host="127.0.0.1", port=int(os.environ["EXECUTOR_PORT"]), name="platform", port_setting="EXECUTOR_PORT")


if __name__ == "__main__":
    main()
