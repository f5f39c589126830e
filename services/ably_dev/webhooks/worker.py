"""Hands on what the rules want: queued in Redis with the publish, called until it is taken or too old, kept over a restart."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from services.ably_dev.access import Key
from services.ably_dev.faults import Board
from services.ably_dev.hub import Bell
from services.ably_dev.log import Log, Placed
from services.ably_dev.webhooks import rules
from services.ably_dev.webhooks.rules import Call, Rule
from shared.errors import Unavailable
from shared.logs import get_logger

log = get_logger()

AGAIN_S = 0.5
SINGLES = 25
"""Single calls at a time, as on Ably's free plan."""
TIMED_OUT = 0
"""In the place of a status."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how long it tries, in ms; a test makes them short."""

    collect: int = 1_000
    """How long a batch waits for company."""
    drop: int = 300_000
    """What is older is not handed on any more."""
    timeout: int = 15_000
    after_timeout: tuple[int, ...] = (4_000, 20_000)
    """A single call that timed out is tried again after these, then no more."""
    wait: Callable[[int], int] = field(default=rules.batch_wait_ms)
    """How long after the n-th failure in a row."""


class Waiting(NamedTuple):
    """A publish in a rule's queue."""

    id: str
    channel: str
    placed: Placed


class Worker:
    """One rule. Whoever is called may be called twice: after a kill, and when its answer was lost."""

    def __init__(
        self,
        rule: Rule,
        key: Key | None,
        *,
        log: Log,
        http: httpx.AsyncClient,
        faults: Board,
        pace: Pace,
        now_ms: Callable[[], int],
    ) -> None:
        self.rule = rule
        self.bell = Bell()
        self._key = key
        self._log = log
        self._http = http
        self._faults = faults
        self._pace = pace
        self._now_ms = now_ms
        self._failures = 0
        self._calling: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until it is cancelled. A Redis that is away is waited for."""
        step = self._batch if self.rule.request_mode == "batch" else self._singles
        try:
            while True:
                self.bell.clear()
                try:
                    await step()
                except Unavailable:
                    await asyncio.sleep(AGAIN_S)
                except Exception:  # a fault of ours must not end the rule
                    log.exception("webhook.crashed", rule=self.rule.rule_id)
                    await asyncio.sleep(AGAIN_S)
        finally:
            for task in self._calling.values():
                task.cancel()
            await asyncio.gather(*self._calling.values(), return_exceptions=True)

    async def _fresh(self, count: int) -> list[Waiting]:
        """What waits, without what is too old: that is dropped, and said."""
        found = [Waiting(*row) for row in await self._log.waiting(self.rule.app_id, self.rule.rule_id, count)]
        oldest = self._now_ms() - self._pace.drop
        old = [one for one in found if one.placed.at.ms < oldest]
        if old:
            log.warning("webhook.dropped", rule=self.rule.rule_id, publishes=len(old), older_than_ms=self._pace.drop)
            await self._done(old)
        return [one for one in found if one.placed.at.ms >= oldest]

    async def _done(self, ones: Sequence[Waiting]) -> None:
        await self._log.handed_on(self.rule.app_id, self.rule.rule_id, [one.id for one in ones])

    # --- batches: one call at a time, in order ---

    async def _batch(self) -> None:
        found = await self._fresh(rules.BATCH)
        if not found:
            await self.bell.wait(1)
            return
        young = found[0].placed.at.ms + self._pace.collect - self._now_ms()
        if young > 0 and len(found) < rules.BATCH:
            await asyncio.sleep(min(young, self._pace.collect) / 1_000)
            found = await self._fresh(rules.BATCH)
        if found:
            await self._call_batch(found)

    async def _call_batch(self, found: list[Waiting]) -> None:
        forged = bool(self._faults.fires("hook_bad_signature"))
        entries = [(one.channel, one.placed) for one in found]
        if self._faults.fires("hook_reorder"):
            entries.reverse()
        call = rules.batch(self.rule, entries, self._key, forged=forged)
        status = await self._call(call)
        if 200 <= status < 300:
            self._failures = 0
            await self._done(found)
            return
        self._failures += 1
        wait = self._pace.wait(self._failures)
        log.warning("webhook.failed", rule=self.rule.rule_id, status=status, publishes=len(found), again_in_ms=wait)
        await asyncio.sleep(wait / 1_000)

    # --- single calls: side by side, in no order ---

    async def _singles(self) -> None:
        self._calling = {name: task for name, task in self._calling.items() if not task.done()}
        found = await self._fresh(SINGLES + len(self._calling))
        for one in found:
            if one.id not in self._calling and len(self._calling) < SINGLES:
                self._calling[one.id] = asyncio.create_task(self._single(one))
        await self.bell.wait(1)

    async def _single(self, one: Waiting) -> None:
        for call in rules.single(self.rule, one.channel, one.placed):
            await self._until_taken(call, one.placed.at.ms)
        with contextlib.suppress(Unavailable):  # then it is called again
            await self._done([one])
        self.bell.ring()

    async def _until_taken(self, call: Call, since_ms: int) -> None:
        """A 5xx is tried again until it is too old, a time-out twice; a 4xx is final."""
        failures, timeouts = 0, list(self._pace.after_timeout)
        while True:
            status = await self._call(call)
            if status == TIMED_OUT and timeouts:
                wait = timeouts.pop(0)
            elif status >= 500:
                failures += 1
                wait = self._pace.wait(failures)
            else:
                if not 200 <= status < 300:
                    log.warning("webhook.given_up", rule=self.rule.rule_id, status=status)
                return
            log.warning("webhook.failed", rule=self.rule.rule_id, status=status, publishes=1, again_in_ms=wait)
            if self._now_ms() + wait - since_ms > self._pace.drop:
                log.warning("webhook.dropped", rule=self.rule.rule_id, publishes=1, older_than_ms=self._pace.drop)
                return
            await asyncio.sleep(wait / 1_000)

    async def _call(self, call: Call) -> int:
        """The status; TIMED_OUT for none in time, 503 for a host that cannot be reached."""
        if self._faults.fires("hook_lose"):
            return 200
        if late := self._faults.fires("hook_late"):
            await asyncio.sleep(late.ms / 1_000)
        status = await self._post(call)
        if self._faults.fires("hook_duplicate"):
            await self._post(call)
        return status

    async def _post(self, call: Call) -> int:
        try:
            answer = await self._http.post(
                self.rule.target.url, content=call.body, headers=call.headers, timeout=self._pace.timeout / 1_000
            )
        except httpx.TimeoutException:
            return TIMED_OUT
        except httpx.HTTPError:
            return 503
        return answer.status_code


class Webhooks:
    """All rules of this server."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = {worker.rule.rule_id: worker for worker in workers}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Take up what waits, and what comes."""
        self._tasks = [asyncio.create_task(worker.run(), name=f"webhook {name}") for name, worker in self._workers.items()]

    async def close(self) -> None:
        """What is on its way is called again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def concerned(self, app: str, channel: str) -> list[str]:
        """The ids of the rules that want what is published there."""
        return [name for name, worker in self._workers.items() if worker.rule.wants(app, channel)]

    def ring(self, names: Sequence[str]) -> None:
        """There is something for these rules."""
        for name in names:
            self._workers[name].bell.ring()
