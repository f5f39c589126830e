"""A schedule fires on real processes: its time comes, the resume service starts it, the executor does it, once."""

import pytest

from shared.callers import LOCAL_TENANT
from shared.redisdb.connect import connect
from shared.redisdb.schedules import RedisSchedules
from tests.system.harness import System, until, work

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


async def scheduled(system: System) -> str:
    """A schedule whose next time is far away."""
    body = {"plan": {"steps": work(2, 0)}, "cron": "0 0 1 1 *", "userId": "test-user", "overlap": "queue"}
    answer = await system.post("/api/schedules", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_schedule_whose_time_has_come_runs_once_and_to_its_end(system: System) -> None:
    """Nobody asks ingress: the resume service's own loop sees it."""
    schedule = await scheduled(system)
    async with connect(system.environ["REDIS_URL"]) as client:
        schedules = RedisSchedules(client)
        await schedules.set_state(schedule, LOCAL_TENANT, "active", next_ms=await schedules.now())

        async def started() -> str | None:
            return (await schedules.get(schedule, LOCAL_TENANT)).last_execution or None

        execution = await until(started, within=10, describe="the schedule fires")

    assert (await system.ended(execution, within=20))["status"] == "COMPLETED"
    assert await system.effects(execution) == {"s0": 1, "s1": 1}
    [told] = [line for line in system.events("resume", "schedule.started") if line["schedule"] == schedule]
    assert told["execution"] == execution
    found = (await system.client.get(f"{system.processes['ingress'].url}/api/schedules/{schedule}")).json()
    assert (found["runs"], found["lastExecution"], found["lastError"]) == (1, execution, None)
    assert found["nextAt"][5:10] == "01-01"


async def test_a_run_by_hand_is_answered_with_its_execution(system: System) -> None:
    """And its next time stays."""
    schedule = await scheduled(system)
    answer = await system.post(f"/api/schedules/{schedule}/run", None)
    assert answer.status_code == 202, answer.text
    assert (await system.ended(answer.json()["executionId"], within=20))["status"] == "COMPLETED"
