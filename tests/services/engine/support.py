"""What these tests stand on: a real store whose clock the test holds, simulated tools and queues, real loopback servers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from shared.clock import SystemClock, new_execution_id
from shared.http import Json
from shared.interpret import Interpreter
from shared.invocation import Answer, Delivery, Limits
from shared.machine import plan as plans
from shared.machine.decision import Changes, Start
from shared.machine.events import Done, Outcome
from shared.machine.plan import Blueprint, Contract, Effect, Plan, Retry, Step, Undo
from shared.machine.state import Header
from shared.machine.status import Status
from shared.ports import Birth, Clock, Commit, Created, Entry, Going, Lease, Receipt
from shared.redisdb.reader import Reader
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Relay, Sender
from shared.settings import Settings
from shared.settings_load import load
from tests.support.executions import NOW, RETENTION_MS
from tests.support.waiting import eventually

TENANT = "acme"
LIMITS = Limits(
    hard_ms=10_000,
    checkpoint_ms=7_500,
    cutoff_ms=8_000,
    lease_ms=11_000,
    parallel=16,
    steps_per_message=0,
    stalled=5,
    continue_delay_ms=0,
)
ONCE = Retry(attempts=1)
CONTRACTS = {
    "work": Contract(version="1", effect=Effect.IDEMPOTENT, timeout_ms=2_000, undo=Undo.TOMBSTONE),
    "look": Contract(version="1", effect=Effect.PURE, timeout_ms=2_000),
    "risk": Contract(version="1", effect=Effect.UNSAFE, timeout_ms=2_000),
}


def configured(**variables: str) -> Settings:
    """Local mode's settings with these variables on top; no system that runs on this machine is reached by default."""
    nowhere = dict.fromkeys(("QSTASH_URL", "ABLY_URL", "TOWN_URL"), "http://127.0.0.1:9")
    return load({"INTENTION_MODE": "local", **nowhere, **variables})


def step(name: str, *needs: str, tool: str = "work", **other: Any) -> Step:
    """A step of an accepted plan."""
    facts: dict[str, Any] = {"args": {}, "retry": ONCE, "timeout_ms": 2_000}
    return Step(name=name, tool=tool, needs=needs, **(facts | other))


def chain(count: int, **other: Any) -> list[Step]:
    """Steps one after the other."""
    return [step(f"s{number}", *([f"s{number - 1}"] if number else []), **other) for number in range(count)]


Meddle = Callable[[str, Going], Awaitable[None]]


