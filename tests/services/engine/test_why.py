"""`why` over HTTP, and the health check that rests on the same invariant, on a real store."""

from typing import Any

import pytest
from redis.asyncio import Redis

from services.resume.app import Deps as ResumeDeps
from shared.redisdb import keys
from tests.services.engine.site import KEY, NOBODY, Site
from tests.services.engine.support import Stage, really
from tests.services.engine.test_actions import ANNA, OTHER, act, refusing, run, started, work


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """In real time, as ingress is."""
    return really(redis)


async def why(site: Site, execution: str) -> dict[str, Any]:
    """The answer."""
    answer = await site.call("ingress", "GET", f"/api/executions/{execution}/why", headers=ANNA)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_it_says_what_it_waits_for_all_its_life(site: Site, stage: Stage) -> None:
    """Queued, asked about, paused, over."""
    execution = await started(site, work("a", approve={"message": "sure?", "timeout_ms": 60_000}))
    told = await why(site, execution)
    assert [one["kind"] for one in told["waits"]][-1] in {"start", "outbox"}
    assert told["broken"] is None
    await run(stage, execution)
    told = await why(site, execution)
    assert (told["reason"], told["waits"][-1]["owner"], told["waits"][-1]["step"]) == ("approval", "person", "a")
    assert told["waits"][-1]["until"] is not None
    assert told["dueAt"] is not None
    await act(site, execution, "pause")
    assert (await why(site, execution))["unseenSignals"] == 1
    await run(stage, execution)
    assert "acme/anna has paused it" in (await why(site, execution))["why"]
    await act(site, execution, "resume")
    await act(site, execution, "reject", step="a", note="too dear")
    await run(stage, execution)
    assert (await why(site, execution))["why"] == (
        "it is over: FAILED, because a failed (rejected: acme/anna rejected it: too dear); it waits for nothing"
    )


async def test_it_says_what_went_wrong(site: Site, stage: Stage) -> None:
    """The error of the attempt, and the time of the next."""

    execution = await started(site, work("a", retry={"attempts": 3, "base_ms": 60_000, "retry_on": ["busy"]}))
    stage.tools.acts["a"] = refusing("busy")
    await run(stage, execution)
    [wait] = [one for one in (await why(site, execution))["waits"] if one["kind"] == "back-off"]
    assert wait["detail"] == {"code": "busy", "message": "no", "attempt": 1}


async def test_another_tenant_is_told_nothing(site: Site) -> None:
    """As of one that is not there."""
    for execution in (await started(site, work("a")), NOBODY):
        answer = await site.call("ingress", "GET", f"/api/executions/{execution}/why", headers=OTHER)
        assert answer.status_code == 404


async def test_the_health_check_finds_what_nothing_would_move(site: Site, redis: Redis, stage: Stage) -> None:
    """An execution that fell out of the due index; it is well again when it is back, or over."""
    execution = await started(site, work("a"))
    resume = await site.app("resume")
    deps: ResumeDeps = resume.state.deps
    partition = keys.partition_of(execution)
    await deps.invariant.look(partition)
    healthy = await site.call("resume", "GET", "/api/health/invariant")
    assert (healthy.status_code, healthy.json()["ok"], healthy.json()["checked"]) == (200, True, 1)

    await redis.zrem(keys.due(partition), execution)
    await deps.invariant.look(partition)
    sick = await site.call("resume", "GET", "/api/health/invariant")
    assert (sick.status_code, sick.json()["broken"]) == (503, 1)
    assert execution not in sick.text
    assert "nothing will ever look" in (await why(site, execution))["broken"]

    assert await run(stage, execution) == "COMPLETED"
    await deps.invariant.look(partition)
    assert (await site.call("resume", "GET", "/api/health/invariant")).json()["ok"] is True


async def test_each_round_looks_at_another_partition(site: Site) -> None:
    """All of them in turn, whatever they hold."""
    resume = await site.app("resume")
    deps: ResumeDeps = resume.state.deps
    for _ in keys.all_partitions():
        await deps.invariant.sweep()
    assert deps.invariant.report()["partitions"] == len(keys.all_partitions())
    assert KEY not in str(deps.invariant.report())
