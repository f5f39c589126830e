"""The services as `make run` starts them, on free ports and an empty Valkey, with the tool of `bench.steps` and no quota."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import msgspec

from bench.processes import ROOT, free_port
from bench.steplog import StepLog
from bench.usage import family
from shared.errors import BUSY
from shared.local.valkey import command

SERVICES: Final = {
    "qstash_dev": ("services.qstash_dev.main", "QSTASH_URL", "QSTASH_DEV_PORT"),
    "ingress": ("services.ingress.main", "INGRESS_URL", "INGRESS_PORT"),
    "resume": ("services.resume.main", "RESUME_URL", "RESUME_PORT"),
    "step_executor": ("services.step_executor.main", "EXECUTOR_URL", "EXECUTOR_PORT"),
}
_MANY: Final = "1000000000"


class Busy(AssertionError):
    """Ingress told this start to come again, and did nothing for it."""


class Installation:
    """Use as an async context manager."""

    def __init__(self, folder: Path, *, fsync: str, code: Path = ROOT, **settings: str) -> None:
        """`fsync`: Valkey's appendfsync. `code`: the working copy whose services run. `settings`: environment variables."""
        self.folder, self._fsync, self._code = folder, fsync, code
        self.log = StepLog(folder / "steps")
        self.urls = {name: f"http://127.0.0.1:{free_port()}" for name in SERVICES}
        self.redis_port = free_port()
        self._environ = {
            **os.environ,
            "STEPLOG": str(folder / "steps"),
            "INTENTION_MODE": "local",
            "LOG_FORMAT": "json",
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "TOOLS": "bench.steps",
            "ABLY_API_KEY": "off",  # nobody would answer it
            "TOWN_URL": "off",
            "ARCHIVE_FOLDER": str(folder / "archive"),
            "QUOTA_PROFILE": "none",
            "QUOTA_DAY": _MANY,
            "QUOTA_MONTH": _MANY,
            "QUOTA_CONCURRENT": _MANY,
            **{url: self.urls[name] for name, (_, url, _) in SERVICES.items()},
            **{port: self.urls[name].rpartition(":")[2] for name, (_, _, port) in SERVICES.items()},
            **settings,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def __aenter__(self) -> Self:
        try:
            words = [self._fsync if word == "always" else word for word in command(port=self.redis_port, folder=self.folder)]
            self._start("valkey", words)
            for name in SERVICES:
                self.start(name)
            for name in SERVICES:
                await self.ready(name)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        services = [process for name, process in self._processes.items() if name != "valkey"]
        for process in services:
            process.terminate()
        for process in services:
            await asyncio.to_thread(_end, process)
        if "valkey" in self._processes:  # last: what ends has something to write
            self._processes["valkey"].terminate()
            await asyncio.to_thread(_end, self._processes["valkey"])

    def start(self, name: str) -> None:
        """Start a service, for the first time or after `kill`."""
        self._start(name, [sys.executable, "-m", SERVICES[name][0]])

    def _start(self, name: str, words: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(words, cwd=self._code, env=self._environ, stdout=log, stderr=log)

    async def ready(self, name: str) -> None:
        """Wait until a service answers that it is ready."""
        deadline = time.monotonic() + 60
        while True:
            try:
                async with self.session.get(f"{self.urls[name]}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} did not become ready; its log is in {self.folder}")
            await asyncio.sleep(0.01)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self._processes[name].kill()
        self._processes[name].wait()

    def pids(self, *names: str) -> list[int]:
        """Of these processes, and of those that they forked; of all without names."""
        return [pid for name in names or self._processes for pid in family(self._processes[name].pid)]

    async def submit(self, run: str, steps: int, *, pause_ms: float = 0) -> tuple[str, float]:
        """Start an execution of `steps` steps, one after the other: its id, and the seconds until the 202. Busy."""
        body = msgspec.json.encode({"plan": {"steps": _chain(run, steps, pause_ms)}, "userId": "bench"})
        began = time.perf_counter()
        async with self.session.post(f"{self.urls['ingress']}/api/execute", data=body, headers=_JSON) as answer:
            found = await answer.json()
            took = time.perf_counter() - began
        if answer.status == 503 and found["error"]["code"] == BUSY:
            raise Busy
        if answer.status != 202:
            raise AssertionError(f"{answer.status}: {found}")
        return str(found["id"]), took

    async def result(self, execution: str, steps: int, *, within_s: float = 60) -> Any:
        """The last step's output, once the execution is over."""
        base, deadline = f"{self.urls['ingress']}/api/executions/{execution}", time.monotonic() + within_s
        while True:
            async with self.session.get(base) as answer:
                if (await answer.json())["endedAt"]:
                    break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{execution} is not over within {within_s} s")
            await asyncio.sleep(0.02)
        async with self.session.get(f"{base}/steps/s{steps - 1}/output") as answer:
            return await answer.json()


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}


def _chain(run: str, steps: int, pause_ms: float) -> list[dict[str, Any]]:
    return [
        {
            "name": f"s{n}",
            "tool": "bench_step",
            "args": {"run": run, "n": f"${{s{n - 1}}}" if n else 0, "pause_ms": pause_ms},
            "needs": [f"s{n - 1}"] if n else [],
        }
        for n in range(steps)
    ]
