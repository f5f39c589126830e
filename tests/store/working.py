"""A process that uses the store as executors, watchdogs and people do, badly: late, twice, all at once."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from shared.machine.decision import Changes, Line
from shared.machine.status import Status
from shared.ports import Accepted, Committed, Flags, Going, Lease, Lost, NoLease
from shared.redisdb.connect import connect
from shared.redisdb.store import RedisStore
from tests.store.observed import Seen
from tests.support.executions import RETENTION_MS, ends, intends

LEASE_MS = 15
TASKS = 3


def work(url: str, executions: list[str], seed: int, turns: int) -> list[Seen]:
    """What this process did and saw. Runs in a process of its own."""
    return asyncio.run(_work(url, executions, seed, turns))


async def _work(url: str, executions: list[str], seed: int, turns: int) -> list[Seen]:
    async with connect(url) as redis:
        store = RedisStore(redis, retention_ms=RETENTION_MS)
        workers = [_Worker(store, executions, f"{seed}.{number}", turns) for number in range(TASKS)]
        await asyncio.gather(*(worker.run() for worker in workers))
    return [call for worker in workers for call in worker.calls]


class _Worker:
    def __init__(self, store: RedisStore, executions: list[str], name: str, turns: int) -> None:
        self.calls: list[Seen] = []
        self._store = store
        self._executions = executions
        self._name = name
        self._turns = turns
        self._dice = random.Random(name)
        self._count = 0
        self._late = False

    async def run(self) -> None:
        for turn in range(self._turns):
            self._late = turn > self._turns * 2 // 3
            execution = self._dice.choice(self._executions)
            if self._dice.random() < 0.3:
                await self._signal(execution)
            else:
                await self._segment(execution)

    def _mark(self) -> str:
        self._count += 1
        return f"{self._name}/{self._count}"

    async def _signal(self, execution: str) -> None:
        mark = self._mark()
        kind = self._dice.choice(["event", "event", "cancel"])
        for again in [False, True][: self._dice.choice([1, 2])]:
            began = time.monotonic_ns()
            answer = await self._store.signal(execution, tenant="acme", sid=mark, kind=kind, payload=mark)
            said = "accepted" if isinstance(answer, Accepted) else answer.why
            self._saw("signal", execution, began, said, mark=mark, again=again)
        if self._dice.random() < 0.2:
            await self._store.resend(execution, base_ms=1, most_ms=5)

    async def _segment(self, execution: str) -> None:
        owner = secrets.token_hex(16)
        lease = await self._acquire(execution, owner)
        if isinstance(lease, Lease) and self._dice.random() < 0.2:
            lease = await self._acquire(execution, owner)
        if not isinstance(lease, Lease):
            return
        ver, seen = lease.ver, max([lease.seen, *(signal.position for signal in lease.signals)])
        for _ in range(self._dice.randint(1, 6)):
            if self._dice.random() < 0.1:  # a slow holder: its lease may end under it
                await asyncio.sleep(self._dice.random() * 2 * LEASE_MS / 1000)
            if ver - lease.ver > 2 and self._dice.random() < 0.1:  # what somebody computed long ago
                await self._commit(lease, ver - 2, seen, self._going(lease))
            going = self._going(lease)
            answer = await self._commit(lease, ver, seen, going)
            if isinstance(answer, Flags):
                ver, seen = answer.ver, max([seen, *(signal.position for signal in answer.signals)])
            elif isinstance(answer, Committed):
                ver = answer.ver
            over = isinstance(answer, Lost) or (isinstance(answer, Committed) and going.kind in {"leave", "end"})
            if over and self._dice.random() < 0.5:
                return  # otherwise it goes on although it is over: nothing of that may be stored

    def _going(self, lease: Lease) -> Going:
        if self._late and lease.header.id == self._executions[0]:
            return ends(lease, Status.COMPLETED)
        kind = self._dice.choice(["none", "intents", "leave"])
        return Going(kind=kind, message=kind == "leave", changes=intends(0) if kind == "intents" else Changes())

    async def _acquire(self, execution: str, owner: str) -> Lease | NoLease:
        began = time.monotonic_ns()
        answer = await self._store.acquire(execution, owner=owner, lease_ms=LEASE_MS, segment=-1, cause="test")
        if isinstance(answer, Lease):
            self._saw("acquire", execution, began, "lease", owner=owner, after=answer.ver, fence=answer.fence)
        else:
            self._saw("acquire", execution, began, answer.why.name, owner=owner)
        return answer

    async def _commit(self, lease: Lease, ver: int, seen: int, going: Going) -> Any:
        mark = self._mark()
        kept = Changes(history=[Line(event="kept", detail={"mark": mark})], progress=True)
        went = Changes(
            header=going.changes.header,
            cells=going.changes.cells,
            intents=going.changes.intents,
            history=[Line(event="went", detail={"mark": mark})],
        )
        told = Going(kind=going.kind, message=going.message, reason="test", changes=went)

        def call() -> Awaitable[Any]:
            return self._store.commit(lease, ver=ver, seen=seen, kept=kept, going=told)

        answer = await self._committed(call, lease, ver, seen, told.kind, mark, again=False)
        if isinstance(answer, Committed | Flags) and self._dice.random() < 0.25:
            if self._dice.random() < 0.3:
                await asyncio.sleep(self._dice.random() * 2 * LEASE_MS / 1000)
            await self._committed(call, lease, ver, seen, told.kind, mark, again=True)
        return answer

    async def _committed(
        self, call: Callable[[], Awaitable[Any]], lease: Lease, ver: int, seen: int, going: str, mark: str, *, again: bool
    ) -> Any:
        began = time.monotonic_ns()
        answer = await call()
        entry = answer.entry.id if isinstance(answer, Committed) and answer.entry else ""
        facts = {"owner": lease.owner, "ver": ver, "seen": seen, "going": going, "fence": lease.fence, "entry": entry}
        after = 0 if not isinstance(answer, Committed | Flags) else answer.ver
        said = type(answer).__name__.lower()
        self._saw("commit", lease.header.id, began, said, mark=mark, after=after, again=again, **facts)
        return answer

    def _saw(self, kind: str, execution: str, began: int, answer: str, **facts: Any) -> None:
        self.calls.append(Seen(kind=kind, execution=execution, began=began, ended=time.monotonic_ns(), answer=answer, **facts))
