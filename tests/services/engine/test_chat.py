"""`POST /api/chat` on a real store: bodies, memory, limits and repeated messages."""

import dataclasses
import json
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from services.ingress.chat_standing import pending_of
from shared.redisdb import keys
from shared.redisdb.snapshots import Snapshot, Snapshots
from shared.redisdb.talks import TTL_S
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import Stage, configured, really
from tests.services.engine.test_actions import act, get, started, work
from tests.support.valkey import Valkey

AUTH = {"Authorization": f"Bearer {KEY}"}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}
OPEN = {"message": "Book a table for 2 tomorrow at 7", "userId": "test-user", "conversationId": "trip"}
WHOLE = {"message": "Book a table for 2 tomorrow at 7pm", "userId": "test-user"}


async def say(site: Site, body: dict[str, Any], **headers: str) -> httpx.Response:
    """One message."""
    return await site.call("ingress", "POST", "/api/chat", json=body, headers=AUTH | headers)


async def told(site: Site, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """A good answer's body."""
    answer = await say(site, body, **headers)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def count(site: Site) -> int:
    """How many executions there are."""
    answer = await site.call("ingress", "GET", "/api/executions", headers=AUTH)
    return len(answer.json()["executions"])


async def test_the_last_message_of_the_user_in_a_list_counts(site: Site) -> None:
    """Both shapes of a message, and the name that front ends give to a conversation."""
    parts = [{"type": "step-start"}, {"type": "text", "text": "7pm"}]
    listed = [
        {"role": "user", "content": OPEN["message"]},
        {"role": "assistant", "content": "?"},
        {"role": "user", "parts": parts},
    ]
    await told(site, OPEN)
    found = await told(site, {"messages": listed, "userId": "test-user", "id": "trip", "trigger": "submit-message"})
    assert found["kind"] == "started"
    assert found["conversationId"] == "trip"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "x", "messages": []},
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x" * 4_001}]},
        {"messages": [{"role": "user", "content": "x"}] * 201},
        {"message": "x", "conversationId": "a b"},
        {"message": "x", "conversationId": "a\n"},
    ],
    ids=["nothing", "both", "empty", "nobody's", "long", "many", "blank", "line end"],
)
async def test_what_is_no_message_is_refused_and_nothing_is_stored(site: Site, redis: Redis, body: dict[str, Any]) -> None:
    """With the place."""
    answer = await say(site, body)
    assert (answer.status_code, answer.json()["error"]["code"]) in {(400, "bad_request"), (400, "invalid_type")}
    assert await redis.keys("*talk*") == []


async def test_another_tenants_conversation_is_as_good_as_none(site: Site) -> None:
    """What is open there cannot be answered from here."""
    await told(site, OPEN)
    answer = await site.call("ingress", "POST", "/api/chat", json=OPEN | {"message": "7pm"}, headers=OTHER)
    assert answer.json()["kind"] == "clarification"
    assert answer.json()["questions"][0]["field"] == "intent"
    assert (await told(site, OPEN | {"message": "7pm"}))["kind"] == "started"


async def test_a_conversation_is_remembered_for_a_day(site: Site, redis: Redis) -> None:
    """From its latest message on."""
    await told(site, OPEN)
    assert TTL_S - 60 < await redis.ttl(keys.talk("acme", "test-user", "trip")) <= TTL_S


