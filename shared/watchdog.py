"""Finds what nobody moved in time and moves it: overdue executions are sent again, stranded outbox entries are relayed.

Any number may run: `resend` is atomic and a relay's claim is its own. First a direct call to the executor (costs no message),
then QStash. How many are re-sent at once, `shared.window` says; who comes first, `shared.backlog`; and from when on
something is overdue, `shared.lag`. See docs/decisions/0012-re-sends-are-paced-by-what-comes-of-them.md.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from shared.backlog import Backlog
from shared.errors import Unavailable
from shared.executor_client import ExecutorClient
from shared.lag import Lag, late_ms
from shared.logs import get_logger
from shared.ports import Entry, Store
from shared.redisdb import keys
from shared.relay import Acks, Relay
from shared.tracing import NO_TRACER, Fact, Tracer
from shared.window import Window

log = get_logger()

BASE_MS: Final = 2_000
MOST_MS: Final = 300_000
PER_PARTITION: Final = 50
PAGE: Final = 500
"""So many of a partition are looked at in a round when not all can be re-sent: 100,000 overdue ones in four rounds."""
EACH: Final = 1_000
CALLERS: Final = 32
LAZY_S: Final = 1.0
LAZY_MOST: Final = 3


class Rounds(Protocol):
    """Other work that is found by looking, and done with the watchdog's rounds (schedules, events, slots)."""

    async def sweep(self) -> int:
        """Everything that is due; how much was done."""
        ...

    async def look(self, partition: str) -> int:
        """What is due on one partition."""
        ...


