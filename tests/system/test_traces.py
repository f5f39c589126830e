"""One execution is one trace, whatever happened to it: seen at a real collector, with a process killed in the middle."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.collector import Collector, Seen, collecting
from tests.system.harness import QUICK, System, until, work

pytestmark = pytest.mark.system
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OUTSIDE = f"00-{TRACE}-{SPAN}-01"


def traced(collector: Collector, **more: str) -> dict[str, str]:
    """Settings with which spans arrive soon."""
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    return {**QUICK, "TELEMETRY": "true", **exporting, **more}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """On loopback, in this process."""
    async with collecting() as found:
        yield found


async def spans_of(collector: Collector, execution: str, *, result: str) -> list[Seen]:
    """All spans of an execution, once the one of its last segment is there."""

    async def there() -> bool:
        return any(span.facts.get("intention.result") == result for span in collector.of(execution))

    await until(there, within=10, describe=f"the last segment of {execution} is at the collector: {collector.spans}")
    return collector.of(execution)


async def test_an_execution_with_a_kill_in_the_middle_is_one_trace_that_tells_of_it(
    tmp_path: Path, collector: Collector
) -> None:
    """The caller's span is its root; the message that the killed process never sent is not missed."""
    steps = work(8, 0.3)
    steps[4]["args"]["seconds"] = 1.5  # so that the kill finds it under way
    async with System(tmp_path, **traced(collector, STEPS_PER_MESSAGE="3")) as system:
        answer = await system.post("/api/execute", {"plan": {"steps": steps}, "userId": "test-user"}, traceparent=OUTSIDE)
        execution = str(answer.json()["id"])

        async def called() -> bool:
            return any((line["event"], line.get("step")) == ("step.intended", "s4") for line in await system.history(execution))

        await until(called, within=20, describe="the fifth step is called")
        await system.kill("step_executor")
        await system.start("step_executor")
        found = await system.ended(execution, within=40)
        assert found["status"] == "COMPLETED"
        assert found["traceId"] == TRACE

        spans = await spans_of(collector, execution, result="COMPLETED")

    accepts, requests = collector.named("accept"), collector.named("POST /api/execute")
    segments = [span for span in spans if span.name == "segment"]
    calls = [span for span in spans if span.name == "run do_work"]
    assert {span.trace for span in [*spans, *requests]} == {TRACE}
    assert [(span.kind, span.parent, span.service) for span in requests] == [("server", SPAN, "intention-ingress")]
    assert requests[0].facts["http.response.status_code"] == 202
    assert [span.parent for span in accepts] == [requests[0].span]
    assert {span.parent for span in segments} == {accepts[0].span}, "a segment stands below what was kept at the creation"
    assert {span.kind for span in segments} == {"consumer"}
    assert sum("intention.taken_over" in span.events for span in segments) == 1, "who went on found a dead one's call"
    assert {span.facts["intention.step"] for span in calls} >= {f"s{number}" for number in range(8)} - {"s3"}
    assert [span.facts["intention.attempt"] for span in calls if span.facts["intention.step"] == "s4"] == [2]
    published = [span for span in spans if span.name == "publish message"]
    assert {span.kind for span in published} == {"producer"}
    ids = {span.span for span in published}
    linked = [span for span in segments if span.links]
    assert linked, "segments that a message started are linked with who sent it"
    links = {link for span in linked for link in span.links}
    assert {trace for trace, _ in links} == {TRACE}
    assert len({span for _, span in links} & ids) >= len(links) - 2, "all but what the watchdog or the dead one sent last"
    inner = {span.parent for span in calls}
    assert {span.span for span in segments} & inner, "calls stand below their segments"


async def test_an_execution_that_only_ablys_hints_carry_on_is_one_trace(tmp_path: Path, collector: Collector) -> None:
    """A hint has no room for a trace, and none is needed: QStash takes nothing, and the watchdog calls nobody."""
    settings = traced(collector, RESUME_DIRECT="false", QUOTA_PROFILE="none", STEPS_PER_MESSAGE="1")
    async with System(tmp_path, **settings) as system:
        await system.kill("qstash_dev")
        execution = await system.run_plan(work(3, 0.01))
        await system.ended(execution, within=60)
        spans = await spans_of(collector, execution, result="COMPLETED")

    (accept,) = collector.named("accept")
    segments = [span for span in spans if span.name == "segment"]
    assert {(span.trace, span.parent) for span in segments} == {(accept.trace, accept.span)}
    assert {span.facts["intention.reason"] for span in segments} == {"resumed"}
    assert {span.trace for span in spans} == {accept.trace}
    assert "away" in {span.error for span in spans if span.name == "publish message"}


async def test_errors_are_statuses_and_no_argument_or_answer_leaves_the_engine(tmp_path: Path, collector: Collector) -> None:
    """A step that is refused, an undo, and words that nobody else may read."""
    secret = "words-that-are-nobodys-business"
    steps = [
        {"name": "one", "tool": "do_work", "args": {"label": secret, "seconds": 0.01}},
        {
            "name": "two",
            "tool": "send_message",
            "args": {"channel": "sms", "to": "+4930123456", "text": secret},
            "needs": ["one"],
            "retry": {"attempts": 1},
        },
    ]
    async with System(tmp_path, **traced(collector)) as system:
        await system.knobs(fail_next=9, fail_status=409, only_path="/messages")
        answer = await system.post("/api/execute", {"plan": {"steps": steps}, "userId": secret})
        assert answer.status_code == 202, answer.text
        execution = str(answer.json()["id"])
        found = await system.ended(execution, within=20)
        assert found["status"] == "COMPENSATED"
        spans = await spans_of(collector, execution, result="COMPENSATED")

    refused = [span for span in spans if span.name == "run send_message"]
    assert [bool(span.error) for span in refused] == [True]
    assert [(span.error, span.facts["intention.step"]) for span in spans if span.name == "undo do_work"] == [("", "one")]
    for span in collector.spans:
        assert secret not in repr(span)


async def test_a_sender_that_does_not_sample_is_heard(tmp_path: Path, collector: Collector) -> None:
    """Its execution is not exported; the next one's is."""
    async with System(tmp_path, **traced(collector)) as system:
        body = {"plan": {"steps": work(1, 0.01)}, "userId": "test-user"}
        silent = (await system.post("/api/execute", body, traceparent=f"00-{TRACE}-{SPAN}-00")).json()["id"]
        await system.ended(silent, within=20)
        loud = (await system.post("/api/execute", body, traceparent=f"ff-{TRACE}-{SPAN}-01")).json()["id"]
        await system.ended(loud, within=20)
        spans = await spans_of(collector, loud, result="COMPLETED")

        assert (await system.get(silent))["traceId"] == TRACE
    assert collector.of(silent) == []
    assert TRACE not in {span.trace for span in spans}, "an invalid traceparent begins a trace of its own"
