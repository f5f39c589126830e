"""Builds a scenario's surroundings around the real engine, lets it run until everything rests, and has the oracle judge."""

import asyncio
import random
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog

from shared.event_ports import NamedEvent
from shared.invocation import Answer, Delivery, Limits
from shared.logs import with_ids
from shared.machine import accept as accepting
from shared.machine import plan as plans
from shared.machine.events import Patience
from shared.machine.plan import Blueprint, Plan, PlanDraft
from shared.machine.state import Header, Notes, Replan
from shared.machine.status import Status
from shared.machine.versions import extended
from shared.ports import Accepted, Birth, Created, Entry, Exists, Stopped, Words
from shared.redisdb import keys
from shared.simulation import loop, peek, processes
from shared.simulation.ably import Ably
from shared.simulation.calls import Wire
from shared.simulation.chance import seeded
from shared.simulation.faults import PEOPLE, Fault, Faults
from shared.simulation.model import Model
from shared.simulation.noise import Noise
from shared.simulation.oracle import Ended, Oracle
from shared.simulation.people import Word, answer
from shared.simulation.plans import is_plain
from shared.simulation.processes import Scope
from shared.simulation.promises import Broken
from shared.simulation.qstash import Message, QStash
from shared.simulation.redis import Server
from shared.simulation.scenario import DEATHS, DELAYS, SIGNALS, Scenario
from shared.simulation.services import Direct, Executor, Ingress, Parts, Resume, as_client, send_later
from shared.simulation.timeline import Timeline
from shared.simulation.town import Town
from shared.tools.registry import Registry, Runner

EPOCH_MS: Final = 1_800_000_000_000
"""Unix ms at which every run begins."""
TENANT: Final = "simulated"
REST_S: Final = 3 * 3_600
"""A run that is not at rest after so much virtual time is stuck."""
PATIENCE: Final = 15
"""Turns in which people deal with what waits."""
LOOK_S: Final = 0.25
MOMENT_S: Final = 0.1
INVOCATION_MS: Final = 9_500
_PLAN: Final = accepting.Limits(steps=10_000, argument_bytes=65_536, step_ms=8_000)


class Outcome(msgspec.Struct, kw_only=True):
    """What a run came to."""

    seed: int
    ends: dict[str, int] = {}
    """Executions by what they came to."""
    injected: dict[str, int] = {}
    counts: dict[str, int] = {}
    """Messages, deliveries, commands, early wakes, calls."""
    moves: dict[str, int] = {}
    """Status moves that were made, `A -> B`."""
    check: str = ""
    """The promise that was broken; empty if none was."""
    message: str = ""
    timeline: list[str] = []
    finals: list[Ended] = []


def play(scenario: Scenario, *, kept: bool = False, registry: Registry | None = None) -> Outcome:
    """Run a scenario. `kept`: with its timeline. `registry`: somebody's own tools instead of the town's."""
    with seeded(scenario.seed):
        return loop.run(_play(scenario, kept, registry))


async def _play(scenario: Scenario, kept: bool, registry: Registry | None) -> Outcome:  # noqa: FBT001 - of `play`
    asyncio.get_running_loop().set_task_factory(processes.task_factory)
    world = World(scenario, kept=kept, registry=registry)
    with structlog.testing.capture_logs() if not kept else world.logs():
        return await world.run()


