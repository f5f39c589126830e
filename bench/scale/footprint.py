"""What one execution asks of Redis and of QStash: played for real, with the server itself telling every command that it ran.

Real ledger, store and interpreter on a real Valkey; tools (simulated) that answer at once, a queue (simulated) that takes
everything. `MONITOR` tells of the commands inside the scripts too, so a key that a script names by itself is counted as well.
"""

import re
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, Literal, TypeAlias

import msgspec
from redis.asyncio import Redis

from shared.background import Background
from shared.clock import SystemClock, new_execution_id
from shared.interpret import Interpreter
from shared.invocation import Delivery, Limits
from shared.machine import plan as plans
from shared.machine.accept import Limits as PlanLimits
from shared.machine.accept import accept
from shared.machine.decision import Start
from shared.machine.events import Done, Outcome
from shared.machine.plan import Blueprint, Contract, Effect, PlanDraft
from shared.machine.state import Header
from shared.machine.status import Status
from shared.ports import Birth, Created, Entry, Receipt
from shared.quota import TAIL_MS, demand_of
from shared.quota_keeper import Keeper
from shared.redisdb import keys
from shared.redisdb.births import RedisBirths
from shared.redisdb.quota import RedisLedger
from shared.redisdb.store import RedisStore
from shared.relay import Acks, Sender
from shared.settings_load import load

NOW: Final = 1_800_000_000_000
SLEEP_MS: Final = 3_600_000
RETENTION_MS: Final = 7 * 86_400_000
TENANT: Final = "acme"
Scope: TypeAlias = Literal["execution", "tenant and partition", "partition", "tenant", "everybody"]
"""Who has a key of a kind for himself."""
CONTRACTS: Final = {"work": Contract(version="1", effect=Effect.IDEMPOTENT)}
LIMITS: Final = Limits(
    hard_ms=10_000,
    checkpoint_ms=7_500,
    cutoff_ms=8_000,
    lease_ms=11_000,
    parallel=16,
    steps_per_message=0,
    stalled=5,
    continue_delay_ms=0,
)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of execution. `packed`: as many steps a message as fit; else one."""

    name: str
    steps: int
    packed: bool = True
    sleeps: bool = False

    @property
    def plan(self) -> dict[str, Any]:
        """Its steps, one after the other, each with the output of the one before; in the middle it may sleep."""
        steps: list[dict[str, Any]] = [
            {
                "name": f"s{number}",
                "tool": "work",
                "args": {"label": f"step {number}", "before": f"${{s{number - 1}.job}}" if number else "none"},
            }
            for number in range(self.steps)
        ]
        if self.sleeps:
            half = self.steps // 2
            steps[half:half] = [{"name": "nap", "sleep": {"ms": SLEEP_MS}, "needs": [f"s{half - 1}"]}]
            steps[half + 1]["needs"] = ["nap"]
        return {"steps": steps}


SHAPES: Final = (
    Shape(name="1 step", steps=1),
    Shape(name="10 steps, packed", steps=10),
    Shape(name="10 steps, a message each", steps=10, packed=False),
    Shape(name="10 steps, with a sleep", steps=10, sleeps=True),
)


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Of one execution, from admission to its end, on average. `touches`: (kind of key, command) -> how often."""

    touches: dict[tuple[str, str], float]
    scopes: dict[str, Scope]
    """Kind of key -> how many share one."""
    scripts: float
    commands: float
    """Top level: scripts, and reads beside them."""
    segments: float
    messages: float

    def on(self, kind: str) -> float:
        """How often a key of that kind is touched."""
        return sum(count for (name, _), count in self.touches.items() if name == kind)

    @property
    def inner(self) -> float:
        """Commands, those inside the scripts with them."""
        return sum(self.touches.values())


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """What Redis keeps of one execution, bytes by kind of key; and what it costs on the wire, on disk and of the server."""

    born: dict[str, int]
    asleep: dict[str, int]
    """While it sleeps; of a shape that does not, as `born`."""
    ended: dict[str, int]
    bytes_in: float
    bytes_out: float
    aof: float
    server_us: float


class Instant:
    """A ToolRunner (simulated) whose calls are done at once."""

    async def run(self, start: Start, _deadline_s: float) -> Outcome:
        """See the port."""
        return Done(output={"job": f"job-{start.step}", "note": "done as it was asked"})


class Counted:
    """A Queue (simulated) that takes everything; the messages are counted."""

    messages = 0

    async def publish(self, entry: Entry) -> Receipt:
        """See the port."""
        self.messages += entry.kind == "qstash" or entry.cost != 0
        return Receipt(message=f"msg_{secrets.token_hex(20)}")


