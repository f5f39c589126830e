"""Events at the edges: by name and key to whoever waits, or to one execution; once for an id, durable with the answer."""

from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from services.ingress.edge import Deps
from shared.event_ports import DATA_MOST, EVENTS_MOST
from shared.ports import Entry
from shared.redisdb import keys
from shared.redisdb.store import INBOX_LIMIT
from tests.services.engine.site import KEY, NOBODY, Site
from tests.support.meetings import event
from tests.support.waiting import eventually

AUTH = {"Authorization": f"Bearer {KEY}"}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}
PATH = "/api/events/order.paid"


async def post(site: Site, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """A request of the tenant; status and body."""
    answer = await site.call("ingress", "POST", path, json=body, headers=AUTH | headers)
    return answer.status_code, answer.json()


async def deps_of(site: Site) -> Deps:
    """Ingress's parts."""
    found: Deps = (await site.app("ingress")).state.deps
    return found


async def waiting(site: Site, *, key: str = "17", tenant: str = "acme") -> str:
    """An execution that waits for that order."""
    execution = await site.execution()
    payload = {"tenant": tenant, "name": "order.paid", "key": key, "wait": "paid"}
    entry = Entry(id="e", execution=execution, segment=0, reason="", kind="subscribe", payload=payload)
    await (await deps_of(site)).between.event_relay.subscribe(entry)
    return execution


async def told(site: Site, execution: str) -> int:
    """How many signals its history tells of."""
    answer = await site.call("ingress", "GET", f"/api/executions/{execution}/history", headers=AUTH)
    return sum(line["event"] == "signal.received" for line in answer.json()["history"])


async def test_a_published_event_reaches_who_waits_for_its_key(site: Site) -> None:
    """And nobody else; again under its id it is the same."""
    one, two, other = await waiting(site), await waiting(site), await waiting(site, key="18")
    body = {"key": "17", "data": {"sum": 12}, "id": "evt_1"}
    assert await post(site, PATH, body) == (202, {"id": "evt_1", "name": "order.paid", "key": "17", "woken": 2})
    for execution in (one, two):
        await eventually(partial(told, site, execution), describe="the event is in the inbox")
    status, answer = await post(site, PATH, body)
    assert (status, answer["id"]) == (202, "evt_1")
    assert [await told(site, execution) for execution in (one, two, other)] == [1, 1, 0]


async def test_an_early_event_waits_for_who_comes(site: Site) -> None:
    """Within a day. Its id is the Idempotency-Key, or a fresh one."""
    assert (await post(site, PATH, {"key": "17"}, **{"Idempotency-Key": "call 1"}))[1]["id"] == "call 1"
    fresh = [(await post(site, PATH, {"key": "17"}))[1]["id"] for _ in range(2)]
    assert len(set(fresh)) == 2
    assert await told(site, await waiting(site)) == 3


async def test_a_step_that_waits_for_a_key_gets_its_event(site: Site, redis: Redis) -> None:
    """From the plan to the end: the step's own subscription, the event by key, and what the next step would get."""
    steps = [{"name": "paid", "wait": {"events": [{"name": "order.paid", "key": "17"}], "timeout_ms": 60_000}}]
    execution = (await post(site, "/api/execute", {"plan": {"steps": steps}}))[1]["id"]
    message = {"executionId": execution, "segment": 0, "reason": "created"}
    assert (await site.signed("step_executor", "/api/engine/execute-step", message)).status_code == 200

    async def ended() -> Any:
        await site.signed("step_executor", "/api/engine/execute-step", message | {"segment": 1})
        found = await site.call("ingress", "GET", f"/api/executions/{execution}", headers=AUTH)
        return found.json() if found.json()["status"] == "COMPLETED" else None

    assert (await post(site, PATH, {"key": "17", "data": {"sum": 12}}))[0] == 202
    found = await eventually(ended, describe="the event has ended the wait")
    assert found["steps"][0]["output"] == {"name": "order.paid", "key": "17", "data": {"sum": 12}}

    async def left() -> bool:
        return not await redis.exists(keys.waiters(keys.identity("acme", "order.paid", "17")))

    await eventually(left, describe="it waits no longer")


async def test_another_tenants_event_is_another(site: Site) -> None:
    """Same name, same key, same id."""
    execution = await waiting(site)
    answer = await site.call("ingress", "POST", PATH, json={"key": "17", "id": "x"}, headers=OTHER)
    assert (answer.status_code, answer.json()["woken"]) == (202, 0)
    assert (await post(site, PATH, {"key": "17", "id": "x", "data": 1}))[1]["woken"] == 1
    await eventually(lambda: told(site, execution), describe="the event is in the inbox")


async def test_one_execution_is_told_directly(site: Site) -> None:
    """Once for an id; over or not there is said so."""
    execution = await site.execution()
    path = f"/api/executions/{execution}/events/order.paid"
    assert await post(site, path, {"data": 1, "id": "evt_1"}) == (
        202,
        {"executionId": execution, "id": "evt_1", "name": "order.paid", "result": "accepted"},
    )
    assert (await post(site, path, {"data": 1}, **{"Idempotency-Key": "evt_1"}))[1]["result"] == "was sent before"
    assert (await post(site, path))[0] == 202
    assert await told(site, execution) == 2
    assert (await post(site, f"/api/executions/{NOBODY}/events/order.paid"))[0] == 404
    assert (await site.call("ingress", "POST", path, headers=OTHER)).status_code == 404


async def test_a_full_inbox_takes_no_more(site: Site) -> None:
    """The sender is told to come back."""
    execution = await site.execution()
    store = (await deps_of(site)).store
    for number in range(INBOX_LIMIT):
        await store.signal(execution, tenant="acme", sid=f"{number}", kind="event", payload=None)
    status, answer = await post(site, f"/api/executions/{execution}/events/order.paid")
    assert (status, answer["error"]["code"]) == (429, "inbox_full")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/events/a b", {}, 400, "is no name of an event"),
        (PATH, {"key": "x" * 256}, 400, "$.key"),
        (PATH, {"key": 17}, 400, "$.key"),
        (PATH, {"id": ""}, 400, "$.id"),
        (PATH, {"id": "a\nb"}, 400, "$.id"),
        (PATH, {"data": "x" * DATA_MOST}, 413, "$.data"),
        (PATH, {"to": "x"}, 400, "to"),
    ],
)
async def test_what_is_no_event_is_refused_with_its_place(site: Site, path: str, body: Any, status: int, words: str) -> None:
    """To a key and to an execution; nothing is stored."""
    execution = await site.execution()
    for where in (path, path.replace("/api/events", f"/api/executions/{execution}/events")):
        if "key" in body and where != path:
            continue
        found, answer = await post(site, where, body)
        assert found == status, answer
        assert words in answer["error"]["message"]
    assert await told(site, execution) == 0


async def test_an_id_with_other_data_is_a_conflict_and_a_full_key_is_said_so(site: Site) -> None:
    """409 and 429."""
    for number in range(EVENTS_MOST):
        assert (await post(site, PATH, {"id": f"{number}"}))[0] == 202
    status, answer = await post(site, PATH, {"id": "0", "data": 1})
    assert (status, answer["error"]["code"]) == (409, "conflict")
    status, answer = await post(site, PATH, {"id": "more"})
    assert (status, answer["error"]["code"]) == (429, "too_many_events")


async def test_the_watchdog_of_resume_delivers_what_ingress_left(site: Site) -> None:
    """The deliveries are durable with the 202."""
    execution = await waiting(site)
    await (await deps_of(site)).between.event_relay.publish(event())
    resume = await site.app("resume")
    assert await told(site, execution) == 0

    async def swept() -> int:
        await resume.state.deps.watchdog.sweep()
        return await told(site, execution)

    await eventually(swept, describe="the watchdog delivers it")
    assert await told(site, execution) == 1
