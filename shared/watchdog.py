"""Finds what nobody moved in time and moves it: overdue executions are sent again, stranded outbox entries are relayed.

Any number may run: `resend` is atomic and a relay's claim is its own. First a direct call to the executor (costs no message),
then QStash.
"""

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol

from shared.errors import Unavailable
from shared.executor_client import ExecutorClient
from shared.logs import get_logger
from shared.ports import Store
from shared.redisdb import keys
from shared.relay import Acks, Relay

log = get_logger()

BASE_MS: Final = 2_000
MOST_MS: Final = 300_000
PER_PARTITION: Final = 50
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

    def __init__(self, store: Store, relay: Relay, acks: Acks, executor: ExecutorClient | None, *, rate: int) -> None:
        """`rate`: executions re-sent in one sweep at most, so that a backlog does not become a storm."""
        self._store = store
        self._relay = relay
        self._acks = acks
        self._executor = executor
        self._rate = rate
        self._lazy_at = 0.0
        self._others: list[Rounds] = []

    def take_along(self, rounds: Rounds) -> None:
        """Do these with every round from now on."""
        self._others.append(rounds)

    async def sweep(self) -> int:
        """One round over all partitions; how many executions and entries were moved."""
        overdue = await self._store.overdue_everywhere(limit=PER_PARTITION)
        random.shuffle(overdue)
        # At the same time, so that neither an executor nor a QStash that hangs holds up the other's work.
        woken, relayed, *others = await asyncio.gather(
            self._wake(overdue[: self._rate]),
            self._relay_all(),
            *(_isolated(rounds.sweep(), type(rounds).__name__) for rounds in self._others),
        )
        if woken or relayed:
            log.info("sweep.moved", overdue=len(overdue), woken=woken, relayed=relayed)
        return woken + relayed + sum(others)

    async def _wake(self, executions: Sequence[str]) -> int:
        gate = asyncio.Semaphore(16)

        async def one(execution: str) -> int:
            async with gate:
                return await _isolated(self.resend(execution), execution)

        return sum(await asyncio.gather(*(one(execution) for execution in executions)))

    async def _relay_all(self) -> int:
        """All partitions at once, so that what they publish shares batches."""
        partitions = await self._store.waiting_entries()
        return sum(await asyncio.gather(*(_isolated(self._relay.run_once(one), one) for one in partitions)))

    async def resend(self, execution: str) -> bool:
        """Send an overdue execution again; False if it was not overdue any more."""
        direct = self._executor is not None
        entry = await self._store.resend(execution, base_ms=BASE_MS, most_ms=MOST_MS, direct=direct)
        if entry is None:
            return False
        log.info("execution.resent", execution=execution, segment=entry.segment)
        if self._executor and await self._executor.wake(execution, segment=entry.segment, reason="overdue"):
            self._acks.add(entry, "direct")
        return True

    async def lazily(self) -> None:
        """A request's free contribution: one random partition, at most once a second and process."""
        now = time.monotonic()
        if now - self._lazy_at < LAZY_S:
            return
        self._lazy_at = now
        partition = random.choice(keys.all_partitions())
        try:
            for execution in await self._store.overdue(partition, limit=3):
                await _isolated(self.resend(execution), execution)
            await self._relay.run_once(partition)
            for rounds in self._others:
                await _isolated(rounds.look(partition), type(rounds).__name__)
        except Unavailable as error:
            log.debug("sweep.skipped", error=error.message)


async def _isolated(work: Coroutine[Any, Any, int], what: str) -> int:
    """What `work` moved; 0 if it failed: one odd record must not stop the round for all the others."""
    try:
        return await work
    except Unavailable as error:
        log.warning("sweep.skipped", what=what, error=error.message)
    except Exception:
        log.exception("sweep.odd", what=what)
    return 0
