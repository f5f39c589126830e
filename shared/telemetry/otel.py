"""The Tracer over OpenTelemetry: spans are collected in a bounded queue and exported by a thread, never by whoever makes them.

Where they go, how they are sampled and how large batches are, the standard OTEL_ variables say; OpenTelemetry reads them.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared import tracing
from shared.pacing import Sparing
from shared.tracing import Fact, Kind, Span

CLOSE_S: Final = 3.0
"""How long the end of a service waits for the last spans; what no collector has taken by then is dropped."""
_KINDS: Final[dict[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class _Span:
    """See `shared.tracing.Span`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, facts: Mapping[str, Fact]) -> None:
        """See the port."""
        self._span.set_attributes(facts)

    def event(self, name: str) -> None:
        """See the port."""
        self._span.add_event(name)

    def failed(self, kind: str) -> None:
        """See the port."""
        self._span.set_attribute("error.type", kind[:100])
        self._span.set_status(Status(StatusCode.ERROR, kind[:100]))


class OtelTracer:
    """See `shared.tracing.Tracer`. `close` hands over what is left."""

    def __init__(self, service: str, *, version: str, flush_ms: int) -> None:
        """`service`: its name, unless OTEL_SERVICE_NAME says another. `flush_ms`: what an invocation's end waits."""
        _listen()
        self._provider = TracerProvider(resource=_resource(service, version), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("intention", version)
        self._flush_s = flush_ms / 1000
        self._turn = asyncio.Lock()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def span(
        self, name: str, *, kind: Kind = "internal", parent: str = "", link: str = "", facts: Mapping[str, Fact] | None = None
    ) -> Iterator[Span]:
        """See the port."""
        links = [Link(found)] if (found := _context(link)) else []
        span = self._tracer.start_span(name, _below(tracing.nearest(parent)), _KINDS[kind], dict(facts or {}), links)
        told = _Span(span)
        try:
            with tracing.entered(_carried(span.get_span_context())):
                yield told
        except BaseException as error:  # a cancellation, too: whoever was cut off has an end
            told.failed(type(error).__name__)
            raise
        finally:
            span.end()

    async def settle(self) -> None:
        """See the port. While a collector hangs nobody waits behind whoever waits for it."""
        if not self._flush_s:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._flush_s), self._turn:
                if self._thread is None or not self._thread.is_alive():
                    await self._apart(self._provider.force_flush)

    async def close(self) -> None:
        """Export what is left, for a bounded time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._apart(self._provider.shutdown)

    async def _apart(self, work: Callable[[], object]) -> None:
        """In a thread that the end of the process does not wait for: OpenTelemetry's own time-outs are longer than ours."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def run() -> None:
            work()
            with contextlib.suppress(RuntimeError):  # the loop may be gone by then
                loop.call_soon_threadsafe(done.set)

        self._thread = threading.Thread(target=run, name="telemetry", daemon=True)
        self._thread.start()
        await done.wait()


def _resource(service: str, version: str) -> Resource:
    found = Resource.create({SERVICE_VERSION: version})
    named = str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return found.merge(Resource({SERVICE_NAME: service})) if named else found


def _context(carried: str) -> SpanContext | None:
    """None where nothing is said. One without a span (nothing was traced then) has a parent that nobody exports."""
    if not carried:
        return None
    name, _, rest = carried.partition("-")
    span, _, flags = rest.partition("-")
    try:
        found = SpanContext(
            int(name, 16), int(span or name[:16], 16), is_remote=True, trace_flags=TraceFlags(int(flags or "1", 16))
        )
    except ValueError:  # a record of another time, or of a test
        return None
    return found if found.is_valid else None


def _below(carried: str) -> Context:
    """Never OpenTelemetry's own current span: the library of a tool may keep one."""
    found = _context(carried)
    return trace.set_span_in_context(NonRecordingSpan(found), Context()) if found else Context()


def _carried(context: SpanContext) -> str:
    return tracing.written(
        trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id), sampled=context.trace_flags.sampled
    )


class _ToOurs(logging.Handler):
    """What OpenTelemetry has to say (no collector, a full queue), in our log and not more often than anybody reads."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._sparing = Sparing(1 / 60, 1)

    def emit(self, record: logging.LogRecord) -> None:
        self._sparing.say("telemetry.not_exported", error=record.getMessage()[:300])


def _listen() -> None:
    logger = logging.getLogger("opentelemetry")
    if not any(isinstance(handler, _ToOurs) for handler in logger.handlers):
        logger.addHandler(_ToOurs())
        logger.propagate = False
