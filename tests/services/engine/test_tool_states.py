"""How tools do, and what is on record of their gates: for operators, and for everybody else."""

import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from services.ingress.edge import Deps
from shared.forecast import Usual
from shared.gate_ports import circuit
from shared.machine.plan import Effect
from shared.tools.registry import Call
from tests.services.engine.site import Site, variables
from tests.services.engine.support import configured
from tests.services.engine.test_gates import ACME, LOCAL, OTHER, ask
from tests.support.valkey import Valkey


async def state(site: Site, tool: str, who: dict[str, str] = ACME) -> dict[str, Any]:
    """Of one tool, as somebody sees it."""
    found = await ask(site, "GET", "/api/tools/state", who)
    [one] = [one for one in found["tools"] if one["name"] == tool]
    return dict(one)


async def record(site: Site, who: dict[str, str], **query: Any) -> list[tuple[str, str, str | None]]:
    """What was done to which gate, and by whom, as somebody sees it."""
    said = "&".join(f"{name}={value}" for name, value in query.items())
    found = await ask(site, "GET", f"/api/gates/audit?{said}", who)
    return [(line["what"], line["gate"], line["actor"]) for line in found["audit"]]


async def deps_of(site: Site) -> Deps:
    """Of ingress."""
    found: Deps = (await site.app("ingress")).state.deps
    return found


async def test_a_tool_of_which_nobody_has_told_stands_there_without_numbers(site: Site) -> None:
    """Closed, since nobody knows when; every tool of the list is there."""
    listed = await ask(site, "GET", "/api/tools", ACME)
    found = await ask(site, "GET", "/api/tools/state", ACME)
    assert [one["name"] for one in found["tools"]] == [one["name"] for one in listed["tools"]]
    assert (found["operates"], found["paused"]) == (False, None)
    one = await state(site, "book_ride")
    assert (one["latency"], one["paused"]) == (None, None)
    assert (one["breaker"]["state"], one["breaker"]["since"], one["breaker"]["failuresInARow"]) == ("closed", None, 0)


async def test_latencies_are_those_that_an_executor_has_told(site: Site) -> None:
    """With how many calls they are of; what an older executor told has no 95th percentile."""
    now_ms = time.time_ns() // 1_000_000
    usual = Usual(typical_ms=40, p95_ms=90, p99_ms=120, calls=100, at_ms=now_ms)
    await (await deps_of(site)).latencies.note({"book_ride": usual, "post_letter": Usual(typical_ms=7)})
    found = (await state(site, "book_ride"))["latency"]
    assert (found["p50Ms"], found["p95Ms"], found["p99Ms"], found["calls"]) == (40, 90, 120, 100)
    assert found["at"] is not None
    found = (await state(site, "post_letter"))["latency"]
    assert (found["p50Ms"], found["p95Ms"], found["p99Ms"], found["at"]) == (7, None, None, None)


@pytest.mark.parametrize("prefer", ["", "respond-async"], ids=["a segment that was answered", "a segment in the background"])
async def test_an_executor_that_ends_tells_what_it_has_measured(redis: Redis, valkey: Valkey, prefer: str) -> None:  # noqa: ARG001 - it empties the store
    """Before its ten seconds are up, with the calls that it ends only now."""
    settings = configured(**variables(valkey), TOOLS="tests.tools.own_tools", SECRET_CRM_TOKEN="crm-token-42")
    async with AsyncExitStack() as outer, AsyncExitStack() as inner:
        site, ending = Site(settings, outer), Site(settings, inner)
        plan = {"steps": [{"name": "a", "tool": "buy_bread", "args": {}}]}
        taken = await ask(site, "POST", "/api/execute", ACME, {"plan": plan})
        body = {"executionId": taken["id"], "segment": 0, "reason": "start"}
        answer = await ending.signed("step_executor", "/api/engine/execute-step", body, internal=True, prefer=prefer)
        assert answer.status_code == (202 if prefer else 200), answer.text
        assert (await state(site, "buy_bread"))["latency"] is None
        await inner.aclose()
        assert (await state(site, "buy_bread"))["latency"]["calls"] == 1


