"""Requests that a plan makes: only where its tenant may, and only reading is safe to repeat."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from shared.errors import SettingsError
from shared.machine.decision import Start
from shared.machine.events import Done, Outcome, Refused, Unanswered
from shared.machine.plan import Effect
from shared.settings_load import load
from shared.tools import installation, kit
from shared.tools.installation import outbound_of, registry_of
from shared.tools.kit import Sample
from shared.tools.registry import Registry, Runner
from tests.support.executions import intent
from tests.tools.partner import Partner, partner, says


@pytest.fixture
async def there() -> AsyncIterator[Partner]:
    """Some host."""
    async with partner() as found:
        yield found


def registry(there: Partner, tenant: str = "acme") -> Registry:
    """With that host open to one tenant."""
    variables = {"OUTBOUND_ALLOW": f"{tenant}=127.0.0.1:{there.port}", "OUTBOUND_LOOPBACK": "true"}
    settings = load({"INTENTION_MODE": "local", **variables})
    return registry_of(settings, outbound_of(settings), None)


async def run(found: Registry, tool: str, tenant: str = "acme", **args: Any) -> Outcome:
    """One call."""
    start = Start(cell=0, step="a", tool=tool, intent=intent(args=args), timeout_ms=10_000, tenant=tenant)
    return await Runner(found).run(start, 10.0)


async def test_a_request_carries_the_effects_key(there: Partner) -> None:
    """And its answer is the output."""
    there.script = says(201, {"id": 7}, Content_Type="application/json")
    found = await run(registry(there), "http_request", url=f"{there.url}/x", method="PUT", headers={"X-A": "1"}, body={"n": 1})

    assert found == Done(output={"status": 201, "content_type": "application/json", "body": {"id": 7}})
    [asked] = there.asked
    assert (asked.method, asked.path, msgspec.json.decode(asked.body), asked.headers["x-a"]) == ("PUT", "/x", {"n": 1}, "1")
    assert asked.headers["idempotency-key"] == intent().key


async def test_reading_is_a_tool_of_its_own(there: Partner) -> None:
    """It may be repeated; a text that is no JSON stays a text."""
    there.script = says(200, b"hello", Content_Type="text/plain")
    found = registry(there)

    assert await run(found, "http_get", url=there.url) == Done(
        output={"status": 200, "content_type": "text/plain", "body": "hello"}
    )
    assert {name: found.contracts()[name].effect for name in ("http_get", "http_request")} == {
        "http_get": Effect.PURE,
        "http_request": Effect.UNSAFE,
    }

    async def standing(_: str) -> int:
        return sum(asked.method != "GET" for asked in there.asked)

    # the kit's own calls are nobody's, so the host is open to all here
    sample = Sample(registry=registry(there, "*"), name="http_get", args={"url": there.url}, standing=standing)
    await kit.demand(sample, "no effect")


@pytest.mark.parametrize("tool", ["http_get", "http_request"])
async def test_another_tenant_does_not_get_there(there: Partner, tool: str) -> None:
    """Nor does anybody get elsewhere."""
    found = registry(there)
    for refused in (
        await run(found, tool, tenant="other", url=there.url),
        await run(found, tool, url="https://example.com/"),
        await run(found, tool, url="http://169.254.169.254/latest/meta-data/"),
    ):
        assert isinstance(refused, Refused)
        assert refused.code == "host_not_allowed"
    assert there.connections == 0


async def test_a_redirect_is_told_and_not_followed(there: Partner) -> None:
    """After a POST nobody knows whether it was done."""
    there.script = says(302, None, Location="http://169.254.169.254/")
    found = registry(there)

    assert isinstance(await run(found, "http_get", url=there.url), Refused)
    assert isinstance(await run(found, "http_request", url=there.url), Unanswered)


def test_without_a_rule_there_are_no_such_tools() -> None:
    """What can do nothing is not offered."""
    settings = load({"INTENTION_MODE": "local"})
    found = registry_of(settings, outbound_of(settings), None)

    assert {"http_get", "http_request"}.isdisjoint(found.contracts())


def test_a_rule_that_cannot_be_read_stops_the_start() -> None:
    """With how one is written; and the way to this machine opens in local mode only."""
    with pytest.raises(SettingsError, match=r"OUTBOUND_ALLOW: 'example\.com' is no rule"):
        installation.check(load({"INTENTION_MODE": "local", "OUTBOUND_ALLOW": "example.com"}), calls=False)
    production = {"QSTASH_CURRENT_SIGNING_KEY": "sig_own_key", "INTERNAL_SIGNING_KEY": "own", "OUTBOUND_LOOPBACK": "true"}
    with pytest.raises(SettingsError, match="OUTBOUND_LOOPBACK is for development"):
        load(production)
