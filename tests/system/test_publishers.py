"""Programs of a tenant that publish on Ably: with keys that may do only that, on real processes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.errors import BadRequest
from shared.mesh import CONTINUE
from shared.publisher import NotPublished, TenantPublisher
from shared.settings import DEV_ABLY_KEY
from tests.system.command_line import around, run
from tests.system.conftest import webhook_rule
from tests.system.harness import QUICK, System, until

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

ACME, PAYMENT = "local.acme:secret-of-acmes-own-programs", "local.pay:secret-of-acmes-payment-provider"
TENANTS = {"acme": "key-of-acme-0123456789", "other": "key-of-other-0123456789"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Two tenants, and keys at Ably for two publishers of one of them."""
    made = System(
        tmp_path_factory.mktemp("publishers"),
        **QUICK,
        API_KEYS=",".join(f"{tenant}:{key}" for tenant, key in TENANTS.items()),
        ABLY_WEBHOOK_KEYS=DEV_ABLY_KEY,
        ABLY_DEV_KEYS=json.dumps({ACME: {"mesh:resume:acme": ["publish"]}, PAYMENT: {"mesh:resume:acme:payment": ["publish"]}}),
    )
    made.environ["ABLY_DEV_RULES"] = webhook_rule(made)
    async with made as running:
        yield running


def publisher(system: System, key: str, tenant: str = "acme", *, only: str = "") -> TenantPublisher:
    """As a tenant's program makes it."""
    return TenantPublisher(key, tenant, only=only, url=system.environ["ABLY_URL"])


async def waiting(system: System, tenant: str = "acme", event: str = "payment", **address: str) -> str:
    """An execution that waits for an event."""
    plan = {"steps": [{"name": "paid", "wait": {"events": [{"name": event, **address}]}}]}
    answer = await system.post("/api/execute", {"plan": plan}, Authorization=f"Bearer {TENANTS[tenant]}")
    execution = str(answer.json()["id"])

    async def waits() -> bool:
        return bool((await shown(system, execution, tenant))["status"] == "SUSPENDED")

    await until(waits, within=20, describe=f"{execution} waits")
    return execution


async def shown(system: System, execution: str, tenant: str = "acme") -> dict[str, Any]:
    """The execution, as its tenant sees it."""
    url = f"{system.processes['ingress'].url}/api/executions/{execution}"
    answer = await system.client.get(url, headers={"Authorization": f"Bearer {TENANTS[tenant]}"})
    found: dict[str, Any] = answer.json()
    return found


async def completed(system: System, execution: str, tenant: str = "acme") -> dict[str, Any]:
    """The step's output, once it is over."""

    async def over() -> dict[str, Any] | None:
        found = await shown(system, execution, tenant)
        return found if found["status"] == "COMPLETED" else None

    found: dict[str, Any] = (await until(over, within=20, describe=f"{execution} completes"))["steps"][0]["output"]
    return found


async def ignored(system: System, execution: str) -> None:
    """Wait for the log line that says so."""

    async def said() -> bool:
        return any(line.get("execution") == execution for line in system.events("resume", "hint.ignored"))

    await until(said, within=20, describe=f"the event for {execution} is ignored with a line")


async def test_a_tenants_key_continues_its_own_waits(system: System) -> None:
    """By the execution, and by the key that it waits for. Again it changes nothing."""
    one, two = await waiting(system), await waiting(system, event="order.paid", key="17")
    async with publisher(system, ACME) as acme:
        for _ in range(2):
            assert await acme.send_event("payment", execution=one, data={"sum": 12}, id="payment-1") == "payment-1"
        await acme.send_event("order.paid", key="17", data=[1])
        await acme.continue_execution(two)
        assert (await completed(system, one))["data"] == {"sum": 12}
        assert (await completed(system, two))["data"] == [1]
        await acme.send_event("payment", execution=one, id="payment-2")  # it is over
    await ignored(system, one)


async def test_it_continues_nothing_of_another_tenant(system: System) -> None:
    """On its own channel another's execution does not exist; on another's channel, and on the engine's, it may not publish."""
    theirs = await waiting(system, "other")
    async with publisher(system, ACME) as acme:
        await acme.send_event("payment", execution=theirs, data=1)
        await acme.continue_execution(theirs)
    await ignored(system, theirs)
    for tenant, only in (("other", ""), ("other", "payment"), ("acme", "payment")):
        async with publisher(system, ACME, tenant, only=only) as wrong:
            with pytest.raises(NotPublished, match="40160"):
                await wrong.send_event("payment", execution=theirs)
    async with httpx.AsyncClient(auth=("local.acme", ACME.partition(":")[2]), trust_env=False) as client:
        url = f"{system.environ['ABLY_URL']}/channels/mesh:resume/messages"
        answer = await client.post(url, json={"name": CONTINUE, "data": {"executionId": theirs}})
        assert answer.status_code == 401
        assert (await client.get(url)).status_code == 401
    assert (await shown(system, theirs, "other"))["status"] == "SUSPENDED"


async def test_a_key_for_one_event_sends_that_event_only(system: System) -> None:
    """A payment provider's: not another event, not a hint, whatever it publishes."""
    paid, answered = await waiting(system), await waiting(system, event="answered")
    async with publisher(system, PAYMENT) as wrong:
        with pytest.raises(NotPublished):
            await wrong.send_event("payment", execution=paid)
    async with publisher(system, PAYMENT, only="payment") as provider:
        with pytest.raises(BadRequest, match="for the event 'payment' only"):
            await provider.send_event("answered", execution=answered)
        with pytest.raises(BadRequest, match="for the event 'payment' only"):
            await provider.continue_execution(answered)
        # what the helper would not publish, published without it
        raw = httpx.AsyncClient(auth=("local.pay", PAYMENT.partition(":")[2]), trust_env=False)
        async with raw as client:
            for data in ({"executionId": answered, "event": "answered"}, {"executionId": answered}):
                url = f"{system.environ['ABLY_URL']}/channels/{provider.channel}/messages"
                assert (await client.post(url, json={"name": CONTINUE, "data": data})).status_code == 201
        await provider.send_event("payment", execution=paid, data="ok")
    assert (await completed(system, paid))["data"] == "ok"

    async def both() -> bool:
        lines = system.events("resume", "hint.ignored")
        return sum("only" in line["why"] for line in lines) >= 2

    await until(both, within=20, describe="both are ignored with a line")
    assert (await shown(system, answered))["status"] == "SUSPENDED"


async def test_the_command_line_publishes_as_a_program_would(system: System, tmp_path: Path) -> None:
    """With the tenant's own key; what goes wrong is one sentence."""
    execution = await waiting(system)
    environ = around(system) | {"ABLY_API_KEY": ACME, "INTENTION_KEY": TENANTS["acme"]}
    said = ["signal", execution, "payment", "--data", '{"sum": 3}', "--via", "ably"]
    done = await run(*said, "--tenant", "other", cwd=tmp_path, environ=environ)
    assert (done.code, done.out) == (1, "")
    assert "mesh:resume:other: Ably answered 401/40160" in done.err
    done = await run(*said, "--wait", cwd=tmp_path, environ=environ)
    assert done.code == 0, done
    assert (await completed(system, execution))["data"] == {"sum": 3}
    nowhere = environ | {"ABLY_URL": "http://127.0.0.1:9"}
    done = await run(*said, cwd=tmp_path, environ=nowhere)
    assert done.code == 1
    assert "Ably" in done.err
    assert "secret" not in done.err
