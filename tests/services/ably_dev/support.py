"""What these tests stand on: the server behind a real socket, in this process or in one of its own, and clients of it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from services.ably_dev.access import Key, parse_key
from services.ably_dev.app import build_app
from services.ably_dev.deps import Deps, Timing
from services.ably_dev.main import running
from services.ably_dev.webhooks.worker import Pace
from shared.settings import DEV_ABLY_KEY
from shared.settings_load import load
from tests.services.ably_dev.official import AblyRealtime, AblyRest
from tests.support.valkey import free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
KEY: Key = parse_key(DEV_ABLY_KEY)
PUBLISHER = "local.publisher:secret-of-the-publisher-which-is-long"
SUBSCRIBER = "local.subscriber:secret-of-the-subscriber-which-is-long"
MORE_KEYS = {PUBLISHER: {"mesh:resume": ["publish"]}, SUBSCRIBER: {"mesh:*": ["subscribe", "history"]}}


def environment(redis_url: str, port: int) -> dict[str, str]:
    """What a local server is started with."""
    return {
        "INTENTION_MODE": "local",
        "REDIS_URL": redis_url,
        "ABLY_DEV_PORT": str(port),
        "ABLY_DEV_KEYS": msgspec.json.encode(MORE_KEYS).decode(),
        "LOG_FORMAT": "json",
    }


@dataclass
class Server:
    """A running server and ways to talk to it."""

    port: int
    deps: Deps | None = None
    """Its parts, when it runs in this process."""
    http: httpx.AsyncClient = field(init=False)
    open: int = 0
    """Realtime clients that are at work."""

    def __post_init__(self) -> None:
        self.http = self.client(DEV_ABLY_KEY)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str) -> httpx.AsyncClient:
        """Plain HTTP with this key."""
        name, _, secret = key.partition(":")
        return httpx.AsyncClient(base_url=self.url, auth=(name, secret), timeout=10, trust_env=False)

    def options(self, **more: Any) -> dict[str, Any]:
        """Of the official Python client: the slash makes both of its halves find the port."""
        base: dict[str, Any] = {"endpoint": f"127.0.0.1:{self.port}/", "tls": False}
        if not {"token", "auth_callback", "token_details"} & set(more):
            base |= {"key": DEV_ABLY_KEY, "use_token_auth": True}
        patience = {"realtime_request_timeout": 4_000, "disconnected_retry_timeout": 300, "suspended_retry_timeout": 500}
        return base | patience | more

    @asynccontextmanager
    async def rest(self, **more: Any) -> AsyncIterator[AblyRest]:
        """The official REST client."""
        async with AblyRest(**self.options(**more)) as client:
            yield client

    @asynccontextmanager
    async def realtime(self, **more: Any) -> AsyncIterator[AblyRealtime]:
        """The official realtime client, which connects by itself."""
        self.open += 1
        client = AblyRealtime(**self.options(**more))
        try:
            yield client
        finally:
            await client.close()
            self.open -= 1
            if not self.open:
                await settled()

    async def publish(self, channel: str, *messages: dict[str, Any]) -> dict[str, Any]:
        """By plain HTTP; the answer."""
        response = await self.http.post(f"/channels/{channel}/messages", json=list(messages))
        assert response.status_code == 201, response.text
        found: dict[str, Any] = response.json()
        return found

    async def history(self, channel: str, **params: str) -> list[dict[str, Any]]:
        """By plain HTTP."""
        response = await self.http.get(f"/channels/{channel}/messages", params=params)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()
        return found

    async def fault(self, *faults: dict[str, Any]) -> None:
        """These faults from now on."""
        response = await self.http.put("/dev/faults", json={"faults": faults})
        assert response.status_code == 200, response.text

    async def now(self, do: str, **more: Any) -> int:
        """Something goes wrong at once; how many it struck."""
        response = await self.http.post("/dev/faults/now", json={"do": do, **more})
        assert response.status_code == 200, response.text
        return int(response.json()["struck"])


async def settled() -> None:
    """The official client leaves tasks behind. Most end by themselves; a retry that waits for its time is ended here."""
    here = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not here and "ably/" in _file(task)]
    if left:
        _, late = await asyncio.wait(left, timeout=1)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


def _file(task: "asyncio.Task[Any]") -> str:
    code = getattr(task.get_coro(), "cr_code", None)
    return str(code.co_filename) if code else ""


@asynccontextmanager
async def serving(redis_url: str, *, timing: Timing = Timing(), pace: Pace = Pace(), **more: str) -> AsyncIterator[Server]:  # noqa: B008
    """The server in this process, behind a real socket."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = load({**environment(redis_url, port), **more})
    app = build_app(lambda: running(config, timing, pace))
    settled_config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False, ws="websockets-sansio")
    settled_config.load()
    server = uvicorn.Server(settled_config)
    server.lifespan = settled_config.lifespan_class(settled_config)
    await server.startup(sockets=[listener])  # not `serve`: its loop looks only ten times a second whether to stop
    found = Server(port, app.state.deps)
    try:
        yield found
    finally:
        await found.http.aclose()
        await server.shutdown(sockets=[listener])


