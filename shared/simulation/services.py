"""The three services, thin: the engine's own parts, wired as the composition roots wire them, in processes that can die."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, cast

from shared.background import Background
from shared.children import Children
from shared.commands import Commands
from shared.dead_letters import letter_of
from shared.door import Door
from shared.errors import IntentionError, Unavailable
from shared.event_ports import Events
from shared.event_relay import EventRelay
from shared.executor_client import ExecutorClient, Reach
from shared.guards import NoGuards
from shared.interpret import Interpreter
from shared.invocation import Answer, Delivery, Limits
from shared.left_behind import take_up
from shared.machine.decision import Ask, Line
from shared.machine.state import Header
from shared.mesh import Hint
from shared.places import owners
from shared.ports import Channel, Entry, Letter, Planner, Queue, Store, ToolRunner
from shared.relay import Acks, Relay, Sender
from shared.simulation.processes import Scope, outside
from shared.simulation.qstash import Message
from shared.simulation.timeline import Timeline
from shared.slot_ports import Limit, Slot, Slots, Taken
from shared.slot_relay import SlotRelay
from shared.telling import Teller
from shared.watchdog import Watchdog

SWEEP_MS: Final = 1_000
AFTER_DEAD_LETTER_MS: Final = 2_000
QUEUED_LEAST_MS: Final = 1_000
QUEUED_MOST_MS: Final = 3_000
"""As services/step_executor and services/resume have them."""


class Clock:
    """A process's monotonic clock: the loop's, with an offset of its own."""

    def __init__(self, offset_ms: float) -> None:
        """Two processes' monotonic clocks have nothing to do with each other."""
        self._offset_ms = offset_ms

    def monotonic_ms(self) -> float:
        """See `shared.ports.Clock`."""
        return asyncio.get_running_loop().time() * 1000 + self._offset_ms


class Parts:
    """What every process has: the ports, an outbox's sender and relay, a watchdog."""

    def __init__(  # the ports
        self,
        store: Store,
        qstash: Queue,
        channel: Channel,
        executor: ExecutorClient | None,
        events: Events,
        slots: Slots,
        *,
        now_ms: Callable[[], int],
        rate: int = 200,
    ) -> None:
        """`executor` None: no direct calls."""
        acks, queue = Acks(store), Commands(qstash, store)
        Children(store).register(queue)
        self.store = store
        self.background = Background()
        self.sender = Sender(queue, acks, self.background, channel, now_ms)
        self.watchdog = Watchdog(store, Relay(store, queue, acks, channel, now_ms), acks, executor, rate=rate)
        self.slots = slots
        self.event_relay = EventRelay(events, store, self.sender.start)
        self.teller = Teller(store, self.sender, self.event_relay, self.background)
        slot_relay = SlotRelay(slots, store, self.sender.start)
        queue.on("subscribe", self.event_relay.subscribe)
        queue.on("unsubscribe", self.event_relay.unsubscribe)
        queue.on("slot_give", slot_relay.give)
        self.watchdog.take_along(self.event_relay)
        self.watchdog.take_along(slot_relay)


class SlotGuards(NoGuards):
    """Slots, and no gates: nothing is ever closed here."""

    def __init__(self, slots: Slots) -> None:
        """`slots` are shared by all processes."""
        self._slots = slots

    async def take(self, ask: Ask, header: Header) -> bool:
        """See `shared.guards.Guards`."""
        slot = Slot(member=ask.member, tenant=header.tenant, execution=header.id, step=ask.step, until_ms=ask.until_ms)
        return isinstance(await self._slots.take(Limit(name=ask.limit, most=ask.most, period_ms=ask.per_ms), slot), Taken)


class Place(ABC):
    """A place where a process runs: dies, comes back as a new one, is frozen. Subclasses say what a fresh process has."""

    def __init__(self, name: str, *, on_step: Callable[[Scope], None] | None = None, timeline: Timeline) -> None:
        """`on_step`: see `Scope`."""
        self.name = name
        self.scope = Scope(name)
        self.timeline = timeline
        self._on_step = on_step
        self._boots = 0

    def boot(self) -> None:
        """A fresh process."""
        self._boots += 1
        self.scope = Scope(self.name)
        self.scope.on_step = self._on_step
        self.fresh()

    @abstractmethod
    def fresh(self) -> None:
        """Build what the process holds."""

    @property
    def up(self) -> bool:
        """Whether it takes connections."""
        return self.scope.alive

    def kill(self, away_ms: int) -> None:
        """Gone at once; back after `away_ms`."""
        if not self.scope.alive:
            return
        self.timeline.say(self.name, f"is killed, back in {away_ms} ms")
        self.scope.kill()
        asyncio.get_running_loop().call_later(away_ms / 1000, self.boot)

    def freeze(self, ms: int) -> None:
        """Nothing of it runs for `ms`."""
        self.timeline.say(self.name, f"is frozen for {ms} ms")
        scope = self.scope
        scope.freeze()
        asyncio.get_running_loop().call_later(ms / 1000, scope.thaw)