class MeddlingStore(RedisStore):
    """The real store; `before` and `after` run around a commit, as others' actions at the worst moment would."""

    before: Meddle | None = None
    after: Meddle | None = None
    ack_error: Exception | None = None
    """What an acknowledgement fails with."""

    async def begin(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """As ever."""
        return await self._meddled("begin", super().begin(lease, ver=ver, seen=seen, kept=kept, going=going), going)

    async def commit(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """As ever."""
        return await self._meddled("commit", super().commit(lease, ver=ver, seen=seen, kept=kept, going=going), going)

    async def relay_ack(self, sent: Sequence[tuple[Entry, str]]) -> None:
        """As ever, unless it is to fail."""
        if self.ack_error is not None:
            raise self.ack_error
        await super().relay_ack(sent)

    async def _meddled(self, name: str, command: Coroutine[Any, Any, Commit], going: Going) -> Commit:
        try:
            if self.before is not None:
                await self.before(name, going)
        except BaseException:
            command.close()
            raise
        answer = await command
        if self.after is not None:
            await self.after(name, going)
        return answer


class HandClock:
    """Time stands still until the test, or a simulated tool, moves it; the store's clock moves with it."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._ms = 5_000.0
        store.now_ms = NOW

    def monotonic_ms(self) -> float:
        """See `shared.ports.Clock`."""
        return self._ms

    def forward(self, ms: int) -> None:
        """Let `ms` pass."""
        self._ms += ms
        self._store.now_ms = (self._store.now_ms or NOW) + ms


Act = Callable[[Start, float], Awaitable[Outcome]]


async def instantly(start: Start, _: float) -> Outcome:
    """Done at once."""
    return Done(output={"of": start.step})


@dataclass
class SimulatedTools:
    """A ToolRunner that calls nobody: what a call comes to is the test's function, by step name."""

    acts: dict[str, Act] = field(default_factory=dict)
    otherwise: Act = instantly
    started: list[Start] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)

    async def run(self, start: Start, deadline_s: float) -> Outcome:
        """See `shared.ports.ToolRunner`."""
        self.started.append(start)
        self.deadlines.append(deadline_s)
        return await self.acts.get(start.step, self.otherwise)(start, deadline_s)

    @property
    def names(self) -> list[str]:
        """The steps that were called, in order; an undo with `undo ` before it."""
        return [f"undo {one.step}" if one.undo else one.step for one in self.started]


def taking(clock: HandClock, ms: int, outcome: Outcome | None = None) -> Act:
    """A call that takes `ms` of the hand clock."""

    async def act(start: Start, _: float) -> Outcome:
        clock.forward(ms)
        return outcome or Done(output={"of": start.step})

    return act


@dataclass
class SimulatedQueue:
    """A Queue without a network: remembers what it was given, and answers as it is told to."""

    refusing: str = ""
    hanging: bool = False
    taken: list[Entry] = field(default_factory=list)

    async def publish(self, entry: Entry) -> Receipt:
        """See `shared.ports.Queue`."""
        if self.hanging:
            await asyncio.Event().wait()
        if self.refusing:
            return Receipt(error=self.refusing)
        known = any(one.id == entry.id for one in self.taken)
        self.taken.append(entry)
        return Receipt(message=f"msg_{entry.id}", deduplicated=known)


@dataclass
class Stage:
    """An interpreter over a real store, with everything that a test may want to hold."""

    redis: Redis
    store: MeddlingStore
    tools: SimulatedTools
    queue: SimulatedQueue
    acks: Acks
    clock: Clock
    limits: Limits = LIMITS
    contracts: dict[str, Contract] = field(default_factory=lambda: CONTRACTS)

    def __post_init__(self) -> None:
        self.interpreter = Interpreter(
            store=self.store,
            sender=Sender(self.queue, self.acks),
            tools=self.tools,
            clock=self.clock,
            limits=self.limits,
        )
        self.reader = Reader(self.redis)
        self.relay = Relay(self.store, self.queue, self.acks)

    @property
    def hand(self) -> HandClock:
        """The clock, where it is one to be moved by hand."""
        assert isinstance(self.clock, HandClock)
        return self.clock

    async def create(
        self,
        steps: Sequence[Step],
        *,
        partition: str | None = None,
        timeout_ms: int = 0,
        contracts: Mapping[str, Contract] | None = None,
    ) -> str:
        """A stored execution, whose first message is with QStash already; the count of script calls starts at 0."""
        data = plans.encode(Plan(steps=tuple(steps), contracts=dict(contracts or self.contracts)))
        header = self.header_of(data, partition)
        cells = plans.decode(data).first_cells()
        birth = Birth(header=header, plan=data, cells=cells, fields={}, timeout_ms=timeout_ms, request_hash="r")
        created = await self.store.create(birth)
        assert isinstance(created, Created)
        assert created.entry is not None
        await self.store.relay_ack([(created.entry, "msg_first")])
        self.store.calls.clear()
        return header.id

    def header_of(self, plan: bytes, partition: str | None = None) -> Header:
        """A new execution's header."""
        execution, plan_hash = new_execution_id(partition), Blueprint(plan).hash
        return Header(id=execution, tenant=TENANT, plan=plan_hash, status=Status.PLANNED, trace="t" * 32)

    async def run(self, execution: str, *, segment: int = -1, late_ms: int = 0, **more: Any) -> Answer:
        """One delivery. `late_ms`: how long the invocation had been waiting before it came to us."""
        delivery = Delivery(execution=execution, segment=segment, **more)
        answer = await self.interpreter.run(delivery, started_ms=self.clock.monotonic_ms() - late_ms)
        await self.acks.close()
        return answer

    async def header(self, execution: str) -> dict[str, str]:
        """The record's header fields."""
        return await self.reader.header(execution, TENANT)

    async def done_steps(self, execution: str) -> int:
        """How many steps are done."""
        return (await self.reader.view(execution, TENANT)).done_steps

    async def events(self, execution: str) -> list[str]:
        """The history's events, with the step's name where there is one."""
        lines = await self.reader.history(execution, TENANT)
        return [f"{line['event']} {line['step']}" if line.get("step") else line["event"] for line in lines]

    async def outbox(self) -> list[Entry]:
        """Every entry that nobody has acknowledged."""
        found: list[Entry] = []
        async for name in self.redis.scan_iter("ie:*:obh", count=1000):
            found += [msgspec.json.decode(text, type=Entry) for text in (await self.redis.hgetall(name)).values()]
        return found


def staged(redis: Redis, *, clock: Clock | None = None, **limits: int) -> Stage:
    """A stage with a hand clock, unless another clock is given; `limits` replace the platform's."""
    store = MeddlingStore(redis, retention_ms=RETENTION_MS)
    return Stage(
        redis=redis,
        store=store,
        tools=SimulatedTools(),
        queue=SimulatedQueue(),
        acks=Acks(store),
        clock=clock or HandClock(store),
        limits=msgspec.structs.replace(LIMITS, **limits),
    )


def really(redis: Redis, **limits: int) -> Stage:
    """A stage whose time is the real one."""
    return staged(redis, clock=SystemClock(), **limits)


@asynccontextmanager
async def serving(app: ASGIApp, *, lifespan: str = "off") -> AsyncIterator[str]:
    """The application behind a real socket on loopback; its base URL."""
    # Named TCP: of a socket with protocol 0 asyncio does not switch Nagle's algorithm off, and every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan=lifespan, log_config=None, access_log=False)  # type: ignore[arg-type] # a Literal
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])  # not `serve`: its loop looks only ten times a second whether to stop
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await eventually(lambda: not server.server_state.tasks, within=15, describe="what is under way has ended")
        for one in server.servers:
            one.close()
        await server.lifespan.shutdown()


