"""A tiny quota under three times the load it bears: refused work is told so, accepted work ends, and the numbers add up."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.settings import DEV_TOKEN
from tests.system.harness import QUICK, System, until, work
from tests.system.outages import Misconfigured

pytestmark = pytest.mark.system
DAY = 60
ASKED = 30


async def quota(system: System) -> dict[str, Any]:
    """`GET /api/quota`."""
    answer = await system.client.get(system.processes["ingress"].url + "/api/quota")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def counted(system: System) -> int:
    """What QStash counts: messages, callbacks among them, and deliveries after the first."""
    url = f"{system.processes['qstash_dev'].url}/v2/events"
    headers = {"Authorization": f"Bearer {system.environ.get('QSTASH_TOKEN', DEV_TOKEN)}"}
    events = (await system.client.get(url, params={"count": 1000}, headers=headers)).json()["events"]
    return sum(event["state"] in {"CREATED", "RETRY"} for event in events)


def adds_up(found: dict[str, Any]) -> None:
    """Of the day: spent, reserved and left are the limit, and nothing is below zero."""
    day = found["day"]
    assert day["spent"] + day["reserved"] + day["left"] == day["limit"] == DAY
    assert min(day["spent"], day["reserved"], day["left"]) >= 0


async def ask(system: System, key: str) -> httpx.Response:
    """Three steps, one a message."""
    return await system.post("/api/execute", {"plan": {"steps": work(3, 0)}}, **{"Idempotency-Key": key})


async def test_three_times_overload_refuses_new_work_and_ends_what_was_accepted(tmp_path: Path) -> None:
    """At every moment the numbers add up, and QStash counts no more than the limit."""
    system = System(tmp_path, **QUICK, STEPS_PER_MESSAGE="1", QUOTA_DAY=str(DAY), QUOTA_MONTH="0", QUOTA_CONCURRENT="0")
    async with system:
        answers = await asyncio.gather(*(ask(system, f"key-{number}") for number in range(ASKED)))
        taken = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(taken) + len(refused) == ASKED
        assert len(taken) <= ASKED // 3
        assert taken
        for answer in refused:
            error = answer.json()["error"]
            assert (error["code"], error["details"]["limit"]) == ("quota_exhausted", "day")
            assert int(answer.headers["Retry-After"]) == error["details"]["retryAfter"] > 0
        adds_up(await quota(system))
        for execution in taken:
            assert (await system.ended(execution, within=60))["status"] == "COMPLETED"

        async def settled() -> bool:
            return bool((await quota(system))["concurrent"]["running"] == 0)

        await until(settled, within=20, describe="everything is settled")
        found = await quota(system)
        adds_up(found)
        assert len(taken) <= await counted(system) <= found["day"]["spent"] + found["day"]["reserved"] <= DAY


async def test_the_same_request_again_is_charged_once(tmp_path: Path) -> None:
    """By its Idempotency-Key, also when both come at the same moment."""
    async with System(tmp_path, **QUICK, QUOTA_DAY=str(DAY)) as system:
        first, second = await asyncio.gather(ask(system, "key"), ask(system, "key"))
        assert first.json()["id"] == second.json()["id"]
        await system.ended(first.json()["id"], within=30)
        assert (await ask(system, "key")).json()["id"] == first.json()["id"]
        sent = await system.messages(first.json()["id"])

        async def settled() -> bool:
            found = await quota(system)
            return bool(found["concurrent"]["running"] == 0 and found["day"]["spent"] == sent)

        await until(settled, within=20, describe="one execution's messages are spent, and nothing runs")


async def test_no_more_executions_run_at_once_than_may(tmp_path: Path) -> None:
    """The second is refused until the first is over."""
    async with System(tmp_path, **QUICK, QUOTA_CONCURRENT="1") as system:
        first = await system.run_plan(work(1, 1.0))
        answer = await ask(system, "second")
        assert (answer.status_code, answer.json()["error"]["details"]["limit"]) == (429, "concurrent")
        await system.ended(first, within=30)

        async def fits() -> bool:
            return bool((await ask(system, "second")).status_code == 202)

        await until(fits, within=20, describe="the second is taken once the first is over")


async def test_with_neither_direct_calls_nor_ably_it_waits_visibly_for_the_quota(tmp_path: Path) -> None:
    """SUSPENDED with the reason quota: more messages than the whole day has; nothing is lost, and nothing more is sent."""
    system = Misconfigured(tmp_path, {}, ABLY_API_KEY="", QUOTA_DAY="12", RESUME_DIRECT="false")
    async with system:
        execution = await system.run_plan(work(40, 1.0))

        async def waits() -> bool:
            found = await system.get(execution)
            return bool(found["status"] == "SUSPENDED" and found["reason"] == "quota")

        await until(waits, within=90, describe="it waits for the quota")
        found = await quota(system)
        assert (found["level"], found["waiting"] > 0) == ("refuse", True)
        assert await counted(system) <= 12
