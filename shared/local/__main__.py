"""`make run`: the whole system on this machine. Ctrl-C stops it; the data under `.intention/` stays."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from shared.environment import merged
from shared.errors import SettingsError
from shared.local.breaking import Breaking, servers
from shared.local.control import listening
from shared.local.supervisor import CANNOT, BusyPort, Child, Service, StartFailed, check_ports, until_ready
from shared.local.valkey import command as valkey_command
from shared.settings import Settings
from shared.settings_load import load

READY_S = 60.0


def environment() -> dict[str, str]:
    """The environment of all services: this one, then `.env` for what is not set, in local mode unless told otherwise."""
    found = merged()
    found.setdefault("INTENTION_MODE", "local")
    found.setdefault("PYTHONUNBUFFERED", "1")
    return found


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def topology(settings: Settings, data: Path) -> tuple[list[Service], list[Service]]:
    """What must run first (the store, if it is ours), and the rest."""
    s = settings
    port = urlsplit(s.redis_url).port or 6379
    own_store = urlsplit(s.redis_url).hostname in {"127.0.0.1", "localhost"}
    valkey = Service(name="valkey", command=valkey_command(port=port, folder=data / "valkey"), port=port, setting="REDIS_URL")
    rest = [
        Service(name="town", command=_module("examples.town.main"), port=s.town_port, setting="TOWN_PORT", ready="/healthz"),
        Service(
            name="step_executor",
            command=_module("services.step_executor.main"),
            port=s.executor_port,
            setting="EXECUTOR_PORT",
            ready="/readyz",
        ),
        Service(
            name="resume", command=_module("services.resume.main"), port=s.resume_port, setting="RESUME_PORT", ready="/readyz"
        ),
        Service(
            name="ingress",
            command=_module("services.ingress.main"),
            port=s.ingress_port,
            setting="INGRESS_PORT",
            ready="/readyz",
        ),
    ]
    command = _module("services.ably_dev.main")
    rest.insert(0, Service(name="ably_dev", command=command, port=s.ably_dev_port, setting="ABLY_DEV_PORT", ready="/readyz"))
    if urlsplit(s.qstash_url).hostname in {"127.0.0.1", "localhost"}:
        command = _module("services.qstash_dev.main")
        rest.insert(
            0, Service(name="qstash_dev", command=command, port=s.qstash_dev_port, setting="QSTASH_DEV_PORT", ready="/readyz")
        )
    return ([valkey] if own_store else []), rest


async def run(settings: Settings, environ: dict[str, str]) -> int:
    """Start everything, say where it is, and wait for a signal. The exit code."""
    data = Path(settings.intention_data)
    (data / "run").mkdir(parents=True, exist_ok=True)
    first, rest = topology(settings, data)
    check_ports([*first, *rest])
    width = max(len(service.name) for service in [*first, *rest])
    children = {s.name: Child(s, environ, data / "run", width) for s in [*first, *rest]}
    async with _breakable(settings, children) as more:
        children["ingress"].tell(more)
        return await _run(settings, first, rest, children)


@asynccontextmanager
async def _breakable(settings: Settings, children: dict[str, Child]) -> AsyncIterator[dict[str, str]]:
    """While it lasts, whoever has these settings may have parts of this system broken: ingress, and in local mode only."""
    if not settings.local:
        yield {}
        return
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        breaking = Breaking(children["step_executor"], servers(settings), client)
        try:
            async with listening(breaking.perform) as (address, key):
                yield {"LOCAL_CONTROL": address, "LOCAL_CONTROL_KEY": key}
        finally:
            await breaking.close()


async def _run(settings: Settings, first: list[Service], rest: list[Service], children: dict[str, Child]) -> int:
    tasks: list[asyncio.Task[None]] = []
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    fault = ""
    try:
        started = asyncio.create_task(_start(first, rest, children, tasks))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if started.done() and (error := started.exception()):
            fault = f"{CANNOT}{error}"
        else:
            if started.done():
                _welcome(settings)
            await stopped
            started.cancel()
    finally:
        await asyncio.gather(*(children[service.name].stop() for service in rest))
        for service in first:
            await children[service.name].stop()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, StartFailed):
                await task
    if fault:  # said last, so that it is not looked for between the lines of those that are stopped
        print(fault, file=sys.stderr)
    return 1 if fault else 0


async def _start(
    first: list[Service], rest: list[Service], children: dict[str, Child], tasks: "list[asyncio.Task[None]]"
) -> None:
    deadline = time.monotonic() + READY_S
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        for group in (first, rest):
            started = {service.name: asyncio.create_task(children[service.name].run()) for service in group}
            tasks += started.values()
            waits = (until_ready(children[name], task, client, deadline) for name, task in started.items())
            await asyncio.gather(*waits)


def _welcome(settings: Settings) -> None:
    base = f"http://localhost:{settings.ingress_port}"
    example = """-H 'Content-Type: application/json' -d '{"intent": "Book a table for 2 at 7pm", "userId": "test-user"}'"""
    print(
        f"\n  The intention engine is ready: {base}\n"
        f"  The town and its outbox:       {settings.town_url}\n"
        f"  Try:  curl -X POST {base}/api/execute {example}\n"
        f"  Ctrl-C stops everything; the data stays in .intention/\n",
        flush=True,
    )


def main() -> int:
    """Parse nothing, read the environment, run."""
    environ = environment()
    try:
        return asyncio.run(run(load(environ), environ))
    except (SettingsError, BusyPort) as error:
        print(f"{CANNOT}{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
