"""The tracer at a real collector: what it exports, what it costs who makes spans, and what happens when nobody takes them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from shared import tracing
from shared.telemetry.otel import OtelTracer
from tests.support.collector import Collector, collecting
from tests.support.waiting import eventually

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
DEADLINE_S = 60
PARENT = f"{TRACE}-{SPAN}-01"


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Where spans go that OpenTelemetry exports from this process."""
    async with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")  # nothing goes by itself
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
        yield found


@pytest.fixture
async def tracer(collector: Collector) -> AsyncIterator[OtelTracer]:
    """One whose invocations wait a second at most."""
    made = OtelTracer("intention-test", version="0", flush_ms=1_000)
    yield made
    collector.hold.set()
    await made.close()


async def test_a_span_stands_below_the_one_that_it_is_made_in(tracer: OtelTracer, collector: Collector) -> None:
    """And the outer one below the context that a record kept."""
    with tracer.span("outer", parent=PARENT, link=f"{'a' * 32}-{SPAN}-01"), tracer.span("inner", parent=PARENT) as inner:
        inner.failed("refused")
    await tracer.settle()

    (outer,), (below,) = collector.named("outer"), collector.named("inner")
    assert (outer.trace, outer.parent, outer.links) == (TRACE, SPAN, (("a" * 32, SPAN),))
    assert (below.trace, below.parent, below.error, below.facts) == (TRACE, outer.span, "refused", {"error.type": "refused"})


async def test_another_executions_span_is_not_below_the_current_one(tracer: OtelTracer, collector: Collector) -> None:
    """A sweep made by a request is none of that request's."""
    with tracer.span("mine", parent=PARENT), tracer.span("other", parent=f"{'b' * 32}-{SPAN}-01"):
        pass
    await tracer.settle()

    assert [(span.trace, span.parent) for span in collector.named("other")] == [("b" * 32, SPAN)]


async def test_a_trace_that_began_untraced_goes_on_under_its_number(tracer: OtelTracer, collector: Collector) -> None:
    """Telemetry may be turned on while executions run."""
    with tracer.span("segment", parent=TRACE):
        pass
    with tracer.span("odd", parent="no trace at all"):
        pass
    await tracer.settle()

    assert [span.trace for span in collector.named("segment")] == [TRACE]
    assert len(collector.named("odd")) == 1


async def test_an_exception_is_a_failure_without_its_text(tracer: OtelTracer, collector: Collector) -> None:
    """It may quote arguments."""

    def work() -> None:
        with tracer.span("work"):
            raise ValueError("the password is swordfish")

    with pytest.raises(ValueError, match="swordfish"):
        work()
    await tracer.settle()

    (span,) = collector.named("work")
    assert span.error == "ValueError"
    assert "swordfish" not in repr(span)
    assert tracing.current() == ""


async def test_a_collector_that_hangs_holds_nobody_up(tracer: OtelTracer, collector: Collector) -> None:
    """An invocation waits as long as its setting says, and nobody behind it; what is too much for the queue is dropped."""
    collector.hold.clear()
    began = time.monotonic()
    with tracer.span("held"):
        pass
    async with asyncio.timeout(DEADLINE_S):  # the exporter itself would wait for an hour
        await asyncio.gather(*(tracer.settle() for _ in range(20)))
        assert time.monotonic() - began > 0.9, "it gave the collector its second"
        for _ in range(5_000):  # more than the queue holds
            with tracer.span("more"):
                pass
        await tracer.settle()
    assert (collector.requests, collector.spans) == (1, [])
    collector.hold.set()
    await eventually(lambda: collector.named("held"), describe="what was under way arrives")


async def test_nothing_waits_where_no_flush_is_set(collector: Collector) -> None:
    """The thread exports when it likes; the end of the process hands over the rest."""
    made = OtelTracer("intention-test", version="0", flush_ms=0)
    with made.span("late"):
        pass
    await made.settle()
    assert collector.requests == 0
    await made.close()

    assert [span.service for span in collector.named("late")] == ["intention-test"]


def test_without_the_setting_nothing_of_it_is_imported() -> None:
    """Who wants no telemetry pays neither memory nor time for it. (Redis's client imports OpenTelemetry where it finds it.)"""
    source = (
        "import sys\n"
        "from services.ingress import main as a\n"
        "from services.resume import main as b\n"
        "from services.step_executor import main as c\n"
        "from shared.settings_load import load\n"
        "[one.create(load({'INTENTION_MODE': 'local'})) for one in (a, b, c)]\n"
        "mine = ('opentelemetry.exporter', 'opentelemetry.proto', 'prometheus_client', 'shared.telemetry.otel')\n"
        "print([name for name in sys.modules if name.startswith(mine)])"
    )
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
