"""A whole system on free ports, every process a real one that a test may kill, stop, continue and start again."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from shared.local.valkey import command as valkey_command
from shared.settings import DEV_TOKEN
from tests.support import conforming

T = TypeVar("T")
PATIENCE = 2
"""A machine that others load too is given this much more time than a quiet one needs."""
ROOT = Path(__file__).parents[2]
MODULES = {
    "ably_dev": "services.ably_dev.main",
    "qstash_dev": "services.qstash_dev.main",
    "town": "examples.town.main",
    "step_executor": "services.step_executor.main",
    "resume": "services.resume.main",
    "ingress": "services.ingress.main",
}
QUICK = {"HARD_LIMIT_MS": "3000", "STEP_CUTOFF_MS": "2400", "CHECKPOINT_MS": "2000", "SWEEP_MS": "300"}
"""Limits of a smaller platform, so that a dead holder's lease ends in 4 s instead of 11."""


_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
_offsets = itertools.cycle(range(1_000))
for _ in range(os.getpid() * 101 % 1_000):  # another run of the tests beside this one begins elsewhere
    next(_offsets)


def free_ports(count: int) -> list[int]:
    """Ports below those that connections are given, of this worker's own thousand: nobody takes one before its owner."""
    found: list[int] = []
    for offset in itertools.islice(_offsets, 1_000):
        port = 12_000 + 1_000 * _worker + offset
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no port is free")


async def until(found: Callable[[], Awaitable[T | None]], *, within: float, describe: str) -> T:
    """What `found` returns once it is neither None nor False; AssertionError with the description at the deadline."""
    deadline = time.monotonic() + PATIENCE * within
    while True:
        value = await found()
        if value is not None and value is not False:
            return value
        assert time.monotonic() < deadline, f"not within {PATIENCE * within} s: {describe}"
        await asyncio.sleep(0.03)