async def test_failures_count_up_until_the_circuit_opens_and_a_good_probe_closes_it(site: Site) -> None:
    """Each state with its time; opening and closing are on record, for everybody."""
    deps = await deps_of(site)
    gates, store = deps.between.gates, deps.between.gate_store
    for _ in range(site.settings.breaker_failures - 1):
        await gates.report("book_ride", ok=False)
    found = (await state(site, "book_ride"))["breaker"]
    counted = site.settings.breaker_failures - 1
    assert (found["state"], found["failuresInARow"], found["failed"], found["ofCalls"]) == ("closed", counted, counted, counted)
    await gates.report("book_ride", ok=False)
    found = (await state(site, "book_ride"))["breaker"]
    assert (found["state"], found["times"], found["reason"]) == (
        "open",
        1,
        f"{site.settings.breaker_failures} calls in a row failed",
    )
    assert found["until"] > found["since"]
    gate = (await store.closed())[circuit("book_ride")]
    store.now_ms = gate.until_ms
    assert (await state(site, "book_ride"))["breaker"]["state"] == "half-open"
    assert await store.probe("book_ride", token="a") == 0
    found = (await state(site, "book_ride"))["breaker"]
    assert (found["state"], found["until"]) == ("half-open", None)
    await store.succeeded("book_ride")
    found = (await state(site, "book_ride"))["breaker"]
    assert (found["state"], found["failuresInARow"]) == ("closed", 0)
    assert found["since"] is not None
    lines = [("closed", "circuit:book_ride", None), ("opened", "circuit:book_ride", None)]
    for who in (ACME, OTHER, LOCAL):
        assert await record(site, who) == lines


async def test_a_paused_tool_is_shown_to_all_and_who_paused_it_to_operators(site: Site) -> None:
    """The person that the request names is on record with its tenant."""
    await ask(site, "POST", "/api/tools/book_ride/pause", LOCAL | {"X-Actor": "ann"}, {"reason": "strike"})
    assert (await state(site, "book_ride", LOCAL))["paused"]["actor"] == "local/ann"
    found = (await state(site, "book_ride", ACME))["paused"]
    assert (found["reason"], found["actor"]) == ("strike", None)
    assert (await ask(site, "GET", "/api/tools/state", LOCAL))["operates"] is True
    await ask(site, "POST", "/api/tools/book_ride/resume", LOCAL | {"X-Actor": "bob"}, {"reason": "over"})
    assert await record(site, LOCAL) == [
        ("resumed", "tool:book_ride", "local/bob"),
        ("paused", "tool:book_ride", "local/ann"),
    ]
    assert await record(site, ACME) == []


async def test_a_tenant_reads_its_own_pauses(site: Site) -> None:
    """And no other's; an operator reads all."""
    await ask(site, "POST", "/api/tenant/pause", ACME, {"reason": "audit"})
    assert (await ask(site, "GET", "/api/tools/state", ACME))["paused"]["reason"] == "audit"
    assert (await ask(site, "GET", "/api/tools/state", OTHER))["paused"] is None
    assert await record(site, ACME) == await record(site, LOCAL) == [("paused", "tenant:acme", "acme")]
    assert await record(site, OTHER) == []


async def test_the_record_is_read_in_pages_and_of_one_tool(site: Site) -> None:
    """Lines of one moment too come once each; a cursor that is none is refused."""
    store = (await deps_of(site)).between.gate_store
    store.now_ms = time.time_ns() // 1_000_000
    for tool in ("book_ride", "post_letter", "book_ride"):
        await ask(site, "POST", f"/api/tools/{tool}/pause", LOCAL, {"reason": "x"})
        await ask(site, "POST", f"/api/tools/{tool}/resume", LOCAL)
    seen: list[tuple[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        found = await ask(site, "GET", f"/api/gates/audit?limit=4&before={cursor}", LOCAL)
        seen += [(line["what"], line["gate"]) for line in found["audit"]]
        cursor = found["next"]
    pair = [("resumed", "tool:book_ride"), ("paused", "tool:book_ride")]
    assert seen == [*pair, ("resumed", "tool:post_letter"), ("paused", "tool:post_letter"), *pair]
    assert len(await record(site, LOCAL, tool="book_ride")) == 4
    for wrong in ("x", "1-", "-1", "1" * 40 + "-0"):
        answer = await site.call("ingress", "GET", f"/api/gates/audit?before={wrong}")
        assert (answer.status_code, answer.json()["error"]["details"]["at"]) == (400, "before")


async def test_the_circuit_of_a_server_is_closed_by_the_servers_name(site: Site) -> None:
    """All of its tools share it. A server is no tool: nobody would find a pause of it."""

    async def open_ticket(call: Call, *, title: str) -> str:  # noqa: ARG001 - a tool's shape
        """Open a ticket."""
        return title

    deps = await deps_of(site)
    for name in ("desk.open", "desk.find"):
        deps.registry.add(open_ticket, effect=Effect.PURE, name=name)
    for _ in range(site.settings.breaker_failures):
        await deps.between.gates.report("desk.open", ok=False)
    for name in ("desk.open", "desk.find"):
        breaker = (await state(site, name))["breaker"]
        assert (breaker["name"], breaker["state"]) == ("desk", "open")
    assert (await ask(site, "POST", "/api/tools/desk/resume", LOCAL))["result"] == "resumed"
    assert (await state(site, "desk.find"))["breaker"]["state"] == "closed"
    assert (await site.call("ingress", "POST", "/api/tools/desk/pause")).status_code == 404
