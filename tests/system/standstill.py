"""Executors stand still under load, and go on: `make standstill`, or `python -m tests.system.standstill` (minutes).

What it counts: messages that QStash took because something was overdue. A storm would be several for each execution.
"""

import argparse
import asyncio
import base64
import binascii
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from shared.settings import DEV_TOKEN
from tests.system.harness import System, work

AT_ONCE = 50
ALLOWED = 1.2


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a standstill cost."""

    executions: int
    completed: int
    resent: int
    """Messages that QStash took because their executions were overdue."""
    messages: int
    """All messages that QStash took."""
    direct: int
    """Direct calls that an executor took instead."""
    recovery_s: float
    """From the end of the standstill until the last execution ended."""
    watchdog: dict[str, Any]

    @property
    def ratio(self) -> float:
        """Messages re-sent for each execution."""
        return self.resent / self.executions


async def standstill(system: System, *, executions: int, seconds: float, steps: int, within: float) -> Report:
    """Start so many executions, stop the executor for so long while they are under way, and see all of them to their ends."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def start() -> str:
        async with gate:
            return await system.run_plan(work(steps, 0.05))

    ids = await asyncio.gather(*(start() for _ in range(executions // 2)))
    executor = system.processes["step_executor"]
    executor.signal(signal.SIGSTOP)
    try:
        ids += await asyncio.gather(*(start() for _ in range(executions - len(ids))))
        await asyncio.sleep(seconds)
    finally:
        executor.signal(signal.SIGCONT)
    began = time.monotonic()
    found = [await system.ended(one, within=within) for one in ids]
    took = time.monotonic() - began
    bodies = await _bodies(system)
    told = await _watchdog(system)
    return Report(
        executions=executions,
        completed=sum(one["status"] == "COMPLETED" for one in found),
        resent=sum(body.get("reason") == "overdue" for body in bodies),
        messages=len(bodies),
        direct=told["resent"]["direct"],
        recovery_s=round(took, 1),
        watchdog=told,
    )


async def _watchdog(system: System) -> dict[str, Any]:
    answer = await system.client.get(f"{system.processes['resume'].url}/api/health/watchdog")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _bodies(system: System) -> list[dict[str, Any]]:
    """Of every message that QStash took."""
    url, headers = f"{system.processes['qstash_dev'].url}/v2/events", {"Authorization": f"Bearer {DEV_TOKEN}"}
    found: dict[str, dict[str, Any]] = {}
    cursor = ""
    while True:
        params = {"state": "CREATED", "count": "1000"} | ({"cursor": cursor} if cursor else {})
        answer = await system.client.get(url, params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        for event in page["events"]:
            found[event["messageId"]] = _body(event.get("body", ""))
        cursor = page.get("cursor") or ""
        if not cursor:
            return list(found.values())


def _body(text: str) -> dict[str, Any]:
    try:
        body: dict[str, Any] = msgspec.json.decode(base64.b64decode(text))
    except (msgspec.DecodeError, binascii.Error):
        return {}
    return body


async def _real(executions: int, seconds: float, *, direct: bool) -> Report:
    with TemporaryDirectory() as folder:
        async with System(Path(folder), RESUME_DIRECT="true" if direct else "false", QUOTA_PROFILE="none") as system:
            return await standstill(system, executions=executions, seconds=seconds, steps=8, within=300)


def main() -> int:
    """Print what it cost; exit code 1 if it was a storm, or if something did not end well."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.standstill", description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--no-direct", action="store_true", help="RESUME_DIRECT=false")
    options = parser.parse_args()
    report = asyncio.run(_real(options.executions, options.seconds, direct=not options.no_direct))
    print(msgspec.json.format(msgspec.json.encode(report)).decode())
    print(f"messages re-sent for each execution: {report.ratio:.2f} (allowed: {ALLOWED})")
    return 0 if report.ratio <= ALLOWED and report.completed == report.executions else 1


if __name__ == "__main__":
    sys.exit(main())
