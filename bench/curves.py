"""What a step costs as plans grow: `make bench-curves`, or `python -m bench.curves`.

Real interpreter, real Valkey (its own process), tools that answer at once. For each size: script calls a step, bytes that a
segment loads with its lease and that a commit sends, microseconds of the server in a script. Flat columns are the point; the
times are of this machine.
"""

import argparse
import asyncio
import secrets
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from redis.asyncio import Redis

from bench.processes import start_valkey
from bench.simulated import CONTRACTS, LIMITS, Instant, Taken, chain, until_there
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

SEGMENT_STEPS = 50
"""Few, so that there are many segments to look at."""


class Weighed(RedisStore):
    """The real store; counts bytes of what `acquire` answers and of what commits send."""

    loaded: list[int]
    sent: list[int]

    async def _run(self, name: str, names: list[str], args: Any, *, barrier: bool = False, timed: bool = True) -> Any:
        reply = await super()._run(name, names, args, barrier=barrier, timed=timed)
        if name == "acquire":
            self.loaded.append(len(msgspec.msgpack.encode(reply)))
        elif name in {"begin", "commit"}:
            self.sent.append(sum(len(part) if isinstance(part, str | bytes) else 8 for part in args))
        return reply


def spread(items: int) -> dict[str, Any]:
    """One step over so many items."""
    return {"steps": [{"name": "m", "tool": "work", "args": {"n": "${item}"}, "map": {"over": list(range(items))}}]}


async def run(redis: Redis, shape: dict[str, Any], calls: int) -> dict[str, float]:
    """One execution to its end."""
    store = Weighed(redis, retention_ms=86_400_000)
    store.loaded, store.sent = [], []
    acks = Acks(store)
    limits = msgspec.structs.replace(LIMITS, steps_per_message=SEGMENT_STEPS)
    interpreter = Interpreter(store=store, sender=Sender(Taken(), acks), tools=Instant(), clock=SystemClock(), limits=limits)
    draft = msgspec.convert(shape, PlanDraft)
    most = PlanLimits(steps=100_000, argument_bytes=10_000_000, step_ms=8_000)
    data = plans.encode(accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=most))
    blueprint = Blueprint(data)
    header = Header(
        id=new_execution_id(), tenant="bench", plan=blueprint.hash, status=Status.PLANNED, trace=secrets.token_hex(16)
    )
    made = await store.create(Birth(header=header, plan=data, cells=blueprint.plan.first_cells(), fields={}, request_hash=""))
    assert isinstance(made, Created)
    await redis.config_resetstat()
    store.calls.clear()
    began, result = time.perf_counter(), ""
    while result != Status.COMPLETED:
        answer = await interpreter.run(Delivery(execution=header.id), started_ms=SystemClock().monotonic_ms())
        result = answer.result
        assert answer.status == 200, answer
    took = time.perf_counter() - began
    await acks.close()
    stats = (await redis.info("commandstats"))["cmdstat_evalsha"]
    return {
        "steps": calls,
        "segments": store.calls["acquire"],
        "scripts a step": sum(store.calls.values()) / calls,
        "loaded a segment, first": store.loaded[0],
        "loaded a segment, last": store.loaded[-1],
        "sent a commit": sum(store.sent) / len(store.sent),
        "server us a script": float(stats["usec_per_call"]),
        "ms a step": took * 1_000 / calls,
    }


async def main(sizes: list[int]) -> None:
    """A row for each shape and size."""
    with TemporaryDirectory() as folder, start_valkey(Path(folder), "everysec") as valkey:
        async with connect(valkey.url) as redis:
            await until_there(redis)
            for name, shape in (("one after the other", chain), ("a map", spread)):
                for size in sizes:
                    row = await run(redis, shape(size), size)
                    if size == sizes[0] and shape is chain:
                        print(f"| plan | {' | '.join(row)} |\n|{' --- |' * (len(row) + 1)}")
                    cells = (f"{value:,.2f}".removesuffix(".00") for value in row.values())
                    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    configure(service="bench", format="json", level="error")
    asyncio.run(main(parser.parse_args().sizes))
