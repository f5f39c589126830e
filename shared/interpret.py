"""Performs decisions: the one place that knows both the pure machine and the ports. One `run` is one segment.

The order is the protocol's: store result N with the intents of exactly what starts now, look at the own deadline, call.
A crash at any line costs what protocol.md §2.6 says, and never an effect twice.
"""

import asyncio
import contextlib
import secrets
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from shared import step_log, tracing
from shared.dead_letters import letter_of_execution
from shared.errors import IntentionError, Unavailable
from shared.forecast import Usual
from shared.guards import Guards, NoGuards
from shared.lag import Lag
from shared.logs import bound, get_logger
from shared.machine.decide import decide
from shared.machine.decision import (
    Adopt,
    AskModel,
    Changes,
    End,
    Leave,
    Line,
    Load,
    Next,
    Start,
    StartSteps,
    Suspend,
    Take,
    Wait,
    apply,
    merge,
)
from shared.machine.events import (
    Accepted,
    Attempted,
    Done,
    Event,
    NotSent,
    Outcome,
    Patience,
    Refused,
    Report,
    Room,
    Signalled,
    Ticked,
    Unanswered,
    Woke,
)
from shared.machine.plan import NO_PLAN, Blueprint
from shared.machine.state import Advice, Asked, Execution, Flawed, Unreachable
from shared.machine.status import Cell, Phase, Reason
from shared.ports import (
    Clock,
    Committed,
    Flags,
    Going,
    Lease,
    Letter,
    Lost,
    No,
    NoLease,
    Planner,
    Progress,
    Stopped,
    Store,
    ToolRunner,
    Words,
)
from shared.quota import Level, floor_of
from shared.quota_keeper import Keeper
from shared.relay import Sender
from shared.tally import Tally
from shared.tracing import NO_TRACER, Fact, Span, Tracer

log = get_logger()

SLEEP_OUT_MS: Final = 2_000
"""A message that came this much too early waits in the invocation; one that came earlier is left to the due index."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one invocation may take, in ms from its start."""

    hard_ms: int
    checkpoint_ms: int
    cutoff_ms: int
    lease_ms: int
    parallel: int
    steps_per_message: int
    stalled: int
    continue_delay_ms: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a message asks for. `segment` -1: whichever is current."""

    execution: str
    segment: int = -1
    reason: str = "asked"
    retried: int = 0
    message: str = ""
    """QStash's id of it; empty if it came another way."""
    queued_ms: int = 0
    """When it was queued, by the store's clock; 0: unknown."""
    context: str = ""
    """Of the span that sent it (see `shared.tracing`); empty: nothing says so. The segment's trace does not depend on it."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the message is answered: the status steers QStash."""

    status: int
    result: str
    retry_after_s: int | None = None
    final: bool = False
    """Never deliver this again (489)."""


class Unwatched:
    """Nobody is told of anything. See `shared.ports.Progress`."""

    def moved(self, execution: str) -> None:
        """See the port."""

    async def settle(self, execution: str) -> None:
        """See the port."""


class NoPlanner:
    """Where no planner is wired: words that are stored unplanned are asked about. See `shared.ports.Planner`."""

    async def advise(
        self,
        words: Words,  # noqa: ARG002 - the port's
        *,
        tenant: str,  # noqa: ARG002 - the port's
        call: int,
        model: bool,  # noqa: ARG002 - the port's
        until_s: float,  # noqa: ARG002 - the port's
        problems: Sequence[str],  # noqa: ARG002 - the port's
        before: Flawed | None,  # noqa: ARG002 - the port's
        stopped: Stopped | None = None,  # noqa: ARG002 - the port's
    ) -> Advice:
        """See the port."""
        question = {"field": "plan", "question": "This installation has no planner for these words: what are the steps?"}
        said = Unreachable(message="no planner is configured here", retryable=False)
        return Advice(call=call, said=said, instead=Asked(questions=(question,)))


