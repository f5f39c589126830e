"""`GET /metrics`: who may ask, what is shown of one process and of all, and that no label grows with the work."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from shared.errors import SettingsError
from shared.settings_load import load
from shared.tally import MOST_TOOLS, OTHER, Tally
from shared.telemetry.names import METRICS
from tests.services.engine.site import KEY, NOBODY, Site, variables
from tests.services.engine.support import configured
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

TOKEN = "token-of-the-scraper-0123"
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]
SHARED = {metric.name for metric in METRICS if metric.shared}


@pytest.fixture
async def make(redis: Redis, valkey: Valkey) -> AsyncIterator[Callable[..., Site]]:  # noqa: ARG001 - it empties the store
    """Services with metrics on."""
    async with AsyncExitStack() as stack:
        yield lambda **more: Site(configured(**{**variables(valkey), "METRICS": "true", **more}), stack)


async def scraped(site: Site, service: str, **headers: str) -> Values:
    """What a service shows, by name and labels."""
    answer = await site.call(service, "GET", "/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(values: Values, name: str, **labels: str) -> float | None:
    """One value."""
    return values.get((f"intention_{name}", tuple(sorted(labels.items()))))


async def test_each_service_shows_its_own_and_resume_what_all_share(make: Callable[..., Site]) -> None:
    """So that a sum over processes counts nothing twice."""
    site = make()
    names = {service: {name for name, _ in await scraped(site, service)} for service in ("ingress", "step_executor", "resume")}

    assert names["ingress"] & SHARED == names["step_executor"] & SHARED == set()
    assert "intention_executions_accepted_total" in names["ingress"]
    assert {"intention_store_up", "intention_outbox_entries", "intention_quota_left_messages"} <= names["resume"]
    assert all("process_resident_memory_bytes" in some for some in names.values())


async def test_what_an_alert_watches_is_there_before_it_happens(make: Callable[..., Site]) -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    found = await scraped(make(), "step_executor")
    assert of(found, "executions_ended_total", status="COMPENSATION_FAILED") == 0
    assert of(found, "lease_conflicts_total", why="lost") == 0
    assert of(found, "messages_published_total", outcome="away") == 0


async def test_an_accepted_execution_is_counted_where_it_was_taken_and_open_for_all(make: Callable[..., Site]) -> None:
    """QStash is away here, so its message stays in the outbox."""
    site = make()
    await site.execution()

    assert of(await scraped(site, "ingress"), "executions_accepted_total") == 1
    shared = await scraped(site, "resume")
    assert (of(shared, "executions_open"), of(shared, "outbox_entries")) == (1, 1)
    assert of(shared, "quota_running_executions", tenant="") == 1
    assert of(shared, "quota_left_messages", window="day", tenant="") is not None


async def test_a_segment_is_counted_by_what_came_of_it(make: Callable[..., Site]) -> None:
    """The town is away: the call was not sent, and the execution fails."""
    site = make()
    execution = await site.execution()
    body = {"executionId": execution, "segment": 0, "queuedMs": 1}
    assert (await site.signed("step_executor", "/api/engine/execute-step", body)).status_code == 200
    await site.signed("step_executor", "/api/engine/execute-step", body)
    await site.signed("step_executor", "/api/engine/execute-step", {"executionId": NOBODY})

    found = await scraped(site, "step_executor")
    assert of(found, "executions_started_total") == 1
    assert of(found, "step_attempts_total", tool="do_work", call="run", outcome="notsent") is None
    assert of(found, "step_attempts_total", tool="do_work", call="run", outcome="not_sent") == 1
    assert of(found, "step_seconds_count", tool="do_work", call="run") == 1
    assert of(found, "step_seconds_bucket", tool="do_work", call="run", le="+Inf") == 1
    assert of(found, "segment_seconds_count") == 1
    assert of(found, "message_lag_seconds_bucket", le="900.0") == 0, "queued in 1970"
    assert of(found, "message_lag_seconds_count") == 1
    assert of(found, "deliveries_not_run_total", why="absent") == 1


async def test_tenants_are_shown_where_a_setting_says_so(make: Callable[..., Site]) -> None:
    """Their number is the operator's; nobody's names show otherwise."""
    site = make(METRICS_TENANTS="true")
    await site.execution()
    found = await scraped(site, "resume")

    assert of(found, "quota_running_executions", tenant="acme") == 1
    assert of(found, "quota_running_executions", tenant="other") == 0
    assert of(found, "quota_running_executions", tenant="") is None


async def test_a_store_that_is_away_is_told_and_the_rest_is_shown(redis: Redis, make: Callable[..., Site]) -> None:
    """The scrape is answered all the same, within its bound."""
    site = make()
    await scraped(site, "resume")
    await redis.client_pause(6_000, all=True)  # longer than a scrape waits, and over by itself

    async def away() -> Values | None:
        now = await scraped(site, "resume")
        return now if of(now, "store_up") == 0 else None  # what was read a moment ago is good for a second

    found = await eventually(away, within=20, describe="a scrape tells that the store is away")
    assert found is not None
    assert of(found, "executions_open") is None
    assert of(found, "sweeps_total") is not None


async def test_only_a_scraper_with_the_token_may_ask(make: Callable[..., Site]) -> None:
    """An API key is none, and in local mode a trusted address needs none."""
    site = make(METRICS_TOKEN=TOKEN)
    for service in ("ingress", "step_executor", "resume"):
        for headers in ({}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"Basic {TOKEN}"}):
            refused = await site.call(service, "GET", "/metrics", headers=headers, address="10.0.0.9")
            assert refused.status_code == 401
        allowed = await site.call(service, "GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, address="10.0.0.9")
        assert allowed.status_code == 200


async def test_without_the_setting_there_is_no_such_path(redis: Redis, valkey: Valkey) -> None:  # noqa: ARG001 - as above
    """404, as any other unknown path."""
    async with AsyncExitStack() as stack:
        site = Site(configured(**variables(valkey)), stack)
        assert (await site.call("resume", "GET", "/metrics")).status_code == 404


def test_production_does_not_start_with_metrics_that_anybody_may_read() -> None:
    """The refusal names the setting to give."""
    keys = {"QSTASH_CURRENT_SIGNING_KEY": "sig_one", "INTERNAL_SIGNING_KEY": "key-of-our-own"}
    with pytest.raises(SettingsError, match="METRICS_TOKEN"):
        load({**keys, "METRICS": "true"})
    with pytest.raises(SettingsError, match="METRICS_TOKEN"):
        load({**keys, "METRICS": "true", "METRICS_TOKEN": "too short"})
    assert load({**keys, "METRICS": "true", "METRICS_TOKEN": TOKEN}).metrics


def test_a_thousand_tools_are_no_thousand_labels() -> None:
    """What is beyond the bound is counted together."""
    tally = Tally()
    for number in range(1_000):
        tally.step(f"tool_{number}", "run", "done", 0.1)

    assert len({tool for tool, _, _ in tally.attempts}) == MOST_TOOLS + 1
    assert tally.attempts[OTHER, "run", "done"] == 1_000 - MOST_TOOLS


def test_every_metric_is_listed_once() -> None:
    """And has a help text, and no label that grows with the work."""
    assert len({metric.name for metric in METRICS}) == len(METRICS) > 30
    allowed = {"status", "result", "why", "tool", "call", "outcome", "channel", "way", "what", "window", "tenant"}
    assert {label for metric in METRICS for label in metric.labels} <= allowed
    assert all(metric.help.endswith(".") for metric in METRICS)
