"""Words that only a model can plan, on real processes: accepted at once, planned in a segment, and never done twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import Response

from tests.services.engine.scripted_model import KEY, QUESTION, TABLE, Script, refuses, says, scripted
from tests.services.engine.support import Taken
from tests.system.harness import QUICK, System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("planning")]

FLAWED = TABLE | {"steps": [TABLE["steps"][0] | {"tool": "rm_rf"}]}
SLOW = asyncio.Event()
"""Until the test lets it answer."""
HEARD: list[str] = []
"""Words, once for each call."""


async def model(request: Taken) -> Response:
    """What it says depends on the words, and for some on how often it heard them."""
    words = json.loads(json.loads(request.body)["messages"][1]["content"])["words"]
    HEARD.append(words)
    times = HEARD.count(words)
    if "flawed" in words and times == 1:
        return await says(FLAWED)(request)
    if "busy" in words and times == 1:
        return await refuses(503)(request)
    if "broken" in words:
        return await refuses(401)(request)
    if "vague" in words and "the four of us" not in words:
        return await says(QUESTION)(request)
    if "slow" in words and times == 1:
        await SLOW.wait()
    return await says(TABLE)(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thinking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[System, Script]]:
    """A system with a model, and what that was asked."""
    folder: Path = tmp_path_factory.mktemp("planning")
    async with scripted(model) as (url, script):
        settings = {"LLM_BASE_URL": url, "LLM_MODEL": "small", "LLM_API_KEY": KEY}
        async with System(folder, **QUICK, **settings) as running:
            yield running, script
        SLOW.set()


async def asked(system: System, words: str, *, key: str = "", **more: Any) -> dict[str, Any]:
    """Words for the model; what their caller was answered."""
    body = {"intent": words, "userId": "test-user", **more}
    answer = await system.post("/api/execute", body, **({"Idempotency-Key": key} if key else {}))
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_what_the_rules_can_plan_asks_no_model(thinking: tuple[System, Script]) -> None:
    """And has its plan in the answer."""
    system, _ = thinking
    before = len(HEARD)
    told = await asked(system, "Book a table for 2 tomorrow at 7pm")
    assert told["status"] == "PLANNED"
    assert told["plan"]["steps"]
    assert len(HEARD) == before


@pytest.mark.parametrize("words", ["something nice, once", "something flawed, then mended", "something while you are busy"])
async def test_words_are_accepted_at_once_and_planned_and_done(thinking: tuple[System, Script], words: str) -> None:
    """RECEIVED first; the effect is there once at the end, however often the model was asked."""
    system, script = thinking
    told = await asked(system, words)
    assert (told["status"], told["plan"]) == ("RECEIVED", None)
    ended = await system.ended(told["id"], within=30)
    assert ended["status"] == "COMPLETED"
    assert ended["plan"]["summary"] == "Reserve a table for two."
    assert await system.effects(told["id"]) == {"table": 1}
    lines = [line for line in await system.history(told["id"]) if line["event"] == "planning.answered"]
    assert [line["detail"]["said"] for line in lines][-1] == "plan"
    assert len(lines) == HEARD.count(words)
    assert KEY not in json.dumps([ended, await system.history(told["id"])])
    assert {f"Bearer {KEY}"} == set(script.keys)


async def test_the_same_key_is_the_same_execution(thinking: tuple[System, Script]) -> None:
    """Planned once."""
    system, _ = thinking
    first = await asked(system, "something keyed", key="k1")
    again = await asked(system, "something keyed", key="k1")
    assert (again["id"], again["repeated"]) == (first["id"], True)
    await system.ended(first["id"], within=30)
    assert HEARD.count("something keyed") == 1


async def test_a_plan_of_the_model_can_be_signed(thinking: tuple[System, Script]) -> None:
    """Nothing is done before the yes to its hash."""
    system, _ = thinking
    told = await asked(system, "something to be signed", confirm=True)

    async def planned() -> dict[str, Any] | None:
        found = await system.get(told["id"])
        return found if found["status"] == "AWAITING_CONFIRMATION" else None

    found = await until(planned, within=20, describe="the plan waits for a yes")
    assert await system.effects(told["id"]) == {}
    yes = await system.post(f"/api/executions/{told['id']}/confirm", {"planHash": found["plan"]["hash"]})
    assert yes.status_code == 202, yes.text
    assert (await system.ended(told["id"], within=20))["status"] == "COMPLETED"
    assert await system.effects(told["id"]) == {"table": 1}


@pytest.mark.parametrize(("words", "field"), [("something vague", "people"), ("something broken", "intent")])
async def test_questions_are_in_the_record(thinking: tuple[System, Script], words: str, field: str) -> None:
    """The model's, or the rules' where no model answers; and nothing can be reopened, for there was no plan."""
    system, _ = thinking
    told = await asked(system, words)
    ended = await system.ended(told["id"], within=20)
    assert ended["status"] == "REJECTED"
    assert [question["field"] for question in ended["questions"]] == [field]
    path = f"/api/executions/{told['id']}"
    for action in ("restart", "retry", "compensate"):
        refused = await system.post(f"{path}/{action}", {"version": ended["version"]})
        assert refused.status_code == 409, (action, refused.text)


async def said(system: System, message: str, conversation: str) -> dict[str, Any]:
    """The answer to a message of a conversation."""
    body = {"message": message, "userId": "test-user", "conversationId": conversation}
    answer = await system.post("/api/chat", body)
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_the_answer_to_a_models_question_goes_on_with_the_same_words(thinking: tuple[System, Script]) -> None:
    """The model is told what it asked and what was answered; a second execution does it, and the first one did nothing."""
    system, _ = thinking
    first = await said(system, "something vague in a chat", "vague")
    assert (first["kind"], first["status"], first["questions"][0]["field"]) == ("clarification", "REJECTED", "people")
    assert first["text"].endswith(first["questions"][0]["question"])
    second = await said(system, "the four of us", "vague")
    assert second["kind"] == "started"
    assert (await system.ended(second["executionId"], within=30))["status"] == "COMPLETED"
    assert HEARD[-1].splitlines() == ["something vague in a chat", first["questions"][0]["question"], "the four of us"]
    assert await system.effects(second["executionId"]) == {"table": 1}
    assert await system.effects(first["executionId"]) == {}


async def test_an_answer_that_the_model_asks_about_again_keeps_all_that_was_said(thinking: tuple[System, Script]) -> None:
    """And "never mind" drops it."""
    system, _ = thinking
    await said(system, "something vague again", "again")
    second = await said(system, "us", "again")
    assert second["kind"] == "clarification"
    assert HEARD[-1].splitlines()[::2] == ["something vague again", "us"]
    dropped = await said(system, "never mind", "again")
    assert (dropped["kind"], dropped["text"]) == ("answer", "All right, that is dropped. Nothing was done.")


async def test_a_stream_ends_with_what_the_model_asks(thinking: tuple[System, Script]) -> None:
    """The next message answers it."""
    system, _ = thinking
    body = {"message": "something vague, streamed", "userId": "test-user", "conversationId": "streamed"}
    answer = await system.post("/api/chat", body, Accept="text/event-stream")
    last = answer.text.strip().split("\n\n")[-1]
    assert last.startswith("event: clarification\n")
    assert (await said(system, "the four of us", "streamed"))["kind"] == "started"


async def test_what_looks_like_a_reference_never_reaches_the_model(thinking: tuple[System, Script]) -> None:
    """It is asked about at once."""
    system, _ = thinking
    answer = await system.post("/api/execute", {"intent": "say ${table.id} somehow", "userId": "test-user"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "clarification_needed")
    assert not [words for words in HEARD if "${" in words]


async def test_an_executor_that_is_killed_while_the_model_thinks_costs_one_call(thinking: tuple[System, Script]) -> None:
    """The next one asks again; the effect is there once."""
    system, _ = thinking
    told = await asked(system, "something slow")

    async def heard() -> bool | None:
        return HEARD.count("something slow") == 1 or None

    await until(heard, within=20, describe="the model thinks")
    await system.restart("step_executor")
    ended = await system.ended(told["id"], within=40)
    assert ended["status"] == "COMPLETED"
    assert await system.effects(told["id"]) == {"table": 1}
    assert HEARD.count("something slow") == 2
    SLOW.set()


async def test_it_can_be_cancelled_while_the_model_thinks(thinking: tuple[System, Script]) -> None:
    """What the model says then is not done."""
    system, _ = thinking
    SLOW.clear()
    told = await asked(system, "something slow to be cancelled")

    async def heard() -> bool | None:
        return HEARD.count("something slow to be cancelled") == 1 or None

    await until(heard, within=20, describe="the model thinks")
    cancelled = await system.post(f"/api/executions/{told['id']}/cancel", {})
    assert cancelled.status_code == 202, cancelled.text
    SLOW.set()
    assert (await system.ended(told["id"], within=30))["status"] == "CANCELLED"
    assert await system.effects(told["id"]) == {}
