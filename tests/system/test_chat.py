"""Conversations on real processes: what was asked is answered, what waits is approved, a stream is read to its end."""

import json
from typing import Any

import pytest

from tests.system.harness import System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


async def say(system: System, message: str, conversation: str, **more: Any) -> dict[str, Any]:
    """The answer to a message."""
    body = {"message": message, "userId": "test-user", "conversationId": conversation, **more}
    answer = await system.post("/api/chat", body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def streamed(system: System, message: str, conversation: str) -> list[tuple[str, dict[str, Any]]]:
    """Every event of the answer as a stream, read to its end."""
    body = {"message": message, "userId": "test-user", "conversationId": conversation}
    answer = await system.post("/api/chat", body, Accept="text/event-stream")
    assert answer.headers["Content-Type"].startswith("text/event-stream"), answer.text
    found = []
    for part in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def suspended(system: System, execution: str) -> None:
    """Wait until it waits."""

    async def waits() -> bool:
        return bool((await system.get(execution))["status"] == "SUSPENDED")

    await until(waits, within=20, describe=f"{execution} waits")


async def test_an_answer_to_a_question_continues_the_same_request(system: System) -> None:
    """The time is missing, is given, and one table is booked at it."""
    asked = await say(system, "Book a table for 2 tomorrow at 7", "clarified")
    assert (asked["kind"], asked["questions"][0]["field"]) == ("clarification", "time")
    begun = await say(system, "7pm", "clarified")
    assert begun["kind"] == "started"
    found = await system.ended(begun["executionId"], within=30)
    assert found["status"] == "COMPLETED"
    assert await system.effects(begun["executionId"]) == {"reserve_table": 1, "send_message": 1}
    steps = {step["name"]: step for step in found["steps"]}
    assert steps["reserve_table"]["input"]["time"] == "19:00"
    told = await say(system, "what is the status of my booking?", "clarified")
    assert (told["kind"], told["status"]) == ("answer", "COMPLETED")


async def test_a_yes_approves_what_was_shown_and_only_that(system: System) -> None:
    """The first yes shows the arguments, the second one approves them; before it nothing is booked."""
    begun = await say(system, "Book a table for 2 tomorrow at 7pm but ask me first", "approved")
    execution = begun["executionId"]
    await suspended(system, execution)
    shown = await say(system, "yes", "approved")
    assert shown["kind"] == "clarification"
    assert shown["waits"][0]["step"] == "reserve_table"
    assert await system.effects(execution) == {}
    acted = await say(system, "yes", "approved")
    assert (acted["kind"], acted["action"]) == ("acted", "approve")
    assert (await system.ended(execution, within=30))["status"] == "COMPLETED"
    assert await system.effects(execution) == {"reserve_table": 1, "send_message": 1}


async def test_a_stream_tells_the_plan_each_step_and_what_is_waited_for_and_then_the_result(system: System) -> None:
    """It ends at the approval that it shows, so one yes is enough; the next stream goes on behind it."""
    first = await streamed(system, "Book a table for 2 tomorrow at 8pm but ask me first", "streamed")
    names = [name for name, _ in first]
    assert (names[0], names[-1]) == ("plan", "waiting")
    assert set(names[1:-1]) == {"progress"}
    assert first[-1][1]["waits"][0]["step"] == "reserve_table"
    second = await streamed(system, "yes", "streamed")
    names = [name for name, _ in second]
    assert (names[0], names[-1]) == ("acted", "result")
    assert second[-1][1]["status"] == "COMPLETED"
    execution = first[0][1]["executionId"]
    history = [line["id"] for line in await system.history(execution)]
    told = [data["id"] for name, data in [*first, *second] if name == "progress"]
    assert told == history
    assert await system.effects(execution) == {"reserve_table": 1, "send_message": 1}


async def test_a_question_that_changes_nothing_is_answered_with_its_output(system: System) -> None:
    """It runs as an execution, and the answer waits for it."""
    told = await say(system, "What's the weather in Paris tomorrow?", "weather")
    assert (told["kind"], told["status"]) == ("answer", "COMPLETED")
    assert told["outputs"]
    assert (await system.get(told["executionId"]))["status"] == "COMPLETED"


async def test_a_plan_that_is_shown_first_begins_with_a_yes(system: System) -> None:
    """The hash that was shown is the one that is confirmed."""
    begun = await say(system, "Book a table for 2 tomorrow at 9pm", "confirmed", confirm=True)
    assert begun["status"] == "AWAITING_CONFIRMATION"
    acted = await say(system, "yes", "confirmed")
    assert acted["waits"][0]["planHash"] == begun["plan"]["hash"]
    assert (await system.ended(begun["executionId"], within=30))["status"] == "COMPLETED"


async def test_what_is_done_is_taken_back_after_a_yes_and_not_before(system: System) -> None:
    """The steps whose effects stand are shown first; a no, or anything else, leaves them."""
    begun = await say(system, "Book a table for 2 tomorrow at 7pm", "undone")
    execution = begun["executionId"]
    await system.ended(execution, within=30)
    for answer in ("no", "status"):
        shown = await say(system, "cancel my booking", "undone")
        assert (shown["kind"], shown["questions"][0]["field"]) == ("clarification", "take_back")
        assert "reserve_table" in shown["text"]
        await say(system, answer, "undone")
    assert (await say(system, "yes", "undone"))["text"] == "Nothing waits for a yes or no here."
    assert await system.effects(execution) == {"reserve_table": 1, "send_message": 1}
    await say(system, "cancel it", "undone")
    acted = await say(system, "yes", "undone")
    assert (acted["kind"], acted["action"]) == ("acted", "compensate")
    await taken_back(system, execution)
    again = await say(system, "cancel it", "undone")
    assert (again["kind"], again["text"]) == ("answer", "It is over already (COMPENSATED); nothing was cancelled.")


async def taken_back(system: System, execution: str) -> None:
    """Wait until nothing of it stands."""

    async def undone() -> bool:
        return bool((await system.get(execution))["status"] == "COMPENSATED")

    await until(undone, within=30, describe=f"{execution} is taken back")
    assert {row["standing"] for row in await system.effect_rows(execution)} == {0}


async def test_what_was_begun_is_changed_after_a_yes(system: System) -> None:
    """The other table is shown, then taken in place of the first one."""
    begun = await say(system, "Book a table for 2 tomorrow at 7pm", "changed")
    first = begun["executionId"]
    await system.ended(first, within=30)
    shown = await say(system, "actually make it 8pm", "changed")
    assert (shown["kind"], shown["words"]) == ("clarification", "Book a table for 2 tomorrow at 8pm")
    second = await say(system, "yes", "changed")
    assert (second["kind"], second["instead"]) == ("started", first)
    ended = await system.ended(second["executionId"], within=30)
    assert next(step for step in ended["steps"] if step["name"] == "reserve_table")["input"]["time"] == "20:00"
    await taken_back(system, first)
    assert await system.effects(second["executionId"]) == {"reserve_table": 1, "send_message": 1}


async def test_a_schedule_that_was_just_made_is_deleted(system: System) -> None:
    """It is what "it" is, and no execution before it."""
    made = await say(system, "every Friday at 6pm book a table for 2 at 8pm", "weekly")
    assert (made["kind"], made["text"].partition(":")[0]) == ("scheduled", "book a table for 2 at 8pm")
    acted = await say(system, "cancel it", "weekly")
    assert (acted["kind"], acted["scheduleId"]) == ("acted", made["id"])
    assert made["id"] not in [
        one["id"] for one in (await system.client.get(f"{system.processes['ingress'].url}/api/schedules")).json()["schedules"]
    ]
    assert (await say(system, "cancel it", "weekly"))["text"] == "Nothing was begun in this conversation."


async def test_what_was_answered_is_not_asked_again(system: System) -> None:
    """A status right behind a yes shows nothing to say yes to."""
    begun = await say(system, "Book a table for 2 tomorrow at 5pm but ask me first", "answered")
    await suspended(system, begun["executionId"])
    await say(system, "status", "answered")
    await say(system, "yes", "answered")
    told = await say(system, "status", "answered")
    assert told.get("waits", []) == []
    assert (await system.ended(begun["executionId"], within=30))["status"] == "COMPLETED"


async def test_another_users_conversation_is_as_good_as_none(system: System) -> None:
    """The same name, another user: nothing is open, nothing waits."""
    begun = await say(system, "Book a table for 2 tomorrow at 6pm but ask me first", "foreign")
    await suspended(system, begun["executionId"])
    await say(system, "status", "foreign")
    told = await say(system, "yes", "foreign", userId="somebody-else")
    assert (told["kind"], told["text"]) == ("answer", "Nothing waits for a yes or no here.")
    assert (await say(system, "status", "foreign", userId="somebody-else"))["text"].startswith("Nothing was begun")
    assert await system.effects(begun["executionId"]) == {}
    assert (await say(system, "no", "foreign"))["action"] == "reject"
    assert (await system.ended(begun["executionId"], within=30))["status"] != "COMPLETED"