class Executor(Place):
    """A step executor."""

    def __init__(
        self,
        name: str,
        *,
        parts: Callable[[], Parts],
        tools: ToolRunner,
        planner: Planner,
        limits: Limits,
        offset_ms: float,
        on_step: Callable[[Scope], None],
        timeline: Timeline,
    ) -> None:
        """`parts` builds the ports anew for each process."""
        super().__init__(name, on_step=on_step, timeline=timeline)
        self.crashed: Callable[[BaseException], None] = lambda _: None
        """Told of an exception that no segment may end with."""
        self.invocations: list[tuple[float, float, str]] = []
        """(began, ended, how) in virtual ms, of those that were not killed."""
        self._parts = parts
        self._tools = tools
        self._planner = planner
        self._limits = limits
        self._clock = Clock(offset_ms)
        self._place = name.encode().hex()
        self.boot()

    def fresh(self) -> None:
        """A new interpreter: it remembers nothing, and goes on with what the one before it held."""
        mine = owners(self._place, self._boots)
        self.parts = self._parts()
        self.interpreter = Interpreter(
            store=self.parts.store,
            sender=self.parts.sender,
            tools=self._tools,
            clock=self._clock,
            limits=self._limits,
            guards=SlotGuards(self.parts.slots),
            lag=self.parts.watchdog.lag,
            planner=self._planner,
            owners=mine,
        )
        self.scope.start(take_up(self.parts.store, mine, lease_ms=self._limits.lease_ms, start=self._go_on))

    def _go_on(self, delivery: Delivery) -> None:
        outside(self._invoke(delivery, asyncio.get_running_loop().time() * 1000))

    async def post(self, delivery: Delivery, *, issued_ms: float) -> Answer | None:
        """A delivery by QStash, answered when the segment is over; None if the connection broke."""
        return await asyncio.shield(outside(self._invoke(delivery, issued_ms)))  # it goes on when nobody listens any more

    def direct(self, delivery: Delivery, *, issued_ms: float) -> bool:
        """A watchdog's call, answered at once."""
        if not self.up:
            return False
        outside(self._invoke(delivery, issued_ms))
        return True

    async def _invoke(self, delivery: Delivery, issued_ms: float) -> Answer | None:
        if not self.up:
            return None
        scope = Scope(f"{self.name}", self.scope)
        loop = asyncio.get_running_loop()
        began_ms = loop.time() * 1000
        limit = loop.call_later(self._limits.hard_ms / 1000, self._too_long, scope)
        task = scope.start(self._segment(delivery, issued_ms))
        try:
            await asyncio.wait({task})
        finally:
            limit.cancel()
            scope.close()
        if task.cancelled():
            return None
        error = task.exception()
        if not scope.alive:
            return None
        self.invocations.append((began_ms, loop.time() * 1000, self.name))
        if error:
            return self._failed(error)
        answer: Answer = task.result()
        return answer

    def _too_long(self, scope: Scope) -> None:
        self.timeline.say(self.name, "an invocation is killed at its limit")
        scope.kill()

    def _failed(self, error: BaseException) -> Answer:
        if isinstance(error, IntentionError):
            return Answer(status=error.status, result=error.error_code, retry_after_s=5 if error.status == 503 else None)
        self.crashed(error)
        return Answer(status=500, result="internal")

    async def _segment(self, delivery: Delivery, issued_ms: float) -> Answer:
        """As the route does it: the budget counts from when the message was sent, if it queued for long."""
        now_ms = asyncio.get_running_loop().time() * 1000
        queued_ms = now_ms - issued_ms
        came_ms = self._clock.monotonic_ms()
        started_ms = came_ms - min(queued_ms, QUEUED_MOST_MS) if queued_ms > QUEUED_LEAST_MS else came_ms
        self.scope.start(self._lazily())
        return await self.interpreter.run(delivery, started_ms=started_ms)

    async def _lazily(self) -> None:
        await self.parts.watchdog.lazily()