class Stage:
    """The engine's own parts on one Redis, with the clock in hand. Use as an async context manager."""

    def __init__(self, redis: Redis, *, partition: str | None = None) -> None:
        """`partition`: all executions lie there, as in a store that is full."""
        self._redis = redis
        self._partition = partition
        self.store = RedisStore(redis, retention_ms=RETENTION_MS, now_ms=NOW)
        self._ledger = RedisLedger(redis, now_ms=NOW)
        self.queue = Counted()
        self._acks = Acks(self.store)
        self._background = Background()
        many = str(10**9)
        configured = load({"INTENTION_MODE": "local", "QUOTA_DAY": many, "QUOTA_MONTH": many, "QUOTA_CONCURRENT": many})
        self._births = RedisBirths(redis, self.store, self._ledger, now_ms=NOW)
        self._keeper = Keeper(
            ledger=self._ledger, store=self.store, settings=configured, background=self._background, births=self._births
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Stage":
        self._stack.push_async_callback(self._acks.close)
        self._stack.push_async_callback(self._background.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def forward(self, ms: int) -> None:
        """Let `ms` pass."""
        self.store.now_ms = self._ledger.now_ms = self._births.now_ms = (self.store.now_ms or NOW) + ms

    async def born(self, shape: Shape, *, key: str = "") -> str:
        """Admitted and created, as ingress does it; its first message is taken."""
        most = PlanLimits(steps=1_000, argument_bytes=1_000_000, step_ms=8_000)
        draft = msgspec.convert(shape.plan, PlanDraft)
        plan = accept(draft, contracts=CONTRACTS, check_args=lambda *_: iter(()), limits=most)
        data = plans.encode(plan)
        blueprint = Blueprint(data)
        execution = new_execution_id(keys.spread(f"{TENANT}/{key}") if key else self._partition)
        if key:
            await self.store.made_by(TENANT, key)
        header = Header(id=execution, tenant=TENANT, plan=blueprint.hash, status=Status.PLANNED, trace=secrets.token_hex(16))
        fields = {"user": "ann", "text": "Do these jobs, one after the other", "summary": f"{shape.steps} jobs"}
        birth = Birth(
            header=header,
            plan=data,
            cells=blueprint.plan.first_cells(),
            fields=fields,
            request_hash=secrets.token_hex(32),
            idempotency_key=key,
        )
        made = await self._keeper.create(birth, demand_of(plan))
        assert isinstance(made, Created)
        assert made.entry is not None
        await self._sender().send(made.entry, "the first step")
        await self.settled()
        return execution

    def _sender(self) -> Sender:
        return Sender(self.queue, self._acks, self._background, now_ms=lambda: self.store.now_ms or NOW)

    async def run(self, shape: Shape, executions: Sequence[str]) -> int:
        """Segment after segment, until all are over or asleep; how many segments."""
        limits = msgspec.structs.replace(LIMITS, steps_per_message=0 if shape.packed else 1)
        interpreter = Interpreter(
            store=self.store,
            sender=self._sender(),
            tools=Instant(),
            clock=SystemClock(),
            limits=limits,
            quota=self._keeper,
        )
        segments = 0
        for execution in executions:
            result = ""
            while result not in {Status.COMPLETED, "suspended"}:
                began = SystemClock().monotonic_ms()
                answer = await interpreter.run(Delivery(execution=execution, reason="created"), started_ms=began)
                assert answer.status == 200, answer
                result, segments = answer.result, segments + 1
                await self.settled()
        return segments

    async def played(self, shape: Shape, order: Sequence[str]) -> int:
        """An execution for each Idempotency-Key, from admission to its end; how many segments."""
        some = [await self.born(shape, key=key) for key in order]
        segments = await self.run(shape, some)
        if shape.sleeps:
            self.forward(SLEEP_MS + 60_000)
            segments += await self.run(shape, some)
        return segments

    async def settled(self) -> None:
        """What goes on behind an answer is done."""
        await self._background.close()
        await self._acks.close()


async def measure(redis: Redis, shape: Shape, *, executions: int = 10) -> Footprint:
    """Play that shape; the store must be empty, and nobody else may use the server."""
    async with Stage(redis) as stage:
        await stage.played(shape, ["the first, which loads the scripts"])
        before = stage.queue.messages
        async with Watched(redis) as seen:
            segments = await stage.played(shape, [f"order {number}" for number in range(executions)])
            await seen.until_now()
        messages = stage.queue.messages - before
    touches = {pair: count / executions for pair, count in seen.touches.items()}
    scripts = seen.asked["EVALSHA"] + seen.asked["EVAL"]
    return Footprint(
        touches=touches,
        scopes={kind_of(name): scope_of(name) for name in seen.keys},
        scripts=scripts / executions,
        commands=sum(seen.asked.values()) / executions,
        segments=segments / executions,
        messages=messages / executions,
    )


async def weigh(redis: Redis, shape: Shape, *, executions: int = 500) -> Weight:
    """Play that shape on one partition, so that the indexes are as long as those of a full store; the store must be empty."""
    async with Stage(redis, partition="0a") as stage:
        before = await _stats(redis)
        some = [await stage.born(shape) for _ in range(executions)]
        born = asleep = await _bytes(redis, executions)
        await stage.run(shape, some)
        if shape.sleeps:
            asleep = await _bytes(redis, executions)
            stage.forward(SLEEP_MS + 60_000)
            await stage.run(shape, some)
        after = await _stats(redis)
        stage.forward(TAIL_MS + 1)
        ended = await _bytes(redis, executions)
    each = {name: (after[name] - before[name]) / executions for name in after}
    return Weight(born=born, asleep=asleep, ended=ended, **each)


async def _stats(redis: Redis) -> dict[str, float]:
    found = await redis.info("everything")
    spent = sum(one["usec"] for name, one in found.items() if name in {"cmdstat_evalsha", "cmdstat_eval"})
    return {
        "bytes_in": found["total_net_input_bytes"],
        "bytes_out": found["total_net_output_bytes"],
        "aof": found.get("aof_current_size", 0),
        "server_us": spent,
    }


async def _bytes(redis: Redis, executions: int) -> dict[str, int]:
    sums: Counter[str] = Counter()
    names = [name async for name in redis.scan_iter(match="ie:*", count=1_000)]
    for start in range(0, len(names), 500):
        pipe = redis.pipeline(transaction=False)
        for name in names[start : start + 500]:
            pipe.memory_usage(name, samples=0)
        for name, size in zip(names[start : start + 500], await pipe.execute(), strict=True):
            sums[kind_of(name.decode())] += size
    return {kind: round(size / executions) for kind, size in sums.most_common()}


def kind_of(name: str) -> str:
    """What a key is: the first word behind its tag, with a `q` before those of the quota."""
    tag, _, rest = name.partition("{")[2].partition("}:")
    kind = rest.partition(":")[0]
    return f"q:{kind}" if tag.startswith("q:") else kind


def scope_of(name: str) -> Scope:
    """How many share a key of that name."""
    tag, _, rest = name.partition("{")[2].partition("}:")
    if "exe_" in rest or rest.startswith("idem:"):
        return "execution"
    if tag.startswith("q:"):
        return "tenant"
    if re.fullmatch("p[0-3][0-9a-f]", tag):
        return "tenant and partition" if ":" in rest else "partition"
    return "everybody"


class Watched:
    """Every command that the server runs, by the key that it touches. Use as an async context manager."""

    def __init__(self, redis: Redis) -> None:
        """Nobody else may use that server meanwhile."""
        self._redis = redis
        self._monitor = redis.monitor()
        self.touches: Counter[tuple[str, str]] = Counter()
        """By (kind of key, command): also those inside the scripts, and not the scripts themselves."""
        self.asked: Counter[str] = Counter()
        """By command: those that came from outside."""
        self.keys: Counter[str] = Counter()
        """By key."""

    @property
    def kinds(self) -> Counter[str]:
        """By kind of key."""
        found: Counter[str] = Counter()
        for (kind, _), count in self.touches.items():
            found[kind] += count
        return found

    async def __aenter__(self) -> "Watched":
        await self._monitor.__aenter__()  # type: ignore[no-untyped-call] # redis-py's
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._monitor.__aexit__(None, None, None)  # type: ignore[no-untyped-call] # redis-py's

    async def until_now(self) -> None:
        """Take note of all that was run before this call."""
        mark = secrets.token_hex(8)
        await self._redis.echo(mark)
        while True:
            found = await self._monitor.next_command()
            words = found["command"].split(" ", 3)
            if words[:2] == ["ECHO", mark]:
                return
            self._note(words, inner=found["client_type"] == "lua")

    def _note(self, words: Sequence[str], *, inner: bool) -> None:
        command = words[0].upper()
        if not inner and command in _CONNECTING:
            return
        if not inner:
            self.asked[command] += 1
        if len(words) > 1 and words[1].startswith("ie:"):
            self.touches[kind_of(words[1]), command] += 1
            self.keys[words[1]] += 1


_CONNECTING: Final = frozenset({"HELLO", "CLIENT", "SELECT", "AUTH", "MONITOR", "SCRIPT"})