class Estimates:
    """How long each tool's calls usually take: the 99th percentile of the last hundred, once there are twenty."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[int]] = {}
        self.p99: dict[str, int] = {}
        self.fresh: set[str] = set()
        """Tools that were called since `usual` was last asked."""

    def add(self, tool: str, took_ms: int) -> None:
        """One answered call."""
        samples = self._samples.setdefault(tool, deque(maxlen=100))
        samples.append(took_ms)
        self.fresh.add(tool)
        if len(samples) >= 20:
            self.p99[tool] = max(samples)  # of a hundred and of fewer the 99th percentile is the largest

    def usual(self, at_ms: int) -> dict[str, Usual]:
        """What is known of each tool that was called since the last time: old news would stand over another process's new."""
        fresh, self.fresh = self.fresh, set()
        return {tool: self._usual(tool, at_ms) for tool in fresh}

    def _usual(self, tool: str, at_ms: int) -> Usual:
        samples = sorted(self._samples[tool])
        count = len(samples)
        return Usual(
            typical_ms=samples[count // 2],
            p95_ms=samples[int(0.95 * count)],
            p99_ms=self.p99.get(tool, 0),
            calls=count,
            at_ms=at_ms,
        )


_UNPLANNED: Final = Blueprint(NO_PLAN)


def _as_it_is(value: Any) -> Any:
    return value


def _lost() -> Answer:
    log.warning("segment.lost", message="another invocation owns this execution by now: nothing is started")
    return Answer(status=503, result="lost", retry_after_s=1)


class Interpreter:
    """Runs segments; one for a process. It remembers compiled plans and how long tools take, and nothing of an execution."""

    def __init__(  # the ports, all by keyword
        self,
        *,
        store: Store,
        sender: Sender,
        tools: ToolRunner,
        clock: Clock,
        limits: Limits,
        guards: Guards | None = None,
        quota: Keeper | None = None,
        direct: bool = True,
        progress: Progress | None = None,
        lag: Lag | None = None,
        planner: Planner | None = None,
        patience: Patience | None = None,
        owners: str = "",
        tracer: Tracer = NO_TRACER,
        tally: Tally | None = None,
        clean: step_log.Clean = _as_it_is,
    ) -> None:
        """`sender` hands continuations to QStash, coalesced over all segments of the process.

        Without `guards` nothing is limited or closed. `quota` None: nobody counts messages. `direct`: what cannot pay for a
        message goes on without one. `progress` hears of what moves in executions that somebody watches. `lag` is told how long
        messages took. `planner` makes plans of words that were accepted without one; `patience`: what that may cost.
        `owners`: what the names of its leases begin with (`shared.places`).
        `tracer` and `tally` are told what comes of segments and calls. `clean` strikes secrets out of what tools log.
        """
        self.tracer = tracer
        self.tally = tally or Tally()
        self.clean = clean
        self.lag = lag or Lag()
        self.planner = planner or NoPlanner()
        self.patience = patience or Patience()
        self.owners = owners
        self.guards = guards or NoGuards()
        self.quota = quota
        self.direct = direct
        self.progress = progress or Unwatched()
        self.store = store
        self.sender = sender
        self.tools = tools
        self.clock = clock
        self.limits = limits
        self.estimates = Estimates()
        self._blueprints: OrderedDict[str, Blueprint] = OrderedDict()

    async def run(self, delivery: Delivery, *, started_ms: float) -> Answer:
        """One segment. `started_ms`: the invocation's start on the monotonic clock (earlier, if it queued before us)."""
        with bound(execution=delivery.execution, segment=delivery.segment):
            if delivery.retried and delivery.message:
                await self._count(delivery)
            lease = await self._acquire(delivery, started_ms)
            if lease.watched:
                self.progress.moved(delivery.execution)
            if isinstance(lease, NoLease):
                await self.progress.settle(delivery.execution)  # who ended it may have died before the end was told
                if lease.entry is not None:
                    await self.sender.send(lease.entry, "the rest of a long wait")
                if lease.why is No.TERMINAL and delivery.retried and self.quota:
                    self.quota.settle_soon(delivery.execution)
                return self._no_lease(lease, delivery)
            self._measure(lease, delivery)
            blueprint = await self._blueprint(lease)
            if blueprint is None:
                self.tally.not_run["lost"] += 1
                return _lost()
            await self.guards.look()
            header = lease.header
            with (
                bound(segment=header.segment, trace=tracing.trace_id(header.trace)),
                self.tracer.span(
                    "segment", kind="consumer", parent=header.trace, link=delivery.context, facts=_of_segment(lease, delivery)
                ) as span,
            ):
                if Cell.INTENDED.value.encode() in lease.cells:
                    span.event("intention.taken_over")  # whoever had the lease died in the middle of a call
                answer = await Segment(self, lease, blueprint, started_ms).run()
                self._ended(answer, span, started_ms)
            await self.progress.settle(delivery.execution)
            return answer

    def _measure(self, lease: Lease, delivery: Delivery) -> None:
        if lease.fence == 1:
            self.tally.started += 1
        if delivery.queued_ms and not delivery.retried:
            self.lag.add(lease.now_ms - delivery.queued_ms)
            self.tally.lag_s.add(max(0, lease.now_ms - delivery.queued_ms) / 1000)

    def _ended(self, answer: Answer, span: Span, started_ms: float) -> None:
        span.note({"intention.result": answer.result})
        if answer.status >= 500:
            span.failed(answer.result)
        self.tally.segments[answer.result] += 1
        self.tally.segment_s.add((self.clock.monotonic_ms() - started_ms) / 1000)

    async def _count(self, delivery: Delivery) -> None:
        """Each delivery after the first costs a unit. Nothing waits for it: what is not counted now is with the next one."""
        with contextlib.suppress(Unavailable):
            await self.store.count(delivery.execution, delivery.message, delivery.retried)

    async def _acquire(self, delivery: Delivery, started_ms: float) -> Lease | NoLease:
        owner = self.owners + secrets.token_hex(16)
        while True:
            lease = await self.store.acquire(
                delivery.execution,
                owner=owner,
                lease_ms=self.limits.lease_ms,
                segment=delivery.segment,
                cause=delivery.reason,
            )
            early = isinstance(lease, NoLease) and lease.why is No.NOT_DUE and lease.ms <= SLEEP_OUT_MS
            if not early or self.clock.monotonic_ms() - started_ms > SLEEP_OUT_MS + 500:
                return lease
            assert isinstance(lease, NoLease)  # noqa: S101 - for the type checker; `early` says so
            await asyncio.sleep((lease.ms + 1) / 1000)

    def _no_lease(self, no: NoLease, delivery: Delivery) -> Answer:
        self.tally.not_run[no.why.name.lower()] += 1
        log.info("segment.not_run", why=no.why.name.lower(), ms=no.ms, reason=delivery.reason)
        match no.why:
            case No.HELD:
                # One retry after the lease instead of the ladder 1 + 6 + 36 s, whose first rungs die inside it.
                return Answer(status=409, result="held", retry_after_s=no.ms // 1000 + 2)
            case No.ABSENT if delivery.retried < 2:
                return Answer(status=503, result="unknown", retry_after_s=5)
            case No.ABSENT:
                log.error("execution.unknown", alert=True)
                return Answer(status=489, result="unknown", final=True)
            case _:
                return Answer(status=200, result=no.why.name.lower())

    async def _blueprint(self, lease: Lease) -> Blueprint | None:
        """The plan of the lease; None if another owner has stored a version since, so that this lease is over."""
        if not lease.header.plan:
            return _UNPLANNED
        known = self._blueprints.get(lease.header.plan)
        if known is None:
            data = await self.store.load_plan(lease.header.id)
            if data is None:
                raise IntentionError(f"the plan of {lease.header.id} is gone", code="plan_missing")
            known = Blueprint(data)
            if known.hash != lease.header.plan and await self._replaced(lease, known.hash):
                return None
            if known.hash != lease.header.plan:  # what was accepted, priced and confirmed was another plan
                log.error("plan.changed", alert=True, hash=known.hash, accepted=lease.header.plan)
                raise IntentionError(f"the plan of {lease.header.id} is not the one that was accepted", code="plan_changed")
            self._blueprints[lease.header.plan] = known
            while len(self._blueprints) > 256:
                self._blueprints.popitem(last=False)
        self._blueprints.move_to_end(lease.header.plan)
        return known

    async def _replaced(self, lease: Lease, stored: str) -> bool:
        """Whether the record itself names the plan that is stored beside it, and no longer the lease's."""
        now = await self.store.peek(lease.header.id, tenant=lease.header.tenant)
        return now is not None and now.header.plan == stored


def _of_segment(lease: Lease, delivery: Delivery) -> dict[str, Fact]:
    header = lease.header
    facts: dict[str, Fact] = {
        "intention.execution": header.id,
        "intention.tenant": header.tenant,
        "intention.segment": header.segment,
        "intention.fence": lease.fence,
        "intention.reason": delivery.reason,
    }
    if delivery.message:
        facts |= {
            "messaging.system": "qstash",
            "messaging.operation.type": "process",
            "messaging.message.id": delivery.message,
            "intention.retried": delivery.retried,
        }
    return facts


def _of_call(start: Start, what: str) -> dict[str, Fact]:
    return {
        "intention.execution": start.execution,
        "intention.tenant": start.tenant,
        "intention.step": start.step,
        "intention.attempt": start.intent.attempt,
        "intention.call": what,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": start.tool,
    }


_OUTCOMES: Final[dict[type, str]] = {
    Done: "done",
    Refused: "refused",
    NotSent: "not_sent",
    Unanswered: "unanswered",
    Accepted: "accepted",
}


def _outcome(outcome: Outcome) -> str:
    """In few words, for whoever counts."""
    return _OUTCOMES[type(outcome)]


class Segment:
    """One invocation's work on one execution."""

    def __init__(self, engine: Interpreter, lease: Lease, blueprint: Blueprint, started_ms: float) -> None:
        """`started_ms` on the monotonic clock; everything inside is unix ms by the store's clock."""
        self.engine = engine
        self.lease = lease
        self.ver = lease.ver
        self.x = Execution(
            header=lease.header,
            blueprint=blueprint,
            cells=lease.cells,
            intents=lease.intents,
            faults=lease.faults,
            results=lease.results,
            seen=lease.seen,
            holds=lease.holds,
            notes=lease.notes,
        )
        self._offset = lease.now_ms - engine.clock.monotonic_ms()
        self._start_ms = int(started_ms + self._offset)
        self._tasks: dict[asyncio.Task[Report], Start] = {}
        self._started = 0
        self._ended_ms: dict[int, int] = {}
        self._pending = Changes()
        self._began = False
        self._refused = False
        self._logged: dict[int, tuple[bytes, ...]] = {}
        """What ended calls have logged, until it is stored with their reports."""

    def now_ms(self) -> int:
        """Unix ms by the store's clock."""
        return int(self.engine.clock.monotonic_ms() + self._offset)

    def room(self) -> Room:
        """What is left of this invocation."""
        limits = self.engine.limits
        left = limits.steps_per_message - self._started if limits.steps_per_message and not self._scarce() else None
        return Room(
            checkpoint_ms=self._start_ms + limits.checkpoint_ms,
            cutoff_ms=self._start_ms + limits.cutoff_ms,
            lease_ms=self.lease.until_ms,
            parallel=limits.parallel,
            unpaid=self._refused and self._broke(),
            starts_left=left,
            started=self._started,
            stalled_limit=limits.stalled,
            estimates=self.engine.estimates.p99,
            patience=self.engine.patience,
            closed=self.engine.guards.closed(self.x.header.tenant, self.x.blueprint.plan.contracts, self.now_ms()),
        )

    async def run(self) -> Answer:
        """Decide, store, do; until the segment is over or somebody else owns the execution."""
        await self._top_up()
        event: Event = Woke(now_ms=self.now_ms(), room=self.room(), signals=self.lease.signals)
        try:
            while True:
                decision = decide(self.x, event)
                kept, following = merge(self._pending, decision.kept), decision.next
                if isinstance(following, Load):
                    event = await self._load(following, decision.kept)
                    continue
                if isinstance(following, Take):
                    event = await self._take(following, decision.kept)
                    continue
                stored = await self._store(kept, following)
                if isinstance(stored, Lost):
                    self.engine.tally.not_run["lost"] += 1
                    return _lost()
                self._applied(decision.kept)
                if isinstance(stored, Flags):
                    self.ver = stored.ver
                    event = Signalled(now_ms=self.now_ms(), room=self.room(), signals=stored.signals)
                    continue
                self._applied(getattr(following, "changes", Changes()))  # behind what was kept, as it is stored
                if answer := await self._follow(following, stored):
                    return answer
                event = await self._wait(following)
        finally:
            await self._stop_calls()

    # paying

    def _scarce(self) -> bool:
        quota = self.engine.quota
        return quota is not None and quota.level(self.lease.header.tenant) >= Level.PACK

    def _broke(self) -> bool:
        """Whether the next message cannot be paid; the lane back has a part of its own."""
        account, undo = self.lease.account, self.x.header.phase is Phase.UNDO
        return account is not None and msgspec.structs.replace(account, undo=undo).left(self.lease.now_ms) < 1

    async def _top_up(self) -> None:
        """Ask for more when the next message could not be paid. Only the owner of the lease spends, so once is enough."""
        quota, account = self.engine.quota, self.lease.account
        if quota is None or account is None or account.left(self.lease.now_ms) > 0:
            return
        granted = await quota.top_up(self.lease.header.id, account, wake=False)
        self._refused = not granted and not self.engine.direct

    async def _pay_for_retries(self) -> None:
        """While there is plenty, no message goes without its retries: it would be lost with the first answer that is.

        Asked for when there is a message to send: most executions end in their first segment, and pay for no call more.
        """
        quota, account = self.engine.quota, self.lease.account
        if quota is None or account is None or quota.level(account.tenant) is not Level.NORMAL:
            return
        if 0 < account.left(self.lease.now_ms) <= account.tail:
            with contextlib.suppress(Unavailable):
                await quota.top_up(self.lease.header.id, account, wake=False)

    # storing

    async def _store(self, kept: Changes, following: Next) -> Committed | Flags | Lost:
        if not kept and isinstance(following, Wait):
            return Committed(ver=self.ver)
        going = self._going(following)
        if going.message:
            await self._pay_for_retries()
        store = self.engine.store
        first = not self._began and not kept.results and going.kind == "intents"
        command = store.begin if first else store.commit
        self._began = True
        seen = max(self.x.seen, kept.seen)
        if self._logged and kept:
            kept = msgspec.structs.replace(kept, logs=self._logged)
            self._logged = {}
        stored = await command(self.lease, ver=self.ver, seen=seen, kept=kept, going=going)
        self._tell(kept.history)
        self._pending = Changes()
        if not isinstance(stored, Lost):
            self.engine.sender.start(stored.commands, "another partition")
        if isinstance(stored, Committed):
            self.ver = stored.ver
            self._tell(going.changes.history)
            if stored.watched:
                self.engine.progress.moved(self.lease.header.id)
        return stored

    def _going(self, following: Next) -> Going:
        match following:
            case StartSteps():
                return Going(kind="intents", changes=following.changes)
            case AskModel():
                return Going(kind="intents", changes=following.changes)
            case Adopt():
                return self._adopting(following)
            case Leave():
                delay = self.engine.limits.continue_delay_ms
                return Going(
                    kind="leave",
                    changes=following.changes,
                    message=True,
                    reason="continued",
                    due_in_ms=delay,
                    not_before_ms=self.now_ms() + delay if delay else 0,
                    need=following.need,
                )
            case Suspend():
                return Going(
                    kind="suspend",
                    changes=following.changes,
                    message=following.timed,
                    reason=following.reason,
                    due_in_ms=max(0, following.wake_at_ms - self.now_ms()),
                    wake_ms=following.wake_at_ms,
                    timed=following.timed,
                    not_before_ms=following.wake_at_ms,
                    letter=self._letter() if following.reason is Reason.UNDELIVERABLE else None,
                )
            case End():
                return Going(kind="end", changes=following.changes)
            case _:
                return Going(kind="none")

    def _adopting(self, found: Adopt) -> Going:
        plan = Blueprint(found.adopted.plan).plan
        confirm = found.confirm
        return Going(
            kind="suspend" if confirm else "leave",
            changes=found.changes,
            message=not confirm,
            reason="" if confirm else "planned",
            due_in_ms=max(0, found.wake_at_ms - self.now_ms()) if confirm else 0,
            adopted=found.adopted,
            deadline_ms=found.deadline_ms,
            floor=floor_of(plan, per_message=self.engine.limits.steps_per_message) if self.lease.account else 0,
        )

    def _letter(self) -> Letter:
        """Nothing comes of this execution: listed, so that a person finds it. Each such suspension has a segment of its own."""
        header = self.x.header
        name, mark = letter_of_execution(header.id), f"segment {header.segment}"
        return Letter(id=name, execution=header.id, kind="execution", segment=header.segment, marks=(mark,))

    def _applied(self, changes: Changes) -> None:
        apply(self.x, changes)
        for cell, result in changes.results.items():
            self._ended_ms[cell] = result.ended_ms
            if self.x.order is not None:
                self.x.order[cell] = result.ended_ms

    async def _load(self, wanted: Load, kept: Changes) -> Event:
        """Fetch what deciding lacks. What was decided so far is stored with the next commit."""
        self._pending = merge(self._pending, kept)
        self._applied(kept)
        store, execution = self.engine.store, self.lease.header.id
        if wanted.results:
            found = await store.load_results(execution, wanted.results)
            if missing := set(wanted.results) - set(found):
                raise IntentionError(f"results of steps {sorted(missing)} are gone", code="result_missing")
            self.x.results.update(found)
        if wanted.letters:
            said = await store.load_letters(execution, wanted.letters)
            if missing := set(wanted.letters) - set(said):
                raise IntentionError(f"signals {sorted(missing)} are gone", code="signal_missing")
            self.x.letters |= said
        if wanted.order:
            self.x.order = await store.load_order(execution, wanted.order) | self._ended_ms
        return Ticked(now_ms=self.now_ms(), room=self.room())

    async def _take(self, wanted: Take, kept: Changes) -> Event:
        """Slots come before anything is recorded: whoever dies here gives them back by and by."""
        self._pending = merge(self._pending, kept)
        self._applied(kept)
        for ask in wanted.asks:
            self.x.slots[ask.limit, ask.member] = await self.engine.guards.take(ask, self.x.header)
        return Ticked(now_ms=self.now_ms(), room=self.room())

    # doing

    async def _follow(self, following: Next, stored: Committed) -> Answer | None:
        """Do what was stored; an answer means that the segment is over."""
        match following:
            case StartSteps():
                for start in following.starts:
                    self._started += 1
                    self._tasks[asyncio.create_task(self._call(start))] = start
                return None
            case Leave():
                nxt = f"next step: {following.next_step}"
                log.info("checkpoint.saved", message=f"Checkpoint saved [segment {self.x.header.segment}, {nxt}]")
                await self._publish(stored, "next step")
                return Answer(status=200, result="checkpointed")
            case AskModel():
                self._started += 1
                return None
            case Adopt():
                await self._publish(stored, "its first step")
                return Answer(status=200, result="planned")
            case Suspend():
                await self._publish(stored, "the end of the wait")
                return Answer(status=200, result="suspended")
            case End():
                self.engine.tally.ended[following.status] += 1
                if self.engine.quota and self.lease.account:
                    self.engine.quota.settle_soon(self.lease.header.id)
                return Answer(status=200, result=following.status)
            case _:
                return None

    async def _publish(self, stored: Committed, what: str) -> None:
        if stored.entry is not None:
            await self.engine.sender.send(stored.entry, what)

    async def _call(self, start: Start) -> Report:
        what = "undo" if start.undo else "probe" if start.intent.probe else "run"
        tracer = self.engine.tracer
        report = await (self._called(start) if tracer is NO_TRACER else self._traced(start, what))
        self.engine.tally.step(start.tool, what, _outcome(report.outcome), (report.ended_ms - report.started_ms) / 1000)
        return report

    async def _traced(self, start: Start, what: str) -> Report:
        facts = _of_call(start, what)
        with self.engine.tracer.span(f"{what} {start.tool}", parent=self.x.header.trace, facts=facts) as span:
            report = await self._called(start)
            if isinstance(report.outcome, Refused):
                span.failed(report.outcome.code)
            elif isinstance(report.outcome, NotSent | Unanswered):
                span.failed(_outcome(report.outcome))
        return report

    async def _called(self, start: Start) -> Report:
        notebook = step_log.Notebook(self.now_ms, self.engine.clean)
        step_log.take_notes(notebook)  # of this call alone: it has a task of its own
        report = await self._answered(start)
        if logged := notebook.logged(start.intent.attempt):
            self._logged[start.cell] = (*self._logged.get(start.cell, ()), step_log.encode(logged))
        return report

    async def _answered(self, start: Start) -> Report:
        began = self.now_ms()
        deadline_ms = min(start.timeout_ms, self._start_ms + self.engine.limits.cutoff_ms - began)
        if deadline_ms <= 0 or began + deadline_ms > self.lease.until_ms:
            # Our own lease would end under the call (this process was paused, say): another may own the execution already.
            outcome: Any = NotSent(message="the invocation was too old to send the request")
        else:
            outcome = await self.engine.tools.run(start, deadline_ms / 1000)
        ended = self.now_ms()
        if not isinstance(outcome, NotSent):
            self.engine.estimates.add(start.tool, ended - began)
        return Report(cell=start.cell, outcome=outcome, started_ms=began, ended_ms=ended)

    async def _wait(self, following: Next) -> Event:
        """Until calls end (all that end in one turn of the loop come together) or a timer is up."""
        if isinstance(following, AskModel):
            await self._ask(following)
            return Ticked(now_ms=self.now_ms(), room=self.room())
        until = following.until_ms if isinstance(following, Wait | StartSteps) else None
        timeout = None if until is None else max(0.0, (until - self.now_ms()) / 1000)
        if not self._tasks:
            await asyncio.sleep(timeout or 0)
            return Ticked(now_ms=self.now_ms(), room=self.room())
        if len(self._tasks) == 1 and timeout is None:
            await next(iter(self._tasks))
        else:
            await asyncio.wait(self._tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # siblings whose answers are in the same turn share the commit
        done = [task for task in self._tasks if task.done()]
        for task in done:
            del self._tasks[task]
        if not done:
            return Ticked(now_ms=self.now_ms(), room=self.room())
        reports = tuple(sorted((task.result() for task in done), key=lambda report: report.cell))
        return Attempted(now_ms=self.now_ms(), room=self.room(), reports=reports)

    async def _ask(self, asked: AskModel) -> None:
        """Ask the planner once; what it says is the segment's until it is stored."""
        before = self.x.advice.said if self.x.advice and isinstance(self.x.advice.said, Flawed) else None
        execution, tenant = self.lease.header.id, self.lease.header.tenant
        words = await self.engine.store.load_words(execution)
        if words is None:
            raise IntentionError(f"the words of {execution} are gone", code="words_missing")
        self.x.advice = await self.engine.planner.advise(
            words,
            tenant=tenant,
            call=asked.call,
            model=asked.model,
            until_s=max(0.0, (asked.until_ms - self.now_ms()) / 1000),
            problems=self.x.notes.asking.problems,
            before=before,
            stopped=await self._stopped() if self.x.header.plan else None,
        )

    async def _stopped(self) -> Stopped:
        """The plan as it failed, with what its steps gave: an output that is gone is not told."""
        x, replan = self.x, self.x.notes.replan
        done = [cell for cell in range(x.blueprint.size) if x.cell(cell) is Cell.DONE]
        outputs = await self.engine.store.load_results(x.header.id, done)
        return Stopped(
            plan=x.blueprint.plan,
            cells=bytes(x.cells[: x.blueprint.size]),
            outputs={x.name_of(cell): output for cell, output in outputs.items()},
            failed=replan.failed if replan else (),
        )

    async def _stop_calls(self) -> None:
        """Whatever still runs belongs to nobody now; its intent is settled by the next owner."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tell(self, lines: Sequence[Line]) -> None:
        for line in lines:
            facts: Mapping[str, Any] = line.detail
            extra = {"attempt": line.attempt} if line.attempt else {}
            if line.step:
                extra["step"] = line.step  # type: ignore[assignment] # a log line's values are of any kind
            log.info(line.event, **extra, **{("text" if k == "message" else k): v for k, v in facts.items()})
