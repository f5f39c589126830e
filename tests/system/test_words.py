"""What people say, on real processes: the plan that is made of it does in the town what was meant."""

from typing import Any

import pytest

from tests.system.harness import System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


async def said(system: System, words: str) -> tuple[str, dict[str, str]]:
    """Run words to the end: the execution, and where each step stands."""
    answer = await system.post("/api/execute", {"intent": words, "userId": "test-user"})
    assert answer.status_code == 202, answer.text
    execution: str = answer.json()["id"]
    found = await system.ended(execution, within=30)
    assert found["status"] == "COMPLETED", found
    return execution, {step["name"]: step["status"] for step in found["steps"]}


async def held(system: System, execution: str, name: str) -> dict[str, Any]:
    """What a step waits for, once it waits."""

    async def waits() -> dict[str, Any] | None:
        found = await system.get(execution)
        (step,) = (one for one in found["steps"] if one["name"] == name)
        hold: dict[str, Any] | None = step.get("hold")
        return hold if found["status"] == "SUSPENDED" else None

    return await until(waits, within=20, describe=f"{name} waits")


async def test_an_alternative_is_booked_when_the_first_way_fails(system: System) -> None:
    """There is no such restaurant: the second way books, and only its confirmation goes out."""
    execution, stands = await said(
        system, "Book a table for 2 tomorrow at 7pm at \"No Such Place\", if they're full try Luigi's"
    )
    assert (stands["find_table"], stands["reserve_table"]) == ("FAILED", "SKIPPED")
    assert await system.effects(execution) == {"reserve_table_2": 1, "send_message_2": 1}


async def test_an_alternative_is_not_booked_when_the_first_way_works(system: System) -> None:
    """One table, one message."""
    execution, stands = await said(system, "Book a table for 2 tomorrow at 7pm, if that fails try 8pm, then text me")
    assert (stands["find_table_2"], stands["reserve_table_2"]) == ("SKIPPED", "SKIPPED")
    assert await system.effects(execution) == {"reserve_table": 1, "send_message": 1}


async def test_a_ride_counted_from_the_table_leads_to_it(system: System) -> None:
    """Three effects, the ride's place being the table's."""
    execution, _ = await said(system, "Book a table for 2 tomorrow at 7pm and a taxi there half an hour earlier")
    assert await system.effects(execution) == {"reserve_table": 1, "book_ride": 1, "send_message": 1}
    steps = {step["name"]: step for step in (await system.get(execution))["steps"]}
    assert steps["book_ride"]["input"]["destination"] == steps["reserve_table"]["output"]["restaurant"]
    assert steps["book_ride"]["input"]["time"] == "18:30"


async def test_a_booking_waits_for_approval(system: System) -> None:
    """Until then nothing is booked."""
    answer = await system.post(
        "/api/execute", {"intent": "Book a table for 2 tomorrow at 7pm but ask me first", "userId": "test-user"}
    )
    execution = answer.json()["id"]
    hold = await held(system, execution, "reserve_table")
    assert await system.effects(execution) == {}
    await system.post(f"/api/executions/{execution}/approve", {"step": "reserve_table", "argsHash": hold["argsHash"]})
    assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
    assert await system.effects(execution) == {"reserve_table": 1, "send_message": 1}


async def test_a_reminder_sleeps_until_its_time(system: System) -> None:
    """Its message has not gone out while it sleeps."""
    answer = await system.post("/api/execute", {"intent": "remind me tomorrow at noon to call mum", "userId": "test-user"})
    execution = answer.json()["id"]
    hold = await held(system, execution, "sleep")
    assert hold["until"]
    assert await system.effects(execution) == {}
    await system.post(f"/api/executions/{execution}/cancel", {})
