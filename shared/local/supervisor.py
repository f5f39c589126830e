"""Starts processes, keeps them running, prints what they say, and leaves none behind."""

import asyncio
import contextlib
import ctypes
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx
import msgspec

RESTART_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
"""How long before a process is started again: at once, unless it has ended soon after its start."""
STOP_S: Final = 15.0
CANNOT: Final = "cannot start: "
"""How a service begins the one line that says why it does not start."""
_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the topology."""

    name: str
    command: Sequence[str]
    port: int
    setting: str
    """Which setting chooses the port."""
    ready: str = ""
    """Path that answers 200 when it is ready; empty: the port is open."""


class BusyPort(Exception):
    """A port that a service needs is taken."""


class StartFailed(Exception):
    """A service ended before it was ready."""


def check_ports(services: Sequence[Service]) -> None:
    """BusyPort, naming the port and its setting, before anything is started."""
    for service in services:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", service.port))
            except OSError as error:
                raise BusyPort(
                    f"port {service.port}, which {service.name} needs, is in use: "
                    f"stop what uses it (another `make run`?), or choose another with {service.setting}"
                ) from error


def _die_with_parent() -> None:
    """In the child: end when the supervisor ends, even if that was killed with -9. Linux only; elsewhere SIGTERM must do."""
    if _LIBC is not None:
        _LIBC.prctl(_DEATH_SIGNAL, signal.SIGTERM)


class Child:
    """A service's process, started again when it ends by itself."""

    def __init__(self, service: Service, environ: Mapping[str, str], folder: Path, width: int) -> None:
        """`folder`: where `<name>.pid` and `<name>.log` are written. `width` aligns the names before the lines."""
        self.service = service
        self._environ = dict(environ)
        self._pid_file = folder / f"{service.name}.pid"
        self._log_file = folder / f"{service.name}.log"
        self._width = width
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._reason = ""
        """What it said itself of why it cannot start."""
        self.was_ready = False

    def tell(self, more: Mapping[str, str]) -> None:
        """Settings of its own, from its next start on."""
        self._environ |= more

    async def run(self) -> None:
        """Until `stop`. A process that ends before it was ever ready is not started again: its settings are wrong."""
        failures = 0
        while True:
            began = time.monotonic()
            code = await self._once()
            if self._is_stopping():
                return
            if not self.was_ready:
                raise StartFailed(f"{self.service.name}: {self._reason or f'ended with {code}; its lines above say why'}")
            failures = 0 if time.monotonic() - began > 10 else failures + 1
            wait = RESTART_S[min(failures, len(RESTART_S) - 1)]
            self._say(f"ended with {code}; started again {f'in {wait} s' if wait else 'at once'}")
            await asyncio.sleep(wait)

    def _is_stopping(self) -> bool:
        return self._stopping

    async def _once(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            *self.service.command,
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
            start_new_session=True,  # Ctrl-C reaches us only, so that we end them in order
            preexec_fn=_die_with_parent,
        )
        draft = self._pid_file.with_suffix(".new")
        draft.write_text(f"{self._process.pid}\n")
        draft.replace(self._pid_file)  # whoever reads it finds a number, never an empty file
        assert self._process.stdout is not None  # noqa: S101 - asked for with PIPE
        with self._log_file.open("ab") as log:
            async for line in self._process.stdout:
                log.write(line)
                log.flush()
                self._heard(line.decode("utf8", "replace").rstrip("\n"))
        code = await self._process.wait()
        self._pid_file.unlink(missing_ok=True)
        return code

    def _heard(self, line: str) -> None:
        if line.startswith(CANNOT):
            self._reason = line.removeprefix(CANNOT)
        self._say(line)

    def _say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(f"{self.service.name:<{self._width}} | {line}", flush=True)

    @property
    def pid(self) -> int:
        """Of the process that runs; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    async def kill(self) -> bool:
        """SIGKILL, on purpose: it is started again. False if there was nothing to kill."""
        process = self._process
        if process is None or process.returncode is not None or self._stopping:
            return False
        process.kill()
        await process.wait()
        return True

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not end."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def until_ready(child: Child, running: "asyncio.Task[None]", client: httpx.AsyncClient, deadline: float) -> None:
    """Wait until the service answers; StartFailed if it ended, TimeoutError at `deadline` (monotonic seconds)."""
    service = child.service
    while True:
        if running.done():
            await running
        if await answers(service, client):
            child.was_ready = True
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{service.name} is not ready on port {service.port}; its log says why")
        await asyncio.sleep(0.05)


async def answers(service: Service, client: httpx.AsyncClient) -> bool:
    """Whether it is ready."""
    if not service.ready:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        except OSError:
            return False
        writer.close()
        return True
    try:
        return (await client.get(f"http://127.0.0.1:{service.port}{service.ready}")).is_success
    except httpx.HTTPError:
        return False
