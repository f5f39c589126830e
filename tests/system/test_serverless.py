"""A platform that freezes between invocations and kills at its limit: the step in flight may be lost, no effect comes twice."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.system.harness import MODULES, System, until, work

pytestmark = pytest.mark.system
LIMIT_MS = 10_000


class Serverless(System):
    """The step executor behind a platform."""

    modules = MappingProxyType({**MODULES, "step_executor": "tests.system.serverless"})


def serverless(folder: Path, **settings: str) -> System:
    """One that kills at 10 s. An answer ends an invocation there, so the watchdog calls nobody directly."""
    chosen = {"PLATFORM_LIMIT_MS": str(LIMIT_MS), "RESUME_DIRECT": "false", "SWEEP_MS": "300", **settings}
    return Serverless(folder, **chosen)


def took(system: System, event: str) -> list[int]:
    """How long the invocations took that ended so, in ms."""
    return [line["took_ms"] for line in system.events("step_executor", event)]


def mixed() -> list[dict[str, Any]]:
    """Short work, a ride whose request hangs, and work behind it."""
    ride = {"pickup": "home", "destination": "Luigi's", "date": "2099-05-01", "time": "18:30", "passengers": 2}
    return [
        *work(2, 0.3),
        {"name": "ride", "tool": "book_ride", "args": ride, "needs": ["s1"], "timeout_ms": 8_000},
        {"name": "last", "tool": "do_work", "args": {"label": "last", "seconds": 0.1}, "needs": ["ride"]},
    ]


async def hang(system: System, path: str) -> None:
    """From now on the town takes 12 s before it begins with a request to `path`."""
    await system.knobs(latency_ms=12_000, only_path=path)


async def hung(system: System, execution: str, event: str, *, within: float) -> None:
    """Wait until the history tells this, then let the town be quick again."""

    async def told() -> bool:
        return any(line["event"] == event for line in await system.history(execution))

    await until(told, within=within, describe=f"{event} is in the history of {execution}")
    await system.knobs()


async def check(system: System, execution: str, *, within: float) -> dict[str, Any]:
    """It completes, every effect is there once, and no other step than `ride` was called twice."""
    found = await system.ended(execution, within=within)
    assert found["status"] == "COMPLETED", found
    effects = await system.effects(execution)
    assert effects == {step["name"]: 1 for step in found["steps"]}
    assert {step["name"] for step in found["steps"] if step["attempts"] > 1} <= {"ride"}
    return found


async def test_a_call_that_hangs_is_given_up_before_the_platform_kills(tmp_path: Path) -> None:
    """A town that hangs for 12 s on one call: cut off at 8 s, asked again with the same key; no invocation is killed."""
    async with serverless(tmp_path) as system:
        await hang(system, "/rides")
        execution = await system.run_plan(mixed())
        await hung(system, execution, "step.retried", within=40)
        found = await check(system, execution, within=60)

        assert next(step for step in found["steps"] if step["name"] == "ride")["attempts"] > 1
        assert took(system, "invocation.killed") == []
        assert max(took(system, "invocation.ended")) < 9_500


async def test_long_work_fits_into_short_invocations(tmp_path: Path) -> None:
    """24 s of steps of up to 8 s: several invocations, none of them killed, nothing called twice."""
    long = [{**step, "timeout_ms": 8_000} for step in work(4, 6.0)]
    async with serverless(tmp_path) as system:
        execution = await system.run_plan(long)
        found = await check(system, execution, within=90)

        assert found["segment"] >= 3
        assert took(system, "invocation.killed") == []
        assert max(took(system, "invocation.ended")) < 9_500


async def test_an_invocation_that_is_killed_loses_the_step_in_flight_and_no_more(tmp_path: Path) -> None:
    """The settings promise 13 s, the platform kills at 10: what was committed stays, the call in flight is made again."""
    late = {"HARD_LIMIT_MS": "13000", "STEP_CUTOFF_MS": "12500", "CHECKPOINT_MS": "12000"}
    plan = [{**step, "timeout_ms": 12_000} if step["name"] == "ride" else step for step in mixed()]
    async with serverless(tmp_path, **late) as system:
        await hang(system, "/rides")
        execution = await system.run_plan(plan)
        await hung(system, execution, "step.orphaned", within=60)
        found = await check(system, execution, within=60)

        killed = took(system, "invocation.killed")
        assert len(killed) >= 1
        assert min(killed) >= LIMIT_MS
        assert next(step for step in found["steps"] if step["name"] == "ride")["attempts"] > 1
        orphaned = [line["step"] for line in await system.history(execution) if line["event"] == "step.orphaned"]
        assert set(orphaned) == {"ride"}


async def test_a_platform_that_kills_every_invocation_still_sees_the_saga_through(tmp_path: Path) -> None:
    """It kills at 1 s what believes that it has 3: nearly every invocation dies, and each leaves a step or two behind."""
    settings = {"HARD_LIMIT_MS": "3000", "STEP_CUTOFF_MS": "2400", "CHECKPOINT_MS": "2200", "PLATFORM_LIMIT_MS": "1000"}
    async with serverless(tmp_path, **settings) as system:
        execution = await system.run_plan([{**step, "timeout_ms": 600} for step in work(12, 0.4)])
        found = await system.ended(execution, within=120)

        assert found["status"] == "COMPLETED"
        assert await system.effects(execution) == {f"s{number}": 1 for number in range(12)}
        assert len(took(system, "invocation.killed")) >= 3  # in a second two steps end, and one more has its effect
        assert max(step["attempts"] for step in found["steps"]) > 1
