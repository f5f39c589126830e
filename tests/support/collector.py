"""A collector of OpenTelemetry's traces on loopback: it reads the protobuf that exporters send, and keeps the spans."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.services.engine.support import serving

KINDS = ("", "internal", "server", "client", "producer", "consumer")
ERROR = 2


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A span as it was exported."""

    service: str
    name: str
    kind: str
    trace: str
    span: str
    parent: str
    links: tuple[tuple[str, str], ...]
    """(trace, span)"""
    facts: Mapping[str, Any]
    events: tuple[str, ...]
    error: str
    """The description of an error status; empty without one."""
    took_ms: float


@dataclass
class Collector:
    """What came in."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    requests: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, nothing is answered."""

    def of(self, execution: str) -> list[Seen]:
        """Spans about an execution."""
        return [span for span in self.spans if span.facts.get("intention.execution") == execution]

    def named(self, name: str) -> list[Seen]:
        """Spans of a name."""
        return [span for span in self.spans if span.name == name]

    async def take(self, request: Request) -> Response:
        """`POST /v1/traces`."""
        self.requests += 1
        await self.hold.wait()
        body = await request.body()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        said = ExportTraceServiceRequest.FromString(body)
        for resource in said.resource_spans:
            service = _facts(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self.spans += [_seen(service, span) for span in scope.spans]
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")


def _facts(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service=service,
        name=span.name,
        kind=KINDS[span.kind],
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        facts=_facts(span.attributes),
        events=tuple(event.name for event in span.events),
        error=(span.status.message or "error") if span.status.code == ERROR else "",
        took_ms=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
    )


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port."""
    found = Collector()
    found.hold.set()
    app = Starlette(routes=[Route("/v1/traces", found.take, methods=["POST"])])
    async with serving(app) as url:
        found.url = url
        yield found
        found.hold.set()
