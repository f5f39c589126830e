"""No process runs for long: a schedule at QStash calls the sweep, and what is stranded goes on."""

import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.qstash_dev.users import DEV_USERS
from shared.settings import DEV_TOKEN
from tests.system.harness import QUICK, System, until, work

pytestmark = pytest.mark.system
NEVER_MS = "3600000"


async def test_a_schedule_of_qstash_moves_what_is_stranded(tmp_path: Path) -> None:
    """As docs/operations.md says how to make it; its time is made to come. No loop of the resume service's sweeps here."""
    async with System(tmp_path, **{**QUICK, "SWEEP_MS": NEVER_MS, "QSTASH_RETRIES": "0"}) as system:
        await system.kill("step_executor")
        execution = await system.run_plan(work(2, 0.05))
        await until(lambda: dead(system), within=20, describe="its message is dead")
        await system.start("step_executor")

        await schedule(system)
        told = await until(lambda: swept(system), within=30, describe="the schedule's sweep has re-sent it")
        assert told["resent"]["direct"] == 1
        assert (await system.ended(execution, within=20))["status"] == "COMPLETED"


async def dead(system: System) -> bool:
    """Whether the failure callback was heard: two seconds later the execution is overdue, and nothing looks."""
    return bool(system.events("resume", "message.dead"))


async def swept(system: System) -> dict[str, dict[str, int]] | None:
    """What the resume service's watchdog did, once it did something; the schedule's time comes again until it does."""
    async with Redis(port=system.ports["valkey"]) as redis:
        names, due_ms = DEV_USERS[0].keys.prefix, int(time.time() * 1_000) - 1_000
        await redis.hset(f"{names}s:intention-sweep", "next", str(due_ms))
        await redis.zadd(f"{names}schedules", {"intention-sweep": due_ms})
    answer = await system.client.get(f"{system.processes['resume'].url}/api/health/watchdog")
    found: dict[str, dict[str, int]] = answer.json()
    return found if sum(found["resent"].values()) else None


async def schedule(system: System) -> None:
    """The command of docs/operations.md."""
    qstash, resume = system.processes["qstash_dev"].url, system.processes["resume"].url
    headers = {
        "Authorization": f"Bearer {DEV_TOKEN}",
        "Upstash-Cron": "*/5 * * * *",
        "Upstash-Schedule-Id": "intention-sweep",
        "Upstash-Retries": "0",
        "Upstash-Timeout": "10s",
    }
    answer = await system.client.post(f"{qstash}/v2/schedules/{resume}/api/mesh/sweep", headers=headers)
    assert answer.status_code == 200, answer.text
