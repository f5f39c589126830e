"""Takes deliveries: finds the lease and the plan, and runs one segment, or says what the message is answered without one."""

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from shared import step_log, tracing
from shared.errors import IntentionError, Unavailable
from shared.estimates import Estimates
from shared.guards import Guards, NoGuards
from shared.invocation import Answer, Delivery, Limits
from shared.lag import Lag
from shared.logs import bound, get_logger
from shared.machine.events import Patience
from shared.machine.plan import NO_PLAN, Blueprint
from shared.machine.state import Advice, Asked, Flawed, Unreachable
from shared.machine.status import Cell
from shared.ports import Clock, Lease, No, NoLease, Planner, Progress, Stopped, Store, ToolRunner, Words
from shared.quota_keeper import Keeper
from shared.relay import Sender
from shared.segment import Segment, lost
from shared.tally import Tally
from shared.tracing import NO_TRACER, Fact, Span, Tracer

log = get_logger()

SLEEP_OUT_MS: Final = 2_000
"""A message that came this much too early waits in the invocation; one that came earlier is left to the due index."""


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


_UNPLANNED: Final = Blueprint(NO_PLAN)


def _as_it_is(value: Any) -> Any:
    return value


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
                return lost()
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
