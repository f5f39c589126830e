"""Dead letters at the edges: what the failure callback leaves, who may see it, what resending and discarding do."""

import base64
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.dead_letters import EXCERPT, excerpt, execution_of, letter_of, letter_of_execution
from shared.machine.events import Done, Outcome
from shared.redisdb import keys
from tests.services.engine.site import KEY, NOBODY, Site
from tests.services.engine.support import Stage, chain, staged

AUTH = {"Authorization": f"Bearer {KEY}"}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}


async def die(site: Site, execution: str, *, segment: int = 0, message: str = "msg_1", body: bytes = b"oops") -> None:
    """QStash tells that it gave a message up."""
    source = json.dumps({"executionId": execution, "segment": segment}).encode()
    callback = {
        "status": 502,
        "body": base64.b64encode(body).decode(),
        "retried": 3,
        "dlqId": f"dlq of {message}",
        "sourceMessageId": message,
        "sourceBody": base64.b64encode(source).decode(),
    }
    answer = await site.signed("resume", "/api/engine/failed", callback)
    assert answer.json() == {"result": "noted"}


async def ask(site: Site, method: str, path: str, **more: Any) -> Any:
    """A request of the tenant; its body, of a good answer."""
    answer = await site.call("ingress", method, path, headers=AUTH, **more)
    assert answer.is_success, answer.text
    return answer.json()


async def test_a_dead_message_is_listed_with_all_that_is_known(site: Site) -> None:
    """Reported twice it is one; by itself, in the list, and among its execution's."""
    execution = await site.execution()
    for _ in range(2):
        await die(site, execution, body=b"boom: Authorization: Bearer abcdefgh\x00" + b"x" * 9_000)

    [row] = (await ask(site, "GET", "/api/dlq"))["letters"]
    assert row["executionId"] == execution
    assert (row["kind"], row["executionStatus"], row["segment"], row["status"]) == ("message", "PLANNED", 0, 502)
    assert (row["messageId"], row["dlqId"], row["retried"], row["times"]) == ("msg_1", "dlq of msg_1", 3, 1)
    assert len(row["response"]) == EXCERPT
    assert row["response"].startswith("boom: Authorization: ")
    assert "abcdefgh" not in row["response"]
    assert row["at"] == row["firstAt"]
    assert await ask(site, "GET", row["links"]["self"]) == row
    assert (await ask(site, "GET", f"/api/dlq?execution={execution}"))["letters"] == [row]
    assert (await ask(site, "GET", f"/api/dlq?execution={NOBODY}"))["letters"] == []


async def test_another_tenants_letters_do_not_exist(site: Site) -> None:
    """Not to be read, resent or discarded, one by one or all."""
    await die(site, await site.execution())
    [row] = (await ask(site, "GET", "/api/dlq"))["letters"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/resend")):
        answer = await site.call("ingress", method, f"/api/dlq/{row['id']}{path}", headers=OTHER)
        assert answer.status_code == 404
    for path, field in (("resend", "resent"), ("discard", "discarded")):
        for body in ({"all": True}, {"ids": [row["id"]]}):
            answer = await site.call("ingress", "POST", f"/api/dlq/{path}", json=body, headers=OTHER)
            assert answer.json()[field] == 0
    assert (await site.call("ingress", "GET", "/api/dlq", headers=OTHER)).json() == {"letters": [], "next": None}
    assert (await ask(site, "GET", "/api/dlq"))["letters"] == [row]


async def test_pages_go_on_where_the_one_before_ended(site: Site) -> None:
    """Newest first."""
    executions = [await site.execution() for _ in range(5)]
    for execution in executions:
        await die(site, execution)
    found: list[str] = []
    before = ""
    while True:
        page = await ask(site, "GET", f"/api/dlq?limit=2&before={before}")
        found += [row["executionId"] for row in page["letters"]]
        if page["next"] is None:
            break
        before = page["next"]
    assert sorted(found) == sorted(executions)
    assert len(found) == 5


async def test_a_resend_makes_it_due_with_a_fresh_message(site: Site, redis: Redis) -> None:
    """202; the history tells who asked; the letter stays until it is discarded."""
    execution = await site.execution()
    partition = keys.partition_of(execution)
    await die(site, execution)
    await redis.delete(keys.outbox_entries(partition), keys.outbox_times(partition))
    await redis.zadd(keys.due(partition), {execution: 9e12})
    path = f"/api/dlq/{letter_of(execution, 0)}"

    answer = await site.call("ingress", "POST", f"{path}/resend", headers=AUTH)

    assert (answer.status_code, answer.json()["result"]) == (202, "resent")
    assert await redis.hlen(keys.outbox_entries(partition)) == 1
    assert (await redis.zscore(keys.due(partition), execution) or 9e12) < 9e12
    history = (await ask(site, "GET", f"/api/executions/{execution}/history"))["history"]
    assert history[-1]["detail"]["kind"] == "resend"
    assert (await ask(site, "DELETE", path))["result"] == "discarded"
    assert (await site.call("ingress", "GET", path, headers=AUTH)).status_code == 404
    assert (await site.call("ingress", "DELETE", path, headers=AUTH)).status_code == 404


async def test_a_resend_of_what_is_over_says_so_and_does_nothing(site: Site, redis: Redis) -> None:
    """With the status it ended in."""
    execution = await site.execution()
    await die(site, execution)
    await redis.hset(keys.record(execution), "status", "COMPLETED")
    before = await redis.hgetall(keys.record(execution))

    answer = await site.call("ingress", "POST", f"/api/dlq/{letter_of(execution, 0)}/resend", headers=AUTH)

    assert answer.status_code == 200
    assert (answer.json()["result"], answer.json()["status"]) == ("is over already; nothing was resent", "COMPLETED")
    assert await redis.hgetall(keys.record(execution)) == before


async def test_many_at_once(site: Site, redis: Redis) -> None:
    """Each execution is woken once, however many letters it has; what is not there is said to be not there."""
    first, second = await site.execution(), await site.execution()
    for segment in (0, 1):
        await die(site, first, segment=segment, message=f"msg_{segment}")
    await die(site, second)
    ids = [letter_of(first, 0), letter_of(first, 1), letter_of(NOBODY, 0), "nonsense"]

    found = await ask(site, "POST", "/api/dlq/resend", json={"ids": ids})
    assert found["resent"] == 2
    assert [row["result"] for row in found["results"]] == ["resent", "resent", "is not there", "is not there"]
    assert await redis.hget(keys.record(first), "inbox") == b"1"
    assert (await ask(site, "POST", "/api/dlq/resend", json={"all": True}))["resent"] == 3
    assert await redis.hget(keys.record(first), "inbox") == b"2"
    assert await ask(site, "POST", "/api/dlq/discard", json={"ids": ids}) == {"discarded": 2, "next": None}
    assert await ask(site, "POST", "/api/dlq/discard", json={"all": True}) == {"discarded": 1, "next": None}
    assert (await ask(site, "GET", "/api/dlq"))["letters"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "at"),
    [
        ("GET", "/api/dlq?limit=0", None, "limit"),
        ("GET", "/api/dlq?before=yesterday", None, "before"),
        ("GET", "/api/dlq?execution=exe_zz_1", None, "execution"),
        ("POST", "/api/dlq/resend", {}, "$"),
        ("POST", "/api/dlq/resend", {"ids": ["x"], "all": True}, "$"),
        ("POST", "/api/dlq/discard", {"ids": []}, "$.ids"),
        ("POST", "/api/dlq/discard", {"all": True, "before": "x"}, "$.before"),
        ("POST", "/api/dlq/discard", {"every": True}, "$.every"),
    ],
)
async def test_what_cannot_be_is_400_and_names_its_place(site: Site, method: str, path: str, body: Any, at: str) -> None:
    """Nothing is resent, nothing forgotten."""
    answer = await site.call("ingress", method, path, json=body, headers=AUTH)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"]["at"] == at