class Process:
    """One real process and its log."""

    def __init__(self, name: str, command: Sequence[str], environ: dict[str, str], log: Path, url: str, ready: str) -> None:
        self.name = name
        self.url = url
        self._ready = ready
        self._command = command
        self.environ = environ
        """For its next start."""
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its output goes to its log."""
        with self._log.open("ab") as out:
            self._popen = subprocess.Popen(
                self._command, env=self.environ, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    async def until_ready(self, client: httpx.AsyncClient) -> None:
        """Wait until it answers."""

        async def answers() -> bool:
            assert self._popen is not None
            assert self._popen.poll() is None, f"{self.name} ended: {self.log()[-2000:]}"
            if not self._ready:
                return await _is_open(int(self.url.rsplit(":", 1)[1]))
            try:
                return (await client.get(self.url + self._ready)).is_success
            except httpx.HTTPError:
                return False

        await until(answers, within=30, describe=f"{self.name} is ready; its log ends: {self.log()[-500:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._popen is not None
        self._popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        assert self._popen is not None
        self._popen.kill()
        self._popen.wait(10)

    def stop(self) -> None:
        """SIGTERM, SIGKILL after a while; nothing is left behind."""
        if self._popen is None or self._popen.poll() is not None:
            return
        self._popen.send_signal(signal.SIGCONT)
        self._popen.terminate()
        try:
            self._popen.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def alive(self) -> bool:
        """Whether it runs (a stopped one does)."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._popen.poll() if self._popen is not None else None

    def log(self) -> str:
        """All it printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


async def _is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


class System:
    """All processes of the local topology. Use as an async context manager."""

    modules: Mapping[str, str] = MODULES
    """What runs as which service; a subclass may put something in the place of one."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """`settings` are environment variables on top of local mode's."""
        names = ("valkey", *{**MODULES, **self.modules})
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.folder = folder
        url = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self.environ = {
            "PATH": os.environ["PATH"],
            "INTENTION_MODE": "local",
            "LOG_FORMAT": "json",
            "REDIS_URL": f"redis://127.0.0.1:{self.ports['valkey']}/0",
            "QSTASH_URL": url["qstash_dev"],
            "QSTASH_DEV_PORT": str(self.ports["qstash_dev"]),
            "ABLY_URL": url["ably_dev"],
            "ABLY_DEV_PORT": str(self.ports["ably_dev"]),
            "TOWN_URL": url["town"],
            "TOWN_PORT": str(self.ports["town"]),
            "TOWN_DATABASE": str(folder / "town.sqlite"),
            "EXECUTOR_URL": url["step_executor"],
            "EXECUTOR_PORT": str(self.ports["step_executor"]),
            "RESUME_URL": url["resume"],
            "RESUME_PORT": str(self.ports["resume"]),
            "INGRESS_URL": url["ingress"],
            "INGRESS_PORT": str(self.ports["ingress"]),
            **settings,
        }
        self.processes: dict[str, Process] = {}
        self.client = httpx.AsyncClient(timeout=10, trust_env=False, event_hooks={"response": [self._conforms]})

    def add(self, name: str, module: str, *, port: int, **settings: str) -> Process:
        """Another process, not started yet."""
        command = self.command(name, module)
        environ = {**self.environ, **settings}
        ready = "/healthz" if name == "town" else "/readyz"
        process = Process(name, command, environ, self.folder / f"{name}.log", f"http://127.0.0.1:{port}", ready)
        self.processes[name] = process
        return process

    def command(self, name: str, module: str) -> list[str]:  # noqa: ARG002 - a subclass starts some in another way
        """How a process is started."""
        return [sys.executable, "-m", module]

    def own(self, name: str) -> Mapping[str, str]:  # noqa: ARG002 - a subclass has some
        """Settings of one process on top of everybody's."""
        return {}

    async def __aenter__(self) -> Self:
        port = self.ports["valkey"]
        command = valkey_command(port=port, folder=self.folder / "valkey")
        log = self.folder / "valkey.log"
        self.processes["valkey"] = Process("valkey", command, dict(os.environ), log, f"tcp://127.0.0.1:{port}", "")
        for name, module in self.modules.items():
            self.add(name, module, port=self.ports[name], **self.own(name))
        try:
            await self.start("valkey")
            await asyncio.gather(*(self.start(name) for name in self.modules))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        names = [name for name in self.processes if name != "valkey"]
        await asyncio.gather(*(asyncio.to_thread(self.processes[name].stop) for name in names))
        self.processes["valkey"].stop()
        await self.client.aclose()

    async def start(self, name: str) -> None:
        """Start a process and wait until it is ready."""
        self.processes[name].start()
        await self.processes[name].until_ready(self.client)

    async def kill(self, name: str) -> None:
        """kill -9 one process."""
        await asyncio.to_thread(self.processes[name].kill)

    async def restart(self, name: str) -> None:
        """kill -9 one process, and start it again."""
        await self.kill(name)
        await self.start(name)

    # speaking with it as a user does

    async def _conforms(self, answer: httpx.Response) -> None:
        """Every answer of ingress is one that its document describes."""
        ingress = self.processes.get("ingress")
        streamed = "event-stream" in answer.headers.get("content-type", "")
        if ingress is not None and str(answer.url).startswith(f"{ingress.url}/") and not streamed:
            await answer.aread()
            conforming.check("ingress", answer)

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST JSON to ingress."""
        return await self.client.post(self.processes["ingress"].url + path, json=body, headers=headers)

    async def run_plan(self, steps: Sequence[dict[str, Any]], **more: Any) -> str:
        """Start an explicit plan; its execution's id."""
        answer = await self.post("/api/execute", {"plan": {"steps": list(steps), **more}, "userId": "test-user"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def get(self, execution: str) -> dict[str, Any]:
        """The execution as ingress shows it."""
        answer = await self.client.get(f"{self.processes['ingress'].url}/api/executions/{execution}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def history(self, execution: str) -> list[dict[str, Any]]:
        """The execution's whole history."""
        url = f"{self.processes['ingress'].url}/api/executions/{execution}/history"
        found: list[dict[str, Any]] = []
        after = "-"
        while after:
            answer = await self.client.get(url, params={"after": after})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["history"]
            after = page["next"]
        return found

    async def ended(self, execution: str, *, within: float) -> dict[str, Any]:
        """Wait for a terminal status. Ingress may be without its store for a while."""

        async def over() -> dict[str, Any] | None:
            try:
                found = await self.get(execution)
            except (httpx.HTTPError, AssertionError):
                return None
            return found if found["endedAt"] else None

        return await until(over, within=within, describe=f"{execution} ends")

    async def done_steps(self, execution: str, count: int, *, within: float) -> None:
        """Wait until so many steps are done."""

        async def enough() -> bool:
            return bool((await self.get(execution))["doneSteps"] >= count)

        await until(enough, within=within, describe=f"{count} steps of {execution} are done")

    async def effects(self, execution: str) -> dict[str, int]:
        """How often the town applied each effect of an execution, by step name."""
        return {row["key"].split(".")[1]: row["times_applied"] for row in await self.effect_rows(execution)}

    async def effect_rows(self, execution: str) -> list[dict[str, Any]]:
        """Every key of an execution that the town has seen: `key`, `kind`, `state`, `times_applied`, `standing`."""
        url = f"{self.processes['town'].url}/effects"
        answer = await self.client.get(url, params={"prefix": execution, "limit": 10_000})
        found: list[dict[str, Any]] = answer.json()["effects"]
        return found

    async def messages(self, execution: str) -> int:
        """How many messages QStash took for an execution."""
        url = f"{self.processes['qstash_dev'].url}/v2/events"
        headers = {"Authorization": f"Bearer {self.environ.get('QSTASH_TOKEN', DEV_TOKEN)}"}
        answer = await self.client.get(url, params={"state": "CREATED", "count": 1000}, headers=headers)
        bodies = [base64.b64decode(event.get("body", "")) for event in answer.json()["events"]]
        return sum(execution.encode() in body for body in bodies)

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        """The lines of one event in a process's log."""
        lines = (line for line in self.processes[name].log().splitlines() if f'"{event}"' in line)
        return [json.loads(line) for line in lines]

    async def knobs(self, **knobs: Any) -> None:
        """Set the town's faults."""
        answer = await self.client.put(f"{self.processes['town'].url}/knobs", json=knobs)
        assert answer.is_success, answer.text


def work(count: int, seconds: float) -> list[dict[str, Any]]:
    """A chain of `count` jobs of `seconds` each."""
    return [
        {
            "name": f"s{number}",
            "tool": "do_work",
            "args": {"label": f"job {number}", "seconds": seconds},
            "needs": [f"s{number - 1}"] if number else [],
        }
        for number in range(count)
    ]
