"""Large outputs on their way: from one segment to the next, to a reader, into the archive."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared.archive import Archiver
from shared.machine.decision import Start
from shared.machine.events import Done, Outcome
from shared.machine.plan import Effect
from shared.tools.registry import Call, Registry, Runner
from tests.services.engine.site import KEY, Site
from tests.services.engine.support import staged, step
from tests.services.engine.test_tools import start
from tests.services.test_archive import archive
from tests.support.executions import RETENTION_MS

LARGE = {"text": "\u00e9" * 50_000, "count": 7}
AUTH = {"Authorization": f"Bearer {KEY}"}


async def large(_: Start, __: float) -> Outcome:
    """A call with a large output."""
    return Done(output=LARGE)


PLAN = [
    step("make", args={}),
    step("use", "make", args={"count": "${make.count}", "whole": "${make}"}),
    step("ignore", "use", args={"count": "${make.count}"}),
]


async def test_a_later_segment_loads_a_large_output_that_a_step_refers_to(redis: Redis) -> None:
    """Whole, or a part of it; a message a step, so that nothing is in memory any more."""
    stage = staged(redis, steps_per_message=1)
    stage.tools.acts["make"] = large
    execution = await stage.create(PLAN)
    for _ in PLAN:
        await stage.run(execution)

    assert (await stage.header(execution))["status"] == "COMPLETED"
    called = {one.step: one.intent.args for one in stage.tools.started}
    assert called == {"make": {}, "use": {"count": 7, "whole": LARGE}, "ignore": {"count": 7}}


async def test_a_reader_gets_a_pointer_and_the_output_where_it_points(redis: Redis, site: Site) -> None:
    """Of its own tenant only, and only where there is an output."""
    stage = staged(redis, steps_per_message=1)
    stage.tools.acts["make"] = large
    execution = await stage.create(PLAN)
    await stage.run(execution)

    answer = await site.call("ingress", "GET", f"/api/executions/{execution}", headers=AUTH)
    [made, used, _] = answer.json()["steps"]
    text = json.dumps(LARGE, ensure_ascii=False, separators=(",", ":")).encode()
    path = f"/api/executions/{execution}/steps/make/output"
    assert "output" not in made
    assert made["largeOutput"] == {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest(), "path": path}
    assert "largeOutput" not in used
    assert len(answer.content) < 10_000

    found = await site.call("ingress", "GET", path, headers=AUTH)
    assert (found.status_code, found.headers["content-type"], found.json()) == (200, "application/json", LARGE)
    for wrong, headers in [
        (path, {"Authorization": "Bearer key-of-other-0123456789"}),
        (path.replace("make", "use"), AUTH),
        (path.replace("make", "nobody"), AUTH),
    ]:
        assert (await site.call("ingress", "GET", wrong, headers=headers)).status_code == 404


async def test_a_small_output_is_given_by_the_same_path(redis: Redis, site: Site) -> None:
    """Whoever wants one output need not know how large it is."""
    stage = staged(redis)
    execution = await stage.create([step("a")])
    await stage.run(execution)

    found = await site.call("ingress", "GET", f"/api/executions/{execution}/steps/a/output", headers=AUTH)
    assert found.json() == {"of": "a"}


async def test_the_archive_has_large_outputs_whole(redis: Redis, tmp_path: Path) -> None:
    """And nothing of them is left in the store."""
    stage = staged(redis)
    stage.tools.acts["make"] = large
    execution = await stage.create(PLAN)
    await stage.run(execution)
    stage.hand.forward(RETENTION_MS)
    await Archiver(stage.store, stage.reader, tmp_path).run_once()

    [line] = archive(tmp_path)
    assert line["execution"]["steps"][0]["output"] == LARGE
    assert [name async for name in redis.scan_iter(f"*{execution}*")] == []


@pytest.mark.parametrize(("size", "expected"), [(998, "x" * 998), (999, {"left_out": True, "bytes": 1_001, "limit": 1_000})])
async def test_an_output_beyond_the_upper_limit_is_left_out_and_its_step_is_done(size: int, expected: Any) -> None:
    """Its effect happened; nobody can refer to what is not there."""

    async def tells(_: Call) -> str:
        return "x" * size

    registry = Registry()
    registry.add(tells, effect=Effect.IDEMPOTENT)
    found = await Runner(registry, most_bytes=1_000).run(start("tells", args={}), 5.0)

    assert found == Done(output=expected)
    assert msgspec.json.encode(found)