@dataclass
class Taken:
    """One request as a receiver got it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def items(self) -> list[dict[str, Any]]:
        """The messages of a batch."""
        found: list[dict[str, Any]] = msgspec.json.decode(self.body)
        return found


Reply = Callable[[Taken], Awaitable[Response]]


async def all_taken(request: Taken) -> Response:
    """What QStash says to a batch it likes."""
    return Json([{"messageId": f"msg_{item['headers']['Upstash-Deduplication-Id']}"} for item in request.items])


@dataclass
class Receiver:
    """A real HTTP server that remembers what it got and answers as the test says. Stands for QStash, or for an executor."""

    url: str = ""
    reply: Reply = all_taken
    taken: list[Taken] = field(default_factory=list)

    async def handle(self, request: Request) -> Response:
        """Remember, then answer."""
        found = Taken(request.url.path, dict(request.headers), await request.body())
        self.taken.append(found)
        return await self.reply(found)

    @property
    def items(self) -> list[dict[str, Any]]:
        """All messages of all batches."""
        return [item for request in self.taken for item in request.items]


@asynccontextmanager
async def receiving(reply: Reply = all_taken) -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    here = Receiver(reply=reply)
    methods = ["GET", "POST", "PUT", "DELETE"]
    async with serving(Starlette(routes=[Route("/{rest:path}", here.handle, methods=methods)])) as here.url:
        yield here
