"""What commands cost as the store fills: `make bench-stored`, or `python -m bench.stored --finished 1000000`.

Real Valkey (its own process), filled by the store's own commands: every execution is created, leased, and committed to its end
or into a wait of a day. At each size the same work is done on top of it, and told is what the server needed for it: commands,
those in scripts with them, and microseconds of its thread's processor time, which a loaded machine changes less than a
stopwatch; the least of five rounds. Flat columns are the point. Then the store's bytes an execution.
"""

import argparse
import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from bench.overdue import Answering, Untouched
from bench.processes import start_valkey
from bench.simulated import CONTRACTS, LIMITS, Instant, Taken, chain, until_there
from shared.archive import Archiver
from shared.clock import SystemClock, new_execution_id
from shared.http_client import HttpClient
from shared.interpret import Interpreter
from shared.invocation import Delivery
from shared.logs import configure
from shared.machine import plan as plans
from shared.machine.accept import Limits as PlanLimits
from shared.machine.accept import accept
from shared.machine.decision import Changes, Line
from shared.machine.plan import Blueprint, PlanDraft
from shared.machine.state import Header, Result
from shared.machine.status import Cell, Reason, Status
from shared.ports import Birth, Created, Going, Lease
from shared.redisdb.connect import connect
from shared.redisdb.reader import Reader
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Relay, Sender
from shared.search import Filter, search
from shared.watchdog import Watchdog

TENANT: Final = "bench"
STEPS: Final = 3
LONG: Final = 10
TIMES: Final = 50
SWEEPS: Final = 5
ROUNDS: Final = 5
AT_ONCE: Final = 256
DAY_MS: Final = 86_400_000


def planned(steps: int) -> bytes:
    """A plan of so many steps, one after the other."""
    most = PlanLimits(steps=steps, argument_bytes=10_000, step_ms=8_000)
    draft = msgspec.convert(chain(steps), PlanDraft)
    return plans.encode(accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=most))