class Watchdog:
    """One for a process. `executor` None: everything goes through QStash (deployments that scale to zero)."""

    def __init__(  # the ports
        self,
        store: Store,
        relay: Relay,
        acks: Acks,
        executor: ExecutorClient | None,
        *,
        rate: int,
        seconds: Callable[[], float] | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """`rate`: executions re-sent in one sweep at most, so that a backlog does not become a storm.

        `seconds`: a clock that goes forward only; the loop's, if none is given.
        """
        self.lag = Lag()
        """Of the messages that are delivered to this process."""
        self.window = Window(rate)
        self.backlog = Backlog(max(EACH, rate))
        self.counts = Counter[str]()
        """Since the start: `sweeps`; re-sent as `direct` calls, as `messages`, in vain (`unanswered`); `relayed`, `others`."""
        self.left = 0
        """Overdue at the latest sweep and not re-sent by it; of many this is a part."""
        self._tracer = tracer
        self._store = store
        self._relay = relay
        self._acks = acks
        self._executor = executor
        self._rate = rate
        self._seconds = seconds or _loop_seconds
        self._lazy_at = float("-inf")
        self.late_ms = 0
        """How far behind its due time something is overdue, as of the latest look."""
        self._first: dict[str, int] = {}
        """Where the next page of a partition begins."""
        self._others: list[Rounds] = []

    def take_along(self, rounds: Rounds) -> None:
        """Do these with every round from now on."""
        self._others.append(rounds)

    def report(self) -> dict[str, Any]:
        """How it stands, for whoever measures: counts since the start, and the window, lag and backlog of the latest look."""
        return {
            "sweeps": self.counts["sweeps"],
            "resent": {name: self.counts[name] for name in ("direct", "messages", "unanswered")},
            "relayed": self.counts["relayed"],
            "left": self.left,
            "window": {"size": self.window.size, "most": self.window.most, "waiting": len(self.window.waiting)},
            "backlog": len(self.backlog),
            "lateMs": self.late_ms,
            "executor": None if self._executor is None else {"there": self._executor.reach.there},
        }

    async def sweep(self) -> int:
        """One round over all partitions; how many executions and entries were moved."""
        self.counts["sweeps"] += 1
        await self._learn()
        overdue = await self._store.overdue_everywhere(limit=PER_PARTITION, late_ms=self.late_ms)
        self.left = len(overdue)
        await self._line_up(overdue)
        # At the same time, so that neither an executor nor a QStash that hangs holds up the other's work.
        woken, relayed, *others = await asyncio.gather(
            self._wake(self._rate),
            self._relay_all(),
            *(_isolated(rounds.sweep(), type(rounds).__name__) for rounds in self._others),
        )
        if woken or relayed:
            log.info("sweep.moved", overdue=len(overdue), woken=woken, relayed=relayed, window=self.window.size)
        self.counts["others"] += sum(others)
        return woken + relayed + sum(others)

    async def sweep_within(self, seconds: float, *, every_s: float) -> tuple[int, int]:
        """Sweeps until nothing is left or the time is up: (how much was moved, how many were seen overdue and are left).

        What is cut off is found again, as what a crash cuts off is.
        """
        before = self._moved()
        rounds = asyncio.create_task(self._rounds(every_s))
        try:
            done, _ = await asyncio.wait({rounds}, timeout=seconds)
        finally:
            rounds.cancel()  # nobody waits until it has heard: a cancel may take its time
        if done:
            rounds.result()
        else:
            log.info("sweep.cut", left=self.left)
        return self._moved() - before, self.left

    async def _rounds(self, every_s: float) -> None:
        await self.sweep()
        while self.left:
            await asyncio.sleep(every_s)
            await self.sweep()

    def _moved(self) -> int:
        return self.counts.total() - self.counts["sweeps"]

    async def _learn(self) -> None:
        """What came of the latest re-sends, and how late deliveries are."""
        if waiting := self.window.waiting:
            moved = await self._store.moved(waiting)
            self.window.learn(dict(zip(waiting, moved, strict=True)), self._seconds())
        self.late_ms = late_ms(await self._store.lag())

    async def _line_up(self, overdue: list[str]) -> None:
        """Who comes next. Tenants are looked at only when not everybody's turn comes in this round."""
        if len(overdue) <= min(self._rate, self.window.room):
            random.shuffle(overdue)
            self.backlog.clear()
            self.backlog.add("", overdue)
        elif self.window.room:
            await asyncio.gather(*(self._page(partition) for partition in keys.all_partitions()))

    async def _page(self, partition: str) -> None:
        first = self._first.get(partition, 0)
        page = await self._store.overdue_page(partition, first=first, page=PAGE, each=PER_PARTITION, late_ms=self.late_ms)
        self._first[partition] = page.next
        for tenant, executions in page.tenants.items():
            self.backlog.add(tenant, executions)

    async def _wake(self, most: int) -> int:
        """Re-send up to `most` of the backlog, as far as the window goes: it grows meanwhile when executors answer."""
        woken = tried = 0

        async def caller() -> None:
            nonlocal woken, tried
            while tried < most and self.window.room and (execution := self.backlog.take()):
                tried += 1
                moved = await _isolated(self.resend(execution), execution)
                woken += moved

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return woken

    async def _relay_all(self) -> int:
        """All partitions at once, so that what they publish shares batches."""
        partitions = await self._store.waiting_entries()
        relayed = sum(await asyncio.gather(*(_isolated(self._relay.run_once(one), one) for one in partitions)))
        self.counts["relayed"] += relayed
        return relayed

    async def resend(self, execution: str) -> bool:
        """Send an overdue execution again; False if it was not overdue any more."""
        self.window.sent(execution, self._seconds())
        entry = None
        try:
            direct = self._executor is not None
            entry = await self._store.resend(execution, base_ms=BASE_MS, most_ms=MOST_MS, direct=direct, late_ms=self.late_ms)
        finally:
            if entry is None:
                self.window.withdrawn(execution)
        if entry is None:
            return False
        self.left = max(0, self.left - 1)
        facts: dict[str, Fact] = {"intention.execution": execution, "intention.segment": entry.segment}
        with self._tracer.span("resend", parent=entry.trace, facts=facts):
            await self._sent_again(entry)
        return True

    async def _sent_again(self, entry: Entry) -> None:
        called, execution = await self._called(entry), entry.execution
        log.info("execution.resent", execution=execution, segment=entry.segment, direct=called)
        free = entry.cost == 0  # a direct call or nothing, and that was tried
        self.counts["direct" if called else "unanswered" if free else "messages"] += 1
        if not called and not free:
            await self._relay.send(entry)

    async def _called(self, entry: Entry) -> bool:
        """Whether an executor took it, so that no message is needed."""
        if self._executor is None or not await self._executor.wake(entry.execution, segment=entry.segment, reason="overdue"):
            return False
        self._acks.add(entry, "direct")
        self.window.answered(entry.execution)
        return True

    @property
    def lazy(self) -> bool:
        """Whether `lazily` would do anything now."""
        return self._seconds() - self._lazy_at >= LAZY_S

    async def lazily(self) -> None:
        """A request's free contribution: one random partition, at most once a second and process."""
        if not self.lazy:
            return
        self._lazy_at = self._seconds()
        partition = random.choice(keys.all_partitions())
        try:
            if (lag_ms := self.lag.take()) is not None:
                await self._store.share_lag(lag_ms)
            await self._learn()
            few = min(LAZY_MOST, self.window.room)
            for execution in await self._store.overdue(partition, limit=few, late_ms=self.late_ms) if few else ():
                await _isolated(self.resend(execution), execution)
            relayed = await self._relay.run_once(partition)
            self.counts["relayed"] += relayed
            for rounds in self._others:
                await _isolated(rounds.look(partition), type(rounds).__name__)
        except Unavailable as error:
            log.debug("sweep.skipped", error=error.message)


def _loop_seconds() -> float:
    return asyncio.get_running_loop().time()


async def _isolated(work: Coroutine[Any, Any, int], what: str) -> int:
    """What `work` moved; 0 if it failed: one odd record must not stop the round for all the others."""
    try:
        return await work
    except Unavailable as error:
        log.warning("sweep.skipped", what=what, error=error.message)
    except Exception:
        log.exception("sweep.odd", what=what)
    return 0
