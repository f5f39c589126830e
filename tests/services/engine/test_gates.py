"""Gates at the edges: who may pause what, what is shown to whom, and that all of it is on record."""

from typing import Any

import pytest
from redis.asyncio import Redis

from services.ingress.edge import Deps
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import configured
from tests.support.valkey import Valkey

ACME = {"Authorization": f"Bearer {KEY}"}
OTHER = {"Authorization": "Bearer key-of-other-0123456789"}
LOCAL: dict[str, str] = {}
"""A trusted address without a key: the local tenant, which operates in local mode."""


async def ask(site: Site, method: str, path: str, who: dict[str, str], body: Any = None) -> Any:
    """A good answer's body."""
    answer = await site.call("ingress", method, path, json=body, headers=who)
    assert answer.is_success, answer.text
    return answer.json()


async def shown(site: Site, who: dict[str, str]) -> list[str]:
    """The names of the gates that somebody sees."""
    return [gate["gate"] for gate in (await ask(site, "GET", "/api/gates", who))["gates"]]


async def test_an_operator_pauses_a_tool_for_everybody(site: Site) -> None:
    """Everybody sees that; who it was and what was said before is the operators' to see."""
    gate = await ask(site, "POST", "/api/tools/book_ride/pause", LOCAL, {"reason": "the partner is down"})
    assert (gate["gate"], gate["kind"], gate["tool"], gate["reason"], gate["actor"], gate["until"]) == (
        "tool:book_ride",
        "pause",
        "book_ride",
        "the partner is down",
        "local",
        None,
    )
    found = await ask(site, "GET", "/api/gates", ACME)
    assert [(one["gate"], one["reason"], one["actor"]) for one in found["gates"]] == [
        ("tool:book_ride", "the partner is down", None)
    ]
    assert found["audit"] == []
    assert (await ask(site, "POST", "/api/tools/book_ride/resume", LOCAL))["result"] == "resumed"
    assert (await ask(site, "POST", "/api/tools/book_ride/resume", LOCAL))["result"] == "was not closed"
    found = await ask(site, "GET", "/api/gates", LOCAL)
    assert found["gates"] == []
    assert [(line["what"], line["actor"], line["reason"]) for line in found["audit"]] == [
        ("resumed", "local", ""),
        ("paused", "local", "the partner is down"),
    ]


@pytest.mark.parametrize("what", ["pause", "resume"])
async def test_who_is_no_operator_pauses_no_tool(site: Site, what: str) -> None:
    """It is everybody's; the setting is named."""
    answer = await site.call("ingress", "POST", f"/api/tools/book_ride/{what}", headers=ACME)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert "OPERATORS" in answer.json()["error"]["message"]
    assert await shown(site, LOCAL) == []


async def test_an_unknown_tool_is_not_paused(site: Site) -> None:
    """A pause that nobody would ever find is a mistake."""
    answer = await site.call("ingress", "POST", "/api/tools/book_a_ride/pause")
    assert answer.status_code == 404
    assert await shown(site, LOCAL) == []


async def test_a_tenant_pauses_itself(site: Site) -> None:
    """Nobody else sees it but the operators, and nobody else is paused."""
    gate = await ask(site, "POST", "/api/tenant/pause", ACME, {"reason": "audit"})
    assert (gate["gate"], gate["tenant"], gate["tool"]) == ("tenant:acme", "acme", None)
    assert [await shown(site, who) for who in (ACME, OTHER, LOCAL)] == [["tenant:acme"], [], ["tenant:acme"]]
    assert [line["what"] for line in (await ask(site, "GET", "/api/gates", ACME))["audit"]] == ["paused"]
    assert (await ask(site, "POST", "/api/tenant/resume", OTHER))["result"] == "was not closed"
    assert (await ask(site, "POST", "/api/tenant/resume", ACME))["result"] == "resumed"


async def test_an_open_circuit_is_shown_and_an_operator_closes_it(site: Site) -> None:
    """As many failures as the setting says open it."""
    deps: Deps = (await site.app("ingress")).state.deps
    for _ in range(site.settings.breaker_failures):
        await deps.between.gates.report("book_ride", ok=False)
    [gate] = (await ask(site, "GET", "/api/gates", ACME))["gates"]
    assert (gate["kind"], gate["tool"], gate["times"], gate["probing"]) == ("circuit", "book_ride", 1, False)
    assert gate["until"] > gate["since"]
    assert (await ask(site, "POST", "/api/tools/book_ride/resume", LOCAL))["result"] == "resumed"
    assert await shown(site, LOCAL) == []


async def test_a_body_that_is_none_is_refused(site: Site) -> None:
    """With its place."""
    for body in ({"why": "x"}, {"reason": "x" * 501}, {"reason": 1}):
        answer = await site.call("ingress", "POST", "/api/tenant/pause", json=body, headers=ACME)
        assert answer.status_code == 400
        assert "reason" in answer.text or "why" in answer.text
    assert await shown(site, LOCAL) == []


async def test_operators_are_named_by_the_setting(redis: Redis, valkey: Valkey) -> None:  # noqa: ARG001 - it empties the store
    """In local mode too; production has none by itself."""
    named = configured(**variables(valkey), OPERATORS="acme, other")
    assert named.operating_tenants == {"acme", "other"}
    assert configured(**variables(valkey)).operating_tenants == {"local"}
