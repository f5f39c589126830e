"""Conversations as people have them, on real processes: what comes of each is looked at in the town, not in the answers."""

from collections import Counter
from typing import Any

import pytest

from tests.system.conversations import MISSION, OTHERS, Said
from tests.system.harness import System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]
ANN = {
    "name": "Ann Lee",
    "phone": "+14155550123",
    "email": "ann@example.com",
    "home": "12 Harbour Street",
    "timezone": "Europe/Berlin",
    "party_size": 2,
    "dinner_time": "19:00",
    "confirm_by": "sms",
    "contacts": {"mum": "+14155550177", "Bob": "bob@example.com", "Zoe": "+14155550188"},
    "places": {"work": "5 Office Park", "gym": "9 Elm Street"},
    "event_minutes": 60,
}
OVER = {"COMPLETED", "FAILED", "CANCELLED", "COMPENSATED", "REJECTED"}
WAITS = {"sleep", "approval"}


async def rests(system: System, execution: str, *, over: bool = False) -> dict[str, Any]:
    """The execution once it is over, or (unless it must be) waits for a time or a person."""

    async def resting() -> dict[str, Any] | None:
        found = await system.get(execution)
        waits = found["status"] == "SUSPENDED" and found["reason"] in WAITS and not over
        return found if found["status"] in OVER or waits else None

    return await until(resting, within=30, describe=f"{execution} rests")


async def talk(system: System, said: Said, name: str) -> tuple[list[str], list[str]]:
    """Say it all, each message once the one before has come to rest; the kinds of the answers, and what was begun."""
    kinds, begun = list[str](), list[str]()
    for turn in said.turns:
        body = {"message": turn, "userId": said.user, "conversationId": name}
        answer = await system.post("/api/chat", body)
        assert answer.is_success, answer.text
        told = answer.json()
        assert told["text"]
        kinds.append(told["kind"])
        if told.get("executionId") and told["executionId"] not in begun:
            begun.append(told["executionId"])
        if told["kind"] == "acted" and told.get("executionId"):
            await until_acted(system, told)
        elif begun:
            await rests(system, begun[-1])
    return kinds, begun


async def until_acted(system: System, told: dict[str, Any]) -> None:
    """What was acted upon moves on."""
    end = {"compensate": "COMPENSATED", "reject": "FAILED"}.get(told["action"])
    found = await rests(system, told["executionId"], over=True) if end != "COMPENSATED" else None

    async def compensated() -> bool:
        return bool((await system.get(told["executionId"]))["status"] == end)

    if found is None:
        await until(compensated, within=30, describe="it is taken back")


async def standing(system: System, executions: list[str]) -> dict[str, int]:
    """What stands of them in the town, by kind."""
    rows = [row for execution in executions for row in await system.effect_rows(execution)]
    return dict(Counter(row["kind"] for row in rows for _ in range(row["standing"])))


@pytest.mark.parametrize("said", [*MISSION, *OTHERS], ids=lambda said: " / ".join(said.turns)[:70])
async def test_a_conversation_comes_to_what_was_meant(system: System, said: Said, request: pytest.FixtureRequest) -> None:
    """And to nothing else: everything that stands in the town is counted."""
    address = f"{system.processes['ingress'].url}/api/users/ann/profile"
    assert (await system.client.put(address, json=ANN)).is_success
    kinds, begun = await talk(system, said, f"talk-{abs(hash(request.node.name))}")
    assert tuple(kinds) == said.kinds

    async def as_meant() -> bool:
        return await standing(system, begun) == said.effects

    await until(as_meant, within=30, describe=f"the town holds {said.effects}, not {await standing(system, begun)}")
    if said.inputs:
        steps = {step["name"]: step["input"] for step in (await system.get(begun[-1]))["steps"]}
        found = {name: steps[name.partition(".")[0]][name.partition(".")[2]] for name in said.inputs}
        assert found == said.inputs
