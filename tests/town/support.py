"""A town to talk to over a real socket, in this process or in its own, and a way to wait that never guesses."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.town.app import build_app
from examples.town.calls import Call
from examples.town.deps import Deps
from examples.town.knobs import Board
from examples.town.store import Answer, Store

NOW = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)
DEADLINE_S = 8.0
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Never used on loopback; without it each client would read the machine's certificates, 20 ms a time."""

TABLE: dict[str, Any] = {"restaurant": "Luigi's", "party_size": 2, "date": "2030-05-02", "time": "19:00", "name": "Ann"}
RIDE: dict[str, Any] = {"pickup": "Home", "destination": "Luigi's", "date": "2030-05-02", "time": "18:40", "passengers": 2}
MESSAGE: dict[str, Any] = {"to": "+44 20 7946 0000", "channel": "sms", "text": "See you at seven"}
JOB: dict[str, Any] = {"label": "print menus", "seconds": 0}
LETTER: dict[str, Any] = {"to": "Bob", "text": "Dear Bob"}
ONCE = [("/reservations", TABLE), ("/rides", RIDE), ("/messages", MESSAGE), ("/jobs", JOB)]
EVERY = [*ONCE, ("/letters", LETTER)]


class Town:
    """A client's view of one town."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def client(self, timeout_s: float = 10.0) -> httpx.AsyncClient:
        """A client of its own; close it."""
        return httpx.AsyncClient(base_url=self.base_url, timeout=timeout_s, verify=NO_TLS)

    async def post(self, path: str, body: Any, key: str, timeout_s: float = 10.0) -> httpx.Response:
        """One forward call on a connection of its own."""
        async with self.client(timeout_s) as client:
            return await client.post(path, json=body, headers={"Idempotency-Key": key})

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that succeeds."""
        async with self.client() as client:
            return (await client.get(path, params=params)).raise_for_status().json()

    async def undo(self, key: str) -> Any:
        """Undo a key."""
        async with self.client() as client:
            return (await client.post(f"/effects/{key}/undo")).raise_for_status().json()

    async def turn(self, **knobs: Any) -> Any:
        """Set the knobs."""
        async with self.client() as client:
            return (await client.put("/knobs", json=knobs)).raise_for_status().json()

    async def counts(self) -> dict[str, int]:
        """What the knobs have done."""
        counts: dict[str, int] = (await self.get("/knobs"))["counts"]
        return counts

    async def applied(self, prefix: str = "") -> dict[str, tuple[str, int]]:
        """Key to state and number of real rows."""
        found = await self.get("/effects", prefix=prefix, limit=10_000)
        return {effect["key"]: (effect["state"], effect["times_applied"]) for effect in found["effects"]}


def code_of(response: httpx.Response) -> tuple[int, str]:
    """Status and error code."""
    return response.status_code, response.json()["error"]["code"]


async def eventually(holds: Callable[[], Any], what: str) -> None:
    """Wait until the awaitable check holds; AssertionError names what never came."""
    end = time.monotonic() + DEADLINE_S
    while not await holds():
        if time.monotonic() > end:
            raise AssertionError(f"in {DEADLINE_S} s it never came true that {what}")
        await asyncio.sleep(0.01)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """The same where no loop runs."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"in {DEADLINE_S} s it never came true that {what}")
        time.sleep(0.005)


class WatchedStore(Store):
    """Tells when a job has looked for its key in vain, which is when its work begins, and how often."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.missed = asyncio.Event()
        self.misses = 0

    async def seen(self, call: Call) -> Answer | None:
        """As ever."""
        found = await super().seen(call)
        if found is None:
            self.misses += 1
            self.missed.set()
        return found


class Host:
    """One listening server for the whole run: starting one for each test would be most of the time they take."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the town of the test that runs."""
        assert self._app is not None
        await self._app(scope, receive, send)

    @contextmanager
    def town(self, database: Path) -> Iterator[Town]:
        """A fresh town, its clock at NOW."""
        with closing(Store(database)) as store:
            self._app = build_app(Deps(store, Board(), lambda: NOW))
            yield Town(self.base_url)


@contextmanager
def hosting() -> Iterator[Host]:
    """A server on loopback in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = Host(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(host, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive(), "the server listens")
        try:
            yield host
        finally:
            server.should_exit = True
            thread.join(DEADLINE_S)


class TownProcess(Town):
    """A town in a process of its own, which can be killed."""

    def __init__(self, database: Path) -> None:
        self._port = _free_port()
        super().__init__(f"http://127.0.0.1:{self._port}")
        settings = {"INTENTION_MODE": "local", "TOWN_PORT": str(self._port), "TOWN_DATABASE": str(database)}
        self._environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("TOWN_", "QSTASH_"))
        } | settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "examples.town.main"]
        self._process = subprocess.Popen(command, env=self._environ, stdout=subprocess.DEVNULL)
        wait_until(self._healthy, "the town's process answers")

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(DEADLINE_S)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/healthz", verify=NO_TLS).is_success
        except httpx.TransportError:
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