class World:
    """One run."""

    def __init__(self, scenario: Scenario, *, kept: bool, registry: Registry | None) -> None:
        """Builds everything; nothing runs yet."""
        setting = scenario.setting
        self.scenario = scenario
        self.loop = asyncio.get_running_loop()
        self.timeline = Timeline(lambda: self.loop.time() * 1000, kept=kept)
        self.faults = Faults(scenario.faults)
        self.noise = Noise(scenario.seed)
        town = None if registry else Town(self.timeline)
        self.registry = registry or (town.registry() if town else Registry())
        self.server = Server(
            now_ms=self.now_ms,
            faults=self.faults,
            noise=self.noise,
            timeline=self.timeline,
            strict=setting.strict,
            twice=setting.twice,
            films=scenario.has("failover"),
        )
        self.oracle = Oracle(scenario, self.server.memory, town)
        self.qstash = QStash(
            now_ms=self.now_ms, faults=self.faults, noise=self.noise, timeline=self.timeline, dead=not setting.qstash
        )
        self.ably = Ably(faults=self.faults, noise=self.noise, timeline=self.timeline, dead=not setting.ably)
        contracts = self.registry.contracts()
        self.wire = Wire(
            Runner(self.registry),
            contract_of=contracts.__getitem__,
            faults=self.faults,
            noise=self.noise,
            timeline=self.timeline,
        )
        self.model = Model(faults=self.faults, noise=self.noise, timeline=self.timeline, extend=self._extended)
        self.executions: list[str] = []
        self.broken: Broken | None = None
        self.over = False
        self._all_said = False
        self._connect()
        self._boot(contracts)

    def now_ms(self) -> int:
        """Unix ms by Redis's clock, which is the world's."""
        return EPOCH_MS + int(self.loop.time() * 1000 + 1e-6)

    # building

    def _connect(self) -> None:
        self.server.after = self._judged(self.oracle.after)
        self.server.remember = self.oracle.remember
        self.server.forgot = self.oracle.forget
        self.wire.before = self._judged(self.oracle.before_call)
        self.wire.told = self.oracle.told
        self.wire.ended = self.oracle.call_ended
        self.qstash.deliver = self._deliver
        self.qstash.bury = self._bury
        self.ably.deliver = self._hear

    def _judged(self, check: Callable[..., None]) -> Callable[..., None]:
        """The first broken promise stops the run, wherever in it the check was made."""

        def judge(*args: Any) -> None:
            self.oracle.now_ms = self.now_ms()
            try:
                check(*args)
            except Broken as broken:
                self._break(broken)

        return judge

    def _break(self, broken: Broken) -> None:
        if self.broken is None:
            self.broken = broken
            self.timeline.say("ORACLE", str(broken))

    def _crashed(self, error: BaseException) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        self._break(Broken("no segment crashes", f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"))

    def _boot(self, contracts: Any) -> None:
        setting = self.scenario.setting
        limits = Limits(
            hard_ms=10_000 if setting.limit else 120_000,
            checkpoint_ms=7_500,
            cutoff_ms=8_000,
            lease_ms=11_000,
            parallel=setting.parallel,
            steps_per_message=setting.steps_per_message,
            stalled=setting.stalled,
            continue_delay_ms=setting.continue_delay_ms,
        )
        self._contracts = contracts
        self.executors = [
            Executor(
                f"executor {number}",
                parts=self._parts,
                tools=self.wire,
                planner=self.model,
                limits=limits,
                offset_ms=self.noise.below(10**9),
                on_step=self._on_step,
                timeline=self.timeline,
            )
            for number in range(setting.executors)
        ]
        for executor in self.executors:
            executor.crashed = self._crashed
        self.ingress = Ingress("ingress", parts=self._parts, timeline=self.timeline)
        self.resume = Resume(
            "resume",
            parts=self._parts,
            anything_due=lambda: self.server.anything_due(self.now_ms()),
            before_sweep=self._on_sweep,
            watches=setting.watchdog,
            executor=as_client(Direct(self._choose)),
            timeline=self.timeline,
        )

    def _parts(self) -> Parts:
        direct = as_client(Direct(self._choose)) if self.scenario.setting.direct else None
        server = self.server
        events, slots = server.events_port(), server.slots_port()
        return Parts(server.store(), self.qstash, self.ably, direct, events, slots, now_ms=self.now_ms)

    def logs(self) -> Any:
        """The engine's own log lines, taken into the timeline."""
        return _Logs(self.timeline)

    # running

    async def run(self) -> Outcome:
        """To the end, or to the first broken promise."""
        try:
            for number, draft in enumerate(self.scenario.plans):
                processes.outside(self._create(number, draft))
            processes.outside(self._people())
            await self._until_rest()
            if self.scenario.setting.finally_ and not self.broken:
                await self._finally(self.scenario.setting.finally_)
            if not self.broken:
                await self._drain()
                await self._until_rest()
                self._judge()
        except Broken as broken:
            self._break(broken)
        self.over = True
        return self._outcome()

    async def _until_rest(self) -> None:
        limit = self.loop.time() + REST_S
        while not self.broken and not self._all_rest():
            if self.loop.time() > limit:
                raise Broken("comes to rest", f"not after {REST_S} s: {self._standing()}")
            await asyncio.sleep(LOOK_S)

    def _all_rest(self) -> bool:
        ready = self._all_said and len(self.executions) == len(self.scenario.plans)
        ready = ready and not peek.commands_open(self.server.memory)
        return ready and all(self.oracle.resting(execution) for execution in self._all())

    def _all(self) -> list[str]:
        """What was accepted, and its children."""
        return list(dict.fromkeys([*self.executions, *peek.executions(self.server.memory)]))

    def _standing(self) -> str:
        seen = [peek.record(self.server.memory, execution) for execution in self._all()]
        return "; ".join(
            f"{one.header.status} ({one.header.reason}) as {one.cells.decode()}, due in {(one.due_ms or 0) - self.now_ms()} ms"
            for one in seen
            if one and not one.over
        )

    async def _finally(self, what: str) -> None:
        """People deal with what waits for one, again and again: an answer may lead to the next question."""
        for turn in range(PATIENCE):
            await self._until_landed()
            waiting = [one for one in peek.executions(self.server.memory) if not self._over(one)]
            if not waiting or self.broken:
                return
            for execution in waiting:
                await self._deal(execution, what, sid=f"finally {turn}")
            await self._until_rest()

    async def _deal(self, execution: str, what: str, *, sid: str) -> None:
        seen = peek.record(self.server.memory, execution)
        if seen is None or seen.over:
            return
        if what == "cancel":
            await self._say(execution, Word("cancel", {"reason": "finally"}), sid="cancel")
            return
        word = answer(seen, self.oracle.blueprint(execution), self.oracle.town, random.Random(self.scenario.seed))
        if word is not None and not (word.kind == "settle" and self.wire.on_the_way):  # nobody can know yet
            await self._say(execution, word, sid=sid)

    def _over(self, execution: str) -> bool:
        seen = peek.record(self.server.memory, execution)
        return seen is None or seen.due_ms is None

    async def _drain(self) -> None:
        """Late messages and late requests land on what is over already."""
        limit = self.loop.time() + 900
        while (self.qstash.on_the_way or self.ably.on_the_way) and self.loop.time() < limit and not self.broken:  # noqa: ASYNC110 - virtual, and free
            await asyncio.sleep(1)
        await self._until_landed()

    async def _until_landed(self) -> None:
        """No request to a tool is on its way any more."""
        while self.wire.on_the_way and not self.broken:  # noqa: ASYNC110 - as above
            await asyncio.sleep(1)

    # what happens in it

    async def _create(self, number: int, draft: PlanDraft) -> None:
        """A client with an Idempotency-Key: asks until it is answered."""
        birth = self._birth(number, draft)

        async def create(parts: Parts) -> str:
            stored = await parts.store.create(birth)
            if isinstance(stored, Created):
                send_later(parts, stored.entry, "the first step")
            return stored.execution if isinstance(stored, Exists) else birth.header.id

        execution = await self.ingress.ask(create)
        self.executions.append(execution)
        self.timeline.say("ingress", f"has accepted {execution}")

    def _extended(self, stopped: Stopped, draft: PlanDraft) -> Plan:
        check = self.registry.check_args
        return extended(stopped.plan, stopped.cells, draft, contracts=self._contracts, check_args=check, limits=_PLAN)

    def _birth(self, number: int, draft: PlanDraft) -> Birth:
        plan = accepting.accept(draft, contracts=self._contracts, check_args=self.registry.check_args, limits=_PLAN)
        data = plans.encode(plan)
        blueprint = Blueprint(data)
        key = f"key {number}"
        execution = f"exe_{keys.spread(f'{TENANT}/{key}')}_{self.scenario.seed & (1 << 96) - 1:024x}{number:08x}"
        most = self.scenario.setting.replans
        notes = Notes(unconfirmed=self.scenario.setting.confirm, replan=Replan(most=most) if most else None)
        if self.scenario.setting.words:
            self.model.plans[number] = data
            return Birth(
                header=Header(id=execution, tenant=TENANT, plan="", status=Status.RECEIVED, trace="t"),
                notes=notes,
                plan=plans.NO_PLAN,
                cells="",
                words=Words(text=str(number), user="somebody", at_ms=EPOCH_MS),
                fields={},
                request_hash=blueprint.hash,
                idempotency_key=key,
            )
        status = Status.AWAITING_CONFIRMATION if self.scenario.setting.confirm else Status.PLANNED
        return Birth(
            header=Header(id=execution, tenant=TENANT, plan=blueprint.hash, status=status, trace="t"),
            notes=notes,
            plan=data,
            cells=blueprint.plan.first_cells(),
            words=Words(text=str(number), user="somebody", at_ms=EPOCH_MS) if most else None,
            fields={},
            timeout_ms=plan.timeout_ms or 0,
            request_hash=blueprint.hash,
            idempotency_key=key,
        )

    async def _people(self) -> None:
        for fault in self.faults.moments():
            await asyncio.sleep(max(0.0, fault.at * MOMENT_S - self.loop.time()))
            self.faults.injected[f"moment.{fault.kind}"] += 1
            await self._person(fault, "moment")
        self._all_said = True

    async def _person(self, fault: Fault, when: str) -> None:
        if fault.target >= len(self.executions):
            return
        execution, dice = self.executions[fault.target], random.Random(fault.at)
        sid = f"{when} {fault.kind} {fault.at}"
        match fault.kind:
            case "hint":
                await self._hint(execution)
            case "answer":
                await self._deal(execution, "answer", sid=sid)
            case kind:
                names = [step.name for step in self.oracle.blueprint(execution).plan.steps] or ["none yet"]
                sid = kind if kind == "cancel" else sid  # as ingress does: a second cancel is no other one
                await self._say(execution, Word(kind, SIGNALS[kind](dice, names)), sid=sid)

    async def _hint(self, execution: str) -> None:
        """As the resume service takes it, and a direct call that names no segment."""
        self.timeline.say("person", f"hints at {execution}")
        await self.ingress.ask(lambda parts: parts.store.hint(execution))
        await Direct(self._choose).wake(execution, reason="resumed")

    async def _say(self, execution: str, word: Word, *, sid: str) -> None:
        """Somebody wants something of an execution, or publishes what somebody may wait for."""

        async def signal(parts: Parts) -> Any:
            found = await parts.store.signal(execution, tenant=TENANT, sid=sid, kind=word.kind, payload=word.payload)
            if isinstance(found, Accepted):
                send_later(parts, found.entry, word.kind)
            return found

        async def publish(parts: Parts) -> Any:
            event = NamedEvent(id=sid, tenant=TENANT, **word.payload)
            found = await parts.event_relay.publish(event)
            parts.background.start(parts.event_relay.deliver(found))
            return found

        found = await self.ingress.ask(publish if word.published else signal)
        self.timeline.say("person", f"{word.kind} {word.payload} to {execution}: {found}"[:200])

    def _on_step(self, scope: Scope) -> None:
        if self.over:
            return
        for fault in self.faults.next("step"):
            executor = next((one for one in self.executors if one.scope is scope.process), None)
            if fault.kind in PEOPLE:
                processes.outside(self._person(fault, "step"))
            elif executor is not None and fault.kind == "kill":
                executor.kill(fault.ms)
            elif executor is not None:
                executor.freeze(fault.ms)

    def _on_sweep(self, resume: Resume) -> None:
        fault = self.faults.one("sweep")
        if fault is not None and fault.kind == "kill":
            self.loop.call_soon(resume.kill, fault.ms)
        elif fault is not None:
            resume.freeze(fault.ms)

    def _choose(self) -> Executor | None:
        """The load balancer: one of those that take connections."""
        up = [executor for executor in self.executors if executor.up]
        return up[self.noise.below(len(up))] if up else None

    async def _deliver(self, message: Message) -> Answer | None:
        executor = self._choose()
        if executor is None:
            return None
        entry = message.entry
        delivery = Delivery(
            execution=entry.execution,
            segment=entry.segment,
            reason=entry.reason,
            retried=message.retried,
            queued_ms=entry.queued_ms,
        )
        return await executor.post(delivery, issued_ms=message.born_ms - EPOCH_MS)

    async def _hear(self, entry: Entry) -> None:
        await self.resume.hinted(entry)

    async def _bury(self, message: Message, status: int) -> bool:
        return await self.resume.failed(message, status)

    # judging

    def _judge(self) -> None:
        self.oracle.now_ms = self.now_ms()
        self.ends = Counter(self.oracle.finish(execution) for execution in self._all())
        if not self.scenario.has(*DELAYS):
            longest = max((ended - began for one in self.executors for began, ended, _ in one.invocations), default=0)
            if longest > INVOCATION_MS:
                raise Broken("no invocation passes 9.5 s", f"one took {longest:.0f} ms")
        if self.scenario.calm and self.scenario.setting.qstash and not self.scenario.setting.twice:
            self._cost()
        self._spent()
        twice = [message for message, count in self.qstash.ran.items() if count > 1]
        if twice and not self.scenario.has("failover"):
            raise Broken("a duplicate starts nothing", f"{twice} ran more than one segment")
        again = self.qstash.counts["deduplicated"]
        plain = all(is_plain(draft) for draft in self.scenario.plans)
        if again and plain and not self.scenario.has(*DEATHS, "reply_lost", "refused") and not self.scenario.setting.twice:
            raise Broken("what QStash took is not sent again", f"{again} times")
        if self.scenario.ladder and self.oracle.wakes["held"] > 1:
            raise Broken("one retry after the lease", f"the dead holder's lease was met {self.oracle.wakes['held']} times")

    def _spent(self) -> None:
        """Calls to a model cost money, and are bounded whoever dies in them; a failover may forget that one was counted."""
        most = max(self.model.asked.values(), default=0)
        if most > Patience().calls * (1 + self.scenario.setting.replans) and not self.scenario.has("failover"):
            raise Broken("calls to the model are bounded", f"{most} for one execution")

    def _cost(self) -> None:
        """When nothing goes wrong, every message starts one segment, and nobody is woken in vain."""
        vain = {why: count for why, count in self.oracle.wakes.items() if why != "lease"}
        if vain:
            raise Broken("nobody is woken in vain", f"{vain}")
        if self.qstash.counts["messages"] != self.oracle.wakes["lease"]:
            found = f"{self.qstash.counts['messages']} messages for {self.oracle.wakes['lease']} segments"
            raise Broken("a message a segment", found)

    def _outcome(self) -> Outcome:
        wakes = {f"wake {why}": count for why, count in self.oracle.wakes.items()}
        commands = {f"command {name}": count for name, count in self.server.memory.calls.items()}
        calls = {"calls": self.faults.count["call"], "steps": self.faults.count["step"], "executions": len(self.executions)}
        return Outcome(
            seed=self.scenario.seed,
            ends=dict(getattr(self, "ends", {})),
            injected=dict(self.faults.injected),
            counts=dict(self.qstash.counts) | dict(self.ably.counts) | wakes | commands | calls,
            moves={f"{origin} -> {target}": count for (origin, target), count in self.oracle.moves.items()},
            check=self.broken.check if self.broken else "",
            message=str(self.broken) if self.broken else "",
            timeline=self.timeline.lines,
            finals=[self.oracle.ended(execution) for execution in self.executions] if self.timeline.kept else [],
        )


class _Logs:
    """While it is entered, log lines go into a timeline and nowhere else."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def __enter__(self) -> None:
        self._before = structlog.get_config()
        scope = processes.current
        take = self._timeline.processor(lambda: found.process.name if (found := scope()) else "world")
        structlog.configure(processors=[with_ids, take])

    def __exit__(self, *_: object) -> None:
        structlog.configure(**self._before)