class Resume(Place):
    """The resume service: its watchdog's rounds, hints, and the failure callback."""

    def __init__(
        self,
        name: str,
        *,
        parts: Callable[[], Parts],
        anything_due: Callable[[], bool],
        before_sweep: Callable[["Resume"], None],
        watches: bool,
        executor: ExecutorClient,
        timeline: Timeline,
    ) -> None:
        """`anything_due`: a round that would find nothing is not run, to save time. `watches` False: it has no watchdog.

        `executor`: what a hint calls.
        """
        super().__init__(name, timeline=timeline)
        self._parts = parts
        self._anything_due = anything_due
        self._before_sweep = before_sweep
        self._watches = watches
        self._executor = executor
        self.boot()

    def fresh(self) -> None:
        """A new watchdog, whose rounds begin."""
        self.parts = self._parts()
        self.door = Door(self.parts.store, self._executor, self.parts.teller, hints_per_s=20)
        if self._watches:
            self.scope.start(self._rounds())

    async def _rounds(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_MS / 1000)
            if self._anything_due():
                self._before_sweep(self)
                try:
                    await self.parts.watchdog.sweep()
                except Unavailable:
                    self.timeline.say(self.name, "a round failed: Redis is away")

    async def hinted(self, entry: Entry) -> None:
        """What its subscriber hears; nobody says it again to one that is down, or whose Redis is away."""
        if self.up:
            hint = Hint(message=f"ce-{entry.id}", execution=entry.execution, segment=entry.segment)
            await asyncio.wait({self.scope.start(self._take(hint))})

    async def _take(self, hint: Hint) -> None:
        try:
            result, _ = await self.door.take(hint)
        except Unavailable:
            result = "Redis is away"
        self.timeline.say(self.name, f"hears a hint at segment {hint.segment}: {result}")

    async def failed(self, message: Message, status: int) -> bool:
        """The failure callback; whether it was taken."""
        if not self.up:
            return False
        task = self.scope.start(self._failed(message, status))
        await asyncio.wait({task})
        return not task.cancelled() and task.exception() is None

    async def _failed(self, message: Message, status: int) -> None:
        entry = message.entry
        line = Line(event="message.dead", detail={"segment": entry.segment, "id": message.id, "status": status})
        letter = Letter(
            id=letter_of(entry.execution, entry.segment),
            execution=entry.execution,
            kind="message",
            segment=entry.segment,
            marks=(f"{message.id}/dlq",),
            message=message.id,
            dlq="dlq",
            status=status,
            retried=message.retried,
        )
        await self.parts.store.bury(letter, in_ms=AFTER_DEAD_LETTER_MS, line=line)


class Ingress(Place):
    """Takes executions and signals for people who ask again until they are answered."""

    def __init__(self, name: str, *, parts: Callable[[], Parts], timeline: Timeline) -> None:
        """It has no watchdog of its own here."""
        super().__init__(name, timeline=timeline)
        self._parts = parts
        self.boot()

    def fresh(self) -> None:
        """A new process."""
        self.parts = self._parts()

    async def ask(self, work: Callable[[Parts], Any]) -> Any:
        """Run a request in the process, again until it is answered: a client with a key does so."""
        while True:
            if self.up:
                task = self.scope.start(work(self.parts))
                await asyncio.wait({task})
                if not task.cancelled() and not isinstance(task.exception(), Unavailable):
                    return task.result()
            await asyncio.sleep(1)


def send_later(parts: Parts, entry: Entry | None, what: str) -> None:
    """Publish after the caller has its answer."""
    if entry is not None:
        parts.background.start(parts.sender.send(entry, what))


class Direct:
    """Stands where `shared.executor_client.ExecutorClient` does: the watchdog's signed call."""

    def __init__(self, choose: Callable[[], Executor | None]) -> None:
        """`choose`: the load balancer."""
        self._choose = choose
        self.reach = Reach()

    async def wake(self, execution: str, *, segment: int = -1, reason: str) -> bool:
        """Whether an executor took it."""
        loop = asyncio.get_running_loop()
        if not self.reach.may_call(loop.time()):
            return False
        await asyncio.sleep(0.005)
        executor = self._choose()
        delivery = Delivery(execution=execution, segment=segment, reason=reason)
        well = executor is not None and executor.direct(delivery, issued_ms=loop.time() * 1000)
        self.reach.ended(loop.time(), well=well)
        return well


def as_client(direct: Direct) -> ExecutorClient:
    """`Direct` where the class itself is asked for."""
    return cast("ExecutorClient", direct)
