"""Requests that make executions have a server's span; others have none, and no path with a secret in it is ever shown."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from shared.telemetry.serving import route_of
from tests.services.engine.site import KEY, Site, variables
from tests.services.engine.support import configured
from tests.support.collector import Collector, collecting
from tests.support.valkey import Valkey

ROUTES = {
    ("POST", "/api/execute"): "/api/execute",
    ("POST", "/api/chat"): "/api/chat",
    ("POST", "/api/executions/exe_1/fork"): "/api/executions/{id}/fork",
    ("POST", "/api/executions/exe_1/restart"): "/api/executions/{id}/restart",
    ("GET", "/api/execute"): "",
    ("POST", "/api/waits/a-token-that-is-a-permission"): "",
    ("POST", "/api/executions/exe_1/cancel"): "",
    ("POST", "/api/executions/a/b/fork"): "",
}


@pytest.mark.parametrize(("request_", "route"), ROUTES.items(), ids=lambda one: " ".join(one) if isinstance(one, tuple) else "")
def test_only_what_may_make_an_execution_has_a_route_here(request_: tuple[str, str], route: str) -> None:
    """With a name of few values."""
    assert route_of(*request_) == route


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Spans come only with the end of an invocation."""
    async with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        yield found


@pytest.fixture
async def traced(redis: Redis, valkey: Valkey, collector: Collector) -> AsyncIterator[Site]:  # noqa: ARG001 - they stand around it
    """Services whose host freezes them behind an answer."""
    async with AsyncExitStack() as stack:
        yield Site(configured(**variables(valkey), TELEMETRY="true", TELEMETRY_FLUSH_MS="2000"), stack)


async def test_its_spans_are_handed_over_before_the_answer_ends(traced: Site, collector: Collector) -> None:
    """On the way in and in a segment; whoever freezes the process then loses nothing."""
    execution = await traced.execution()
    assert [span.facts["http.response.status_code"] for span in collector.named("POST /api/execute")] == [202]
    assert [span.facts["intention.execution"] for span in collector.named("accept")] == [execution]

    await traced.signed("step_executor", "/api/engine/execute-step", {"executionId": execution})
    (segment,), (call,) = collector.named("segment"), collector.named("run do_work")
    (accept,) = collector.named("accept")
    assert (segment.trace, segment.parent, call.parent) == (accept.trace, accept.span, segment.span)
    assert call.error == "not_sent"


async def test_a_refused_request_is_none_of_ours_to_mend(traced: Site, collector: Collector) -> None:
    """4xx is no error of a server."""
    answer = await traced.call(
        "ingress", "POST", "/api/execute", json={"plan": {"steps": []}}, headers={"Authorization": f"Bearer {KEY}"}
    )
    assert 400 <= answer.status_code < 500
    (span,) = collector.named("POST /api/execute")
    assert span.facts["http.response.status_code"] == answer.status_code
    assert span.error == ""


async def test_a_request_that_makes_nothing_has_no_span(traced: Site, collector: Collector) -> None:
    """Reading is not traced."""
    await traced.call("ingress", "GET", "/api/tools", headers={"Authorization": f"Bearer {KEY}"})
    await traced.execution()

    assert {span.name for span in collector.spans} <= {"POST /api/execute", "accept", "publish message"}
