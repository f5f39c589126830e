"""A plan that a person signs by its hash, on real processes."""

import contextlib
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.redisdb import keys
from tests.system.command_line import around, run
from tests.system.harness import System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

TABLE = {
    "name": "table",
    "tool": "reserve_table",
    "args": {"restaurant": "Golden Wok", "party_size": 2, "date": "2030-05-01", "time": "19:00", "name": "Ann"},
}


async def asked(system: System, **more: Any) -> dict[str, Any]:
    """A plan that waits for a yes; what its caller was answered."""
    answer = await system.post("/api/execute", {"plan": {"steps": [TABLE], **more}, "confirm": True})
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    assert told["status"] == "AWAITING_CONFIRMATION"
    return told


async def test_nothing_is_done_before_the_yes_and_then_exactly_that_plan(system: System) -> None:
    """A yes to another hash is refused with the place; the right one runs it."""
    told = await asked(system)
    path = f"/api/executions/{told['id']}"
    why = (await system.client.get(system.processes["ingress"].url + f"{path}/why")).json()
    (wait,) = why["waits"]
    assert (wait["kind"], wait["owner"], wait["detail"]) == ("confirmation", "person", {"planHash": told["plan"]["hash"]})
    refused = await system.post(f"{path}/confirm", {"planHash": "0" * 32})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "moot")
    assert await system.effects(told["id"]) == {}
    yes = await system.post(f"{path}/confirm", {"planHash": told["plan"]["hash"]}, **{"X-Actor": "ann"})
    assert yes.status_code == 202, yes.text
    assert (await system.ended(told["id"], within=20))["status"] == "COMPLETED"
    assert await system.effects(told["id"]) == {"table": 1}
    (line,) = [line for line in await system.history(told["id"]) if line["event"] == "plan.confirmed"]
    assert (line["detail"]["by"], line["detail"]["plan_hash"]) == ("local/ann", told["plan"]["hash"])


async def test_a_plan_that_is_turned_down_is_over(system: System) -> None:
    """REJECTED, with nothing done; no other yes is taken."""
    told = await asked(system)
    path = f"/api/executions/{told['id']}"
    assert (await system.post(f"{path}/reject", {"note": "too late"})).status_code == 202
    assert (await system.ended(told["id"], within=20))["status"] == "REJECTED"
    late = await system.post(f"{path}/confirm", {"planHash": told["plan"]["hash"], "version": 1})
    assert late.status_code == 409
    assert await system.effects(told["id"]) == {}


async def test_a_plan_changed_by_one_byte_after_the_yes_is_refused(system: System) -> None:
    """Whoever can write to the store still cannot have another plan run: the executor counts the bytes again."""
    told = await asked(system, timeout_ms=600_000)  # a plan that no executor has seen yet: they know plans by their hash
    redis = Redis.from_url(system.environ["REDIS_URL"])
    async with contextlib.aclosing(redis):
        name = keys.plan(told["id"])
        plan = await redis.get(name)
        assert isinstance(plan, bytes)
        await redis.set(name, plan.replace(b"Golden Wok", b"Golden Wak"))
    path = f"/api/executions/{told['id']}"
    assert (await system.post(f"{path}/confirm", {"planHash": told["plan"]["hash"]})).status_code in {202, 409}

    async def refused() -> bool:
        return any(line["accepted"] == told["plan"]["hash"] for line in system.events("step_executor", "plan.changed"))

    await until(refused, within=20, describe="the executor refuses the changed plan")
    assert await system.effects(told["id"]) == {}
    async with contextlib.aclosing(Redis.from_url(system.environ["REDIS_URL"])) as again:
        await again.set(name, plan)  # as it was: now it runs
    assert (await system.ended(told["id"], within=40))["status"] == "COMPLETED"


async def test_the_command_shows_the_plan_and_confirms_what_it_showed(system: System, tmp_path: Any) -> None:
    """Asked without a hash it takes the hash of what it has just shown."""
    told = await asked(system)
    done = await run("confirm", told["id"], "--yes", "--wait", cwd=tmp_path, environ=around(system))
    assert done.code == 0, done
    again = await run("confirm", told["id"], "--yes", cwd=tmp_path, environ=around(system))
    assert again.code == 1
    assert "COMPLETED" in again.err