class Filler:
    """Makes executions as the services do, many at once."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.acks = Acks(store)
        self._plan = planned(STEPS)
        self._blueprint = Blueprint(self._plan)
        self._results = {cell: Result(output={"of": f"s{cell}"}, attempt=1, started_ms=1, ended_ms=2) for cell in range(STEPS)}

    async def born(self, plan: bytes, blueprint: Blueprint) -> str:
        """One that is to run."""
        trace = secrets.token_hex(16)
        header = Header(id=new_execution_id(), tenant=TENANT, plan=blueprint.hash, status=Status.PLANNED, trace=trace)
        fields = {"user": "ann", "text": "book a table for two at seven"}
        birth = Birth(header=header, plan=plan, cells=blueprint.plan.first_cells(), fields=fields, request_hash="")
        made = await self._store.create(birth)
        assert isinstance(made, Created)
        assert made.entry
        self.acks.add(made.entry, "msg")
        return header.id

    async def fill(self, one: Callable[[], Awaitable[None]], count: int) -> None:
        """So many, AT_ONCE at a time: their commands share the line."""
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                await one()

        await asyncio.gather(*(some() for _ in range(min(AT_ONCE, count))))
        await self.acks.close()

    async def finished(self) -> None:
        """One that is over, with its results and its history."""
        lease = await self._leased()
        done = msgspec.structs.replace(lease.header, status=Status.COMPLETED)
        changes = Changes(
            header=done,
            cells=dict.fromkeys(range(STEPS), Cell.DONE),
            results=self._results,
            history=[Line(event="step.done", step=f"s{cell}") for cell in range(STEPS)],
            progress=True,
        )
        await self._store.commit(lease, ver=lease.ver, seen=lease.seen, kept=changes, going=Going(kind="end"))

    async def waiting(self) -> None:
        """One that sleeps for a day."""
        lease = await self._leased()
        still = msgspec.structs.replace(lease.header, status=Status.SUSPENDED, reason=Reason.SLEEP)
        changes = Changes(header=still, cells={0: Cell.DONE}, results={0: self._results[0]}, progress=True)
        wake = lease.now_ms + DAY_MS
        going = Going(kind="suspend", due_in_ms=DAY_MS, wake_ms=wake, timed=True, reason="sleep")
        await self._store.commit(lease, ver=lease.ver, seen=lease.seen, kept=changes, going=going)

    async def _leased(self) -> Lease:
        execution = await self.born(self._plan, self._blueprint)
        lease = await self._store.acquire(execution, owner=secrets.token_hex(16), lease_ms=11_000, segment=-1, cause="fill")
        assert isinstance(lease, Lease)
        return lease


class Stage:
    """What is measured, on whatever the store holds."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.store = RedisStore(redis, retention_ms=DAY_MS)
        self.filler = Filler(self.store)
        self._plan = planned(LONG)
        self._blueprint = Blueprint(self._plan)
        self._executions: list[str] = []

    async def row(self, size: int) -> dict[str, float]:
        """Microseconds of the server, or commands, of each kind of work: the least of ROUNDS, as noise only adds."""
        rounds = [await self._round() for _ in range(ROUNDS)]
        memory = (await self.redis.info("memory"))["used_memory"]
        least = {name: min(found[name] for found in rounds) for name in rounds[0]}
        return {"stored": size, **least, "bytes an execution": memory / max(1, size)}

    async def _round(self) -> dict[str, float]:
        create = await self._cost(self._create, TIMES)
        segment = await self._cost(self._run, TIMES * LONG)
        load = await self._cost(self._load, TIMES)
        sweep = await self._cost(self._sweep, SWEEPS)
        page = await self._cost(self._list, SWEEPS)
        retire = await self._cost(self._retire, 1)
        return {
            "create and ack, us": create[1],
            "a step in a segment of ten, us": segment[1],
            "load of ten results, us": load[1],
            "sweep, commands": sweep[0],
            "sweep, us": sweep[1],
            "page of fifty, commands": page[0],
            "page of fifty, us": page[1],
            "look for what may go, us": retire[1],
        }

    async def _cost(self, work: Callable[[], Awaitable[None]], times: int) -> tuple[float, float]:
        """Commands and microseconds of the server's thread, for one of `times`."""
        nothing = await self._taken()
        before = await self._taken()
        await work()
        after = await self._taken()
        looking = (before[0] - nothing[0], before[1] - nothing[1])
        return tuple((then - now - own) / times for then, now, own in zip(after, before, looking, strict=True))  # type: ignore[return-value]

    async def _taken(self) -> tuple[float, float]:
        """Commands and microseconds so far. Processor time: what else the machine does is not in it."""
        found: dict[str, Any] = await self.redis.info("all")
        micros = (found["used_cpu_user_main_thread"] + found["used_cpu_sys_main_thread"]) * 1e6
        return float(found["total_commands_processed"]), float(micros)

    async def _create(self) -> None:
        self._executions = [await self.filler.born(self._plan, self._blueprint) for _ in range(TIMES)]
        await self.filler.acks.close()

    async def _run(self) -> None:
        acks = Acks(self.store)
        interpreter = Interpreter(
            store=self.store, sender=Sender(Taken(), acks), tools=Instant(), clock=SystemClock(), limits=LIMITS
        )
        for execution in self._executions:
            answer = await interpreter.run(Delivery(execution=execution), started_ms=SystemClock().monotonic_ms())
            assert answer.result == Status.COMPLETED, answer
        await acks.close()

    async def _load(self) -> None:
        for execution in self._executions:
            assert len(await self.store.load_results(execution, range(LONG))) == LONG

    async def _sweep(self) -> None:
        acks = Acks(self.store)
        async with HttpClient() as client:
            watchdog = Watchdog(self.store, Relay(self.store, Untouched(), acks), acks, Answering(client), rate=200)
            for _ in range(SWEEPS):
                await watchdog.sweep()
        await acks.close()

    async def _list(self) -> None:
        for _ in range(SWEEPS):
            found = await search(Reader(self.redis), TENANT, Filter(), count=50)
            assert len(found.rows) == 50

    async def _retire(self) -> None:
        assert await Archiver(self.store, Reader(self.redis), None).run_once() == 0


async def curve(redis: Redis, kind: str, sizes: list[int]) -> list[dict[str, float]]:
    """A row a size, each on top of the one before."""
    stage, stored, rows = Stage(redis), 0, []
    one = stage.filler.finished if kind == "finished" else stage.filler.waiting
    for size in sorted(sizes):
        await stage.filler.fill(one, size - stored)
        stored = size
        rows.append(await stage.row(size))
        stored += TIMES * ROUNDS
        print(_line(f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}" for value in rows[-1].values()), flush=True)
    return rows


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


async def main(finished: list[int], waiting: list[int]) -> None:
    """A table for each kind."""
    for kind, sizes in (("finished", finished), ("waiting", waiting)):
        with TemporaryDirectory() as folder, start_valkey(Path(folder), "no") as valkey:
            async with connect(valkey.url) as redis:
                await until_there(redis)
                head = list(await Stage(redis).row(1)) if sizes else []
                await redis.flushall()
                if sizes:
                    print(f"\n{kind}\n\n{_line(head)}\n|{' --- |' * len(head)}", flush=True)
                await curve(redis, kind, sizes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--finished", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--waiting", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    configure(service="bench", format="json", level="error")
    said = parser.parse_args()
    asyncio.run(main(said.finished, said.waiting))