async def test_an_undeliverable_execution_is_listed_and_a_resend_revives_it(redis: Redis) -> None:
    """Its process dies in the middle of every segment: after the limit it is listed; a person resends; it completes."""
    stage = staged(redis, stalled=2)
    execution = await stage.create(chain(1))
    stage.store.before = dies
    for _ in range(2):
        with pytest.raises(ConnectionAbortedError):
            await stage.run(execution)
        stage.hand.forward(12_000)
    stage.store.before = None
    assert (await stage.run(execution)).result == "suspended"
    [one] = (await stage.store.letters("acme", limit=9)).letters
    assert (one.id, one.kind, one.times) == (letter_of_execution(execution), "execution", 1)
    assert (await stage.header(execution))["reason"] == "undeliverable"
    assert (await stage.run(execution)).result == "waiting"

    await stage.store.signal(execution, tenant="acme", sid="resend-1", kind="resend", payload=None)

    assert (await stage.run(execution)).result == "COMPLETED"


async def dies(_: str, __: Any) -> None:
    """The process of the segment."""
    raise ConnectionAbortedError


async def test_a_resend_while_a_segment_runs_is_found_by_it(stage: Stage) -> None:
    """No second chain; what runs goes on."""
    execution = await stage.create(chain(2))

    async def resent(start: Any, _: float) -> Outcome:
        found = await stage.store.signal(execution, tenant="acme", sid="resend-1", kind="resend", payload=None)
        assert getattr(found, "entry", 0) is None
        return Done(output={"of": start.step})

    stage.tools.acts["s0"] = resent
    assert (await stage.run(execution)).result == "COMPLETED"
    assert stage.tools.names == ["s0", "s1"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b'{"error": "no table"}', '{"error": "no table"}'),
        (b"token=abc123; retry", "token=***; retry"),
        (b'{"password": "hunter2"}', '{"password": "***"}'),
        (b"got eyJhbGciOi.J9.x", "got eyJ***"),
        (b"\xff\x00\x1bok", "\ufffd  ok"),
        ("für".encode() + b"x" * 900, "für" + "x" * 497),
    ],
)
def test_an_excerpt_is_short_readable_and_without_secrets(answer: bytes, shown: str) -> None:
    """Cut after striking out, so that half a secret does not stay."""
    assert excerpt(answer) == shown


@pytest.mark.parametrize("text", ["", "dlq_", "dlq_zz_" + "0" * 32 + "_0", "exe_00_" + "0" * 32, letter_of(NOBODY, 0) + "x"])
def test_what_is_no_letters_id(text: str) -> None:
    """Names no execution."""
    assert execution_of(text) is None
    assert execution_of(letter_of(NOBODY, -1)) == execution_of(letter_of_execution(NOBODY)) == NOBODY
