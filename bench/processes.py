"""The processes a measurement needs, started and ended by their pid."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from shared.local.valkey import command

ROOT = Path(__file__).parents[1]


class Started:
    """A process, and where it listens."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]") -> None:
        self.url = url
        self.pid = process.pid

    async def ready(self) -> None:
        """Returns once it answers that it is ready."""
        async with aiohttp.ClientSession() as session:
            for _ in range(500):
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.02)
        raise AssertionError(f"{self.url} did not become ready")

    def rss_kib(self) -> int:
        """Its resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def end_when_told() -> None:
    """From here on SIGTERM cancels the running task, so that it ends what it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(words: list[str], url: str, *, folder: Path = ROOT, **environment: str) -> Iterator[Started]:
    """The process, until the block ends."""
    process = subprocess.Popen(words, cwd=folder, env={"PATH": os.environ["PATH"], **environment}, stdout=subprocess.DEVNULL)
    try:
        yield Started(url, process)
    finally:
        process.terminate()
        process.wait(timeout=15)


@contextlib.contextmanager
def start_valkey(folder: Path, fsync: str) -> Iterator[Started]:
    """The embedded Valkey that `make run` uses, with this `appendfsync`."""
    port = free_port()
    words = [fsync if word == "always" else word for word in command(port=port, folder=folder)]
    with running(words, f"redis://127.0.0.1:{port}/0") as found:
        yield found


@contextlib.contextmanager
def start_server(code: Path, redis_url: str, core: int | None = None) -> Iterator[Started]:
    """The server as users run it, from this working copy; on this core alone, if one is named."""
    port = free_port()
    environment = {"INTENTION_MODE": "local", "REDIS_URL": redis_url, "QSTASH_DEV_PORT": str(port), "LOG_FORMAT": "json"}
    words = [sys.executable, "-m", "services.qstash_dev.main"]
    with running(words, f"http://127.0.0.1:{port}", folder=code, **environment) as found:
        if core is not None:
            os.sched_setaffinity(found.pid, {core})  # before it has threads: they inherit it
        yield found


@contextlib.contextmanager
def open_destination() -> Iterator[Started]:
    """A destination that counts (`bench/destination.py`)."""
    port = free_port()
    with running([sys.executable, "-m", "bench.destination", str(port)], f"http://127.0.0.1:{port}") as found:
        yield found
