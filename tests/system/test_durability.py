"""A power cut takes what was not synced: what the default may lose then, and that `strict` loses nothing that was answered."""

from pathlib import Path
from typing import Any

import pytest

from tests.system.disk import Disk
from tests.system.harness import QUICK, System, until, work

pytestmark = pytest.mark.system
WAIT: dict[str, Any] = {"name": "w", "wait": {"events": [{"name": "go"}], "timeout_ms": 600_000}}
LETTER: dict[str, Any] = {"name": "letter", "tool": "post_unregistered_letter", "args": {"to": "Ann", "text": "Hi"}}


def behind_a_wait(*steps: dict[str, Any]) -> dict[str, Any]:
    """A request for a plan that waits for `go` first."""
    return {"plan": {"steps": [WAIT, *({**step, "needs": ["w"]} for step in steps)]}}


async def waiting(system: System, body: dict[str, Any]) -> str:
    """An execution that waits for its event."""
    answer = await system.post("/api/execute", body)
    assert answer.status_code == 202, answer.text
    execution = str(answer.json()["id"])

    async def there() -> bool:
        return bool((await system.get(execution))["reason"] == "event")

    await until(there, within=20, describe="it waits")
    return execution


async def exists(system: System, execution: str) -> bool:
    """Whether ingress knows it."""
    answer = await system.client.get(f"{system.processes['ingress'].url}/api/executions/{execution}")
    return answer.status_code == 200


async def test_the_default_says_what_it_may_lose_and_loses_no_more_than_that(tmp_path: Path) -> None:
    """`fast`, everysec, a power cut: a 202 of the last second is forgotten. The log has said so at the start."""
    async with System(tmp_path, **QUICK) as system:
        disk = Disk(system)
        await disk.every_second()
        kept = await waiting(system, behind_a_wait(*work(1, 0)))
        await system.restart("ingress")
        [told] = [line for line in system.events("ingress", "durability.chosen") if line["appendfsync"] == "everysec"]
        await disk.stall()
        lost = await system.run_plan([WAIT])
        signal = await system.post(f"/api/executions/{kept}/events/go", {"id": "1"})
        await disk.lose_power()

        assert (told["durability"], told["level"]) == ("fast", "warning")
        assert told["weakened"] == ["1", "2", "3", "4 (tools that are not idempotent)", "5"]
        assert signal.status_code == 202
        assert await exists(system, kept)
        assert not await exists(system, lost), "the cut is a real one: what follows is no accident"


async def answers(system: System, path: str, body: Any, **headers: str) -> list[int]:
    """The statuses of the same request twice: whoever was not answered asks again."""
    return [(await system.post(path, body, **headers)).status_code for _ in range(2)]


async def test_strict_answers_nothing_that_a_power_cut_could_take_back(tmp_path: Path) -> None:
    """While nothing reaches the disk, no 202, event or cancel is answered, not even the second time; then all works again."""
    async with System(tmp_path, **QUICK, DURABILITY="strict") as system:
        disk = Disk(system)
        await disk.every_second()
        kept, cancelled = [await waiting(system, behind_a_wait(*work(2, 0))) for _ in range(2)]
        await disk.stall()
        new = await answers(system, "/api/execute", behind_a_wait(), **{"Idempotency-Key": "order-1"})
        told = await answers(system, f"/api/executions/{kept}/events/go", {"id": "1"})
        published = await answers(system, "/api/events/go", {"id": "1", "key": "k"})
        cancel = await answers(system, f"/api/executions/{cancelled}/cancel", {})
        pause = await answers(system, f"/api/executions/{kept}/pause", {})
        await disk.lose_power()

        assert (new, told, published, cancel) == ([503, 503],) * 4
        assert pause == [503, 409], "the second one is told that there is nothing to do, and to look again"
        [line] = system.events("ingress", "durability.chosen")
        assert (line["durability"], line["weakened"]) == ("strict", [])
        assert (await system.post(f"/api/executions/{kept}/events/go", {"id": "1"})).status_code == 202
        assert (await system.ended(kept, within=60))["status"] == "COMPLETED"
        assert (await system.get(cancelled))["status"] == "SUSPENDED", "nobody was told that it was cancelled"
        assert (await system.post("/api/execute", behind_a_wait(), **{"Idempotency-Key": "order-1"})).status_code == 202


async def test_strict_calls_no_tool_whose_intent_a_power_cut_could_take_back(tmp_path: Path) -> None:
    """A letter that nobody can ask about: its intent does not reach the disk, so it is not posted; afterwards it is, once."""
    async with System(tmp_path, **QUICK, DURABILITY="strict") as system:
        disk = Disk(system)
        await disk.every_second()
        plan = {"steps": [{"name": "nap", "sleep": {"ms": 1_500}}, {**LETTER, "needs": ["nap"]}]}
        answer = await system.post("/api/execute", {"plan": plan})
        execution = answer.json()["id"]

        async def asleep() -> bool:
            return bool((await system.get(execution))["reason"] == "sleep")

        await until(asleep, within=20, describe="it sleeps")
        await disk.stall()

        async def taken_over() -> bool:
            events = [line["event"] for line in await system.history(execution)]
            return "step.intended" in events and "segment.started" in events[events.index("step.intended") :]

        await until(taken_over, within=30, describe="the invocation that wrote the intent is over")
        before = await system.effects(execution)
        await disk.lose_power()

        assert before == {}
        found = await system.ended(execution, within=60)
        assert found["status"] == "COMPLETED"
        assert await system.effects(execution) == {"letter": 1}