class Process:
    """The server as users run it, to be killed."""

    def __init__(self, redis_url: str, output: Path, **more: str) -> None:
        self.port = free_port()
        self.output = output
        self._environment = {"PATH": os.environ["PATH"], **environment(redis_url, self.port), **more}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Ready when this returns."""
        self._process = self._started()
        await eventually(self._ready, within=20, describe="ably_dev is ready")

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "services.ably_dev.main"]
        with self.output.open("ab") as output:
            return subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=output, stderr=subprocess.STDOUT)

    async def _ready(self) -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    def tell(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP and SIGCONT, say."""
        assert self._process
        self._process.send_signal(number)

    async def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Signalled and gone; its exit code."""
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(how)
        return await asyncio.to_thread(self._process.wait, 20)


class Raw:
    """A websocket that speaks the protocol without a client's opinions."""

    def __init__(self, socket: ClientConnection, *, binary: bool) -> None:
        self._socket = socket
        self._binary = binary
        self.frames: list[dict[str, Any]] = []

    async def send(self, **frame: Any) -> None:
        """One frame."""
        encoded = msgspec.msgpack.encode(frame) if self._binary else msgspec.json.encode(frame).decode()
        await self._socket.send(encoded)

    async def gets(self, action: int, *, within: float = 8.0) -> dict[str, Any]:
        """The next frame of this action; the ones before it are in `frames`."""
        deadline = time.monotonic() + within
        while True:
            async with asyncio.timeout(max(0.01, deadline - time.monotonic())):
                raw = await self._socket.recv()
            frame: dict[str, Any] = msgspec.json.decode(raw) if isinstance(raw, str) else msgspec.msgpack.decode(raw)
            self.frames.append(frame)
            if frame["action"] == action:
                return frame

    async def attach(self, channel: str, **more: Any) -> dict[str, Any]:
        """ATTACH; its ATTACHED."""
        await self.send(action=10, channel=channel, **more)
        return await self.gets(11)

    async def closed(self) -> int:
        """The close code, once the server has closed."""
        async with asyncio.timeout(8):
            await self._socket.wait_closed()
        return self._socket.close_code or 0

    async def drop(self) -> None:
        """Gone, without a word of the protocol."""
        await self._socket.close()


@asynccontextmanager
async def raw(
    server: Server, *, binary: bool = False, key: str = DEV_ABLY_KEY, path: str = "/", **query: str
) -> AsyncIterator[Raw]:
    """A connected websocket: `frames[0]` is what the server said first."""
    params = httpx.QueryParams({"v": "5", **({} if "accessToken" in query else {"key": key}), **query})
    if binary:
        params = params.set("format", "msgpack")
    async with connect(f"ws://127.0.0.1:{server.port}{path}?{params}", proxy=None) as found:
        client = Raw(found, binary=binary)
        first = await found.recv()
        client.frames.append(msgspec.json.decode(first) if isinstance(first, str) else msgspec.msgpack.decode(first))
        yield client