async def test_a_message_that_is_sent_again_begins_nothing_again(site: Site) -> None:
    """Also when what it answered is no longer open; another message under the key is refused."""
    await told(site, OPEN)
    answer = OPEN | {"message": "7pm"}
    first = await told(site, answer, **{"Idempotency-Key": "k1"})
    again = await told(site, answer, **{"Idempotency-Key": "k1"})
    assert (again["executionId"], again["repeated"]) == (first["executionId"], True)
    assert await count(site) == 1
    other = await say(site, answer | {"message": "8pm"}, **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


async def test_a_key_alone_finds_its_conversation(site: Site) -> None:
    """A first message that is sent again has no other name for it."""
    one, two = [await told(site, WHOLE, **{"Idempotency-Key": "k2"}) for _ in range(2)]
    assert (one["executionId"], one["conversationId"]) == (two["executionId"], two["conversationId"])
    assert await count(site) == 1


async def test_a_question_that_is_asked_again_is_answered_alike(site: Site) -> None:
    """Under its key, to the letter."""
    one, two = [await told(site, OPEN, **{"Idempotency-Key": "k3"}) for _ in range(2)]
    assert one == two


async def test_too_many_messages_of_a_user_are_refused_with_the_time_to_wait(redis: Redis, valkey: Valkey) -> None:  # noqa: ARG001
    """Another user may go on, until the tenant has too many."""
    limits = {"CHAT_PER_MINUTE": "2", "CHAT_TENANT_PER_MINUTE": "4"}
    async with AsyncExitStack() as stack:
        site = Site(configured(**variables(valkey), **limits), stack)
        said = [(await say(site, {"message": "help", "userId": user})).status_code for user in ("ann", "ann", "bob")]
        assert said == [200, 200, 200]
        refused = await say(site, {"message": "help", "userId": "ann"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "chat_limit")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert (await say(site, {"message": "help", "userId": "eve"})).status_code == 429


async def test_a_question_is_a_stream_of_one_event(site: Site) -> None:
    """There is nothing to follow."""
    answer = await say(site, OPEN, Accept="text/event-stream")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    head, data = answer.text.strip().split("\n")
    assert head == "event: clarification"
    assert json.loads(data.removeprefix("data: "))["questions"][0]["candidates"] == ["07:00", "19:00"]


async def test_a_stream_of_what_does_not_move_ends_with_where_to_look(redis: Redis, valkey: Valkey) -> None:  # noqa: ARG001
    """Nobody executes here; the stream is bounded all the same."""
    async with AsyncExitStack() as stack:
        limits = {"CHECKPOINT_MS": "300", "STEP_CUTOFF_MS": "400", "HARD_LIMIT_MS": "1000"}
        site = Site(configured(**variables(valkey), **limits), stack)
        answer = await say(site, WHOLE, Accept="text/event-stream")
    parts = [dict(line.split(": ", 1) for line in part.splitlines()) for part in answer.text.strip().split("\n\n")]
    assert [part["event"] for part in parts][:: len(parts) - 1] == ["plan", "open"]
    assert json.loads(parts[-1]["data"])["links"]["history"].endswith("/history")


async def test_what_is_over_is_not_cancelled(site: Site) -> None:
    """Only the latest of the conversation, and only while it is not over."""
    begun = await told(site, WHOLE | {"conversationId": "gone"})
    first = await told(site, {"message": "cancel it", "userId": "test-user", "conversationId": "gone"})
    assert (first["kind"], first["action"], first["executionId"]) == ("acted", "cancel", begun["executionId"])
    status = await told(site, {"message": "status", "userId": "test-user", "conversationId": "gone"})
    assert status["executionId"] == begun["executionId"]


async def test_a_user_whose_id_is_no_name_may_chat(site: Site) -> None:
    """It is data; it only is not written down as who acts."""
    assert (await told(site, {"message": "help", "userId": "\u200b" * 150}))["kind"] == "answer"


async def test_what_can_be_done_is_what_there_are_tools_for(site: Site) -> None:
    """By the names of the domains."""
    assert "table" in (await told(site, {"message": "What can you do?"}))["text"]


async def test_a_plan_that_was_confirmed_is_not_shown_for_a_yes_again(site: Site) -> None:
    """Also before anybody has taken the yes up: nobody executes here."""
    about = {"userId": "test-user", "conversationId": "confirmed"}
    begun = await told(site, {"message": "Book a table for 2 tomorrow at 9pm", "confirm": True} | about)
    assert begun["status"] == "AWAITING_CONFIRMATION"
    shown = await told(site, {"message": "status"} | about)
    assert [one["planHash"] for one in shown["waits"]] == [begun["plan"]["hash"]]
    assert (await told(site, {"message": "yes"} | about))["action"] == "confirm"
    assert (await told(site, {"message": "status"} | about))["waits"] == []


class TakenUp(Snapshots):
    """Reads as it is; a segment runs right before the read of an inbox, or right behind it."""

    def __init__(self, redis: Redis, stage: Stage, *, before: bool) -> None:
        super().__init__(redis)
        self._stage, self._before = stage, before

    async def load(self, execution: str, tenant: str) -> Snapshot:
        """As it stands then."""
        if self._before:
            await self._stage.run(execution)
        found = await super().load(execution, tenant)
        if not self._before:
            await self._stage.run(execution)
        return found


@pytest.mark.parametrize("before", [True, False])
async def test_an_answer_that_is_taken_up_between_two_reads_is_not_asked_for_again(
    site: Site, redis: Redis, *, before: bool
) -> None:
    """One read finds it in the inbox, another one in the execution; whichever comes first."""
    stage = really(redis)
    execution = await started(site, work("a", approve={"message": "sure?"}))
    await stage.run(execution)
    deps = (await site.app("ingress")).state.deps
    [asked] = await pending_of(deps, "acme", [execution])
    await act(site, execution, "approve", step=asked.step, argsHash=asked.hash)
    meanwhile = dataclasses.replace(deps, snapshots=TakenUp(redis, stage, before=before))
    assert await pending_of(meanwhile, "acme", [execution]) == ()
    assert (await get(site, execution))["status"] == "COMPLETED"
