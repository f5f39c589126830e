"""One invocation's work on one execution: decide, store, do, until the segment is over or somebody else owns the execution.

The order is the protocol's: store result N with the intents of exactly what starts now, look at the own deadline, call.
A crash at any line costs what protocol.md §2.6 says, and never an effect twice.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from shared.dead_letters import letter_of_execution
from shared.errors import IntentionError, Unavailable
from shared.invocation import Answer
from shared.logs import get_logger
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
    StartSteps,
    Suspend,
    Take,
    Wait,
    apply,
    merge,
)
from shared.machine.events import Attempted, Event, Room, Signalled, Ticked, Woke
from shared.machine.plan import Blueprint, decode
from shared.machine.state import Execution, Flawed
from shared.machine.status import Cell, Phase, Reason
from shared.ports import Committed, Flags, Going, Lease, Letter, Lost, Stopped
from shared.quota import Level, floor_of
from shared.tool_calls import Calls

if TYPE_CHECKING:
    from shared.interpret import Interpreter

log = get_logger()


def lost() -> Answer:
    """Another invocation owns this execution by now: nothing is started."""
    log.warning("segment.lost", message="another invocation owns this execution by now: nothing is started")
    return Answer(status=503, result="lost", retry_after_s=1)


class Segment:
    """One invocation's work on one execution."""

    def __init__(self, engine: "Interpreter", lease: Lease, blueprint: Blueprint, started_ms: float) -> None:
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
        self._calls = Calls(engine, lease, self.now_ms, self._start_ms + engine.limits.cutoff_ms)
        self._started = 0
        self._ended_ms: dict[int, int] = {}
        self._pending = Changes()
        self._began = False
        self._refused = False

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
                    return lost()
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
            await self._calls.stop()

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
        if kept and (logged := self._calls.logged()):
            kept = msgspec.structs.replace(kept, logs=logged)
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
        plan = decode(found.adopted.plan)
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
                    self._calls.begin(start)
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

    async def _wait(self, following: Next) -> Event:
        """Until calls end (all that end in one turn of the loop come together) or a timer is up."""
        if isinstance(following, AskModel):
            await self._ask(following)
            return Ticked(now_ms=self.now_ms(), room=self.room())
        until = following.until_ms if isinstance(following, Wait | StartSteps) else None
        timeout = None if until is None else max(0.0, (until - self.now_ms()) / 1000)
        if not self._calls:
            await asyncio.sleep(timeout or 0)
            return Ticked(now_ms=self.now_ms(), room=self.room())
        reports = await self._calls.ended(timeout)
        if not reports:
            return Ticked(now_ms=self.now_ms(), room=self.room())
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

    def _tell(self, lines: Sequence[Line]) -> None:
        for line in lines:
            facts: Mapping[str, Any] = line.detail
            extra = {"attempt": line.attempt} if line.attempt else {}
            if line.step:
                extra["step"] = line.step  # type: ignore[assignment] # a log line's values are of any kind
            log.info(line.event, **extra, **{("text" if k == "message" else k): v for k, v in facts.items()})
