"""What telemetry costs a step: `make bench-telemetry`, or `python -m bench.telemetry`.

Real interpreter, real Valkey (its own process), tools that answer at once, so that the share is as large as it can be. Rounds
with traces off and on take turns; the spans go to a receiver in a process of its own. Ratios are the point; times are of this
machine.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from redis.asyncio import Redis

from bench.processes import free_port, start_valkey
from bench.simulated import CONTRACTS, LIMITS, Instant, Taken, chain, there
from shared.clock import SystemClock, new_execution_id
from shared.interpret import Interpreter
from shared.invocation import Delivery
from shared.logs import configure
from shared.machine import plan as plans
from shared.machine.accept import Limits as PlanLimits
from shared.machine.accept import accept
from shared.machine.plan import Blueprint, PlanDraft
from shared.machine.state import Header
from shared.machine.status import Status
from shared.ports import Birth, Created
from shared.redisdb.connect import connect
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Sender
from shared.tally import Tally
from shared.telemetry.otel import OtelTracer
from shared.tracing import NO_TRACER, Tracer, born

STEPS: Final = 200
CALLS: Final = 100_000


class Sink(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self) -> None:
        """One batch."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def sink() -> Iterator[str]:
    """A receiver in a process of its own."""
    port = free_port()
    process = Popen([sys.executable, "-m", "bench.telemetry", "--sink", str(port)])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def run(redis: Redis, tracer: Tracer) -> float:
    """One execution to its end; ms a step."""
    store = RedisStore(redis, retention_ms=86_400_000)
    acks = Acks(store)
    limits = msgspec.structs.replace(LIMITS, steps_per_message=50)
    sender = Sender(Taken(), acks)
    engine = Interpreter(store=store, sender=sender, tools=Instant(), clock=SystemClock(), limits=limits, tracer=tracer)
    most = PlanLimits(steps=STEPS, argument_bytes=10_000, step_ms=8_000)
    draft = msgspec.convert(chain(STEPS), PlanDraft)
    data = plans.encode(accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=most))
    blueprint = Blueprint(data)
    with tracer.span("accept"):
        header = Header(id=new_execution_id(), tenant="bench", plan=blueprint.hash, status=Status.PLANNED, trace=born())
    made = await store.create(Birth(header=header, plan=data, cells=blueprint.plan.first_cells(), fields={}, request_hash=""))
    assert isinstance(made, Created)
    began, result = time.perf_counter(), ""
    while result != Status.COMPLETED:
        result = (await engine.run(Delivery(execution=header.id), started_ms=SystemClock().monotonic_ms())).result
    took = time.perf_counter() - began
    await acks.close()
    return took * 1_000 / STEPS


def silent_ms() -> float:
    """What one call's span and count cost while nothing is traced."""
    tally = Tally()
    began = time.perf_counter()
    for _ in range(CALLS):
        with NO_TRACER.span("run work", parent="x", facts={"intention.step": "s", "intention.attempt": 1, "a": "b"}):
            pass
        tally.step("work", "run", "done", 0.001)
    return (time.perf_counter() - began) * 1_000 / CALLS


async def main(rounds: int) -> None:
    """Rounds in turn, then their medians."""
    off, on = [], []
    with TemporaryDirectory() as folder, start_valkey(Path(folder), "everysec") as valkey, sink() as url:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
        tracer = OtelTracer("bench", version="0", flush_ms=0)
        async with connect(valkey.url) as redis:
            for _ in range(250):
                if await there(redis):
                    break
                await asyncio.sleep(0.02)
            await run(redis, NO_TRACER)
            for _ in range(rounds):
                off.append(await run(redis, NO_TRACER))
                on.append(await run(redis, tracer))
        await tracer.close()
    silent, without = silent_ms(), median(off)
    print(f"a step, traces off      {without:.3f} ms")
    print(f"a step, traces on       {median(on):.3f} ms: {median(on) / without:.2f} times as long")
    print(f"what is off costs       {silent * 1_000:.2f} us of it: {silent / without:.2%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sink", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sink:
        ThreadingHTTPServer(("127.0.0.1", given.sink), Sink).serve_forever()
    configure(service="bench", format="json", level="error")
    asyncio.run(main(given.rounds))
