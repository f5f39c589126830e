"""The one loop that starts deliveries: takes what is due, starts what may start, sleeps until something changes.

It keeps ids and lanes of due messages in memory, never bodies, and no task for a message that waits. Redis knows everything it
knows: what it holds is listed there under its boot id, and the next process takes it back. After a lost reply it compares the
two lists, so an outage of Redis loses nothing either.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import NamedTuple, TypeVar

from services.qstash_dev import ids, retry
from services.qstash_dev.delivery import Courier
from services.qstash_dev.errors import Fenced
from services.qstash_dev.faults.delivery import Interference
from services.qstash_dev.faults.plan import Fault
from services.qstash_dev.lanes import Entry, Lanes
from services.qstash_dev.model import Publish, gated, lane_of
from services.qstash_dev.outcome import conclude
from services.qstash_dev.store import Claimed, Finish, Store, Waiting
from services.qstash_dev.users import User
from services.qstash_dev.workflow.delivery import Runs
from shared.errors import Unavailable
from shared.logs import get_logger

log = get_logger()
T = TypeVar("T")

IDLE_MS = 1_000
"""Longest sleep: whatever another process or a lost reply left in Redis is found after this long."""
COMPARE_MS = 30_000
"""How often memory and Redis are compared without a reason."""
AWAY_S = 0.1
"""Pause between tries while Redis is away; it grows to AWAY_MAX_S."""
AWAY_MAX_S = 1.0
DRAIN_S = 2.0
"""How long a stopping process waits for answers that are on their way; the rest is redelivered after the next start."""


class Offer(NamedTuple):
    """A message that was just stored by this process."""

    user: User
    publish: Publish


def now_ms() -> int:
    """Unix milliseconds."""
    return int(time.time() * 1_000)


class Scheduler:
    """Delivers every stored message. `run` is its life; `offer` saves a new message the wait for the next look at Redis."""

    def __init__(
        self,
        *,
        store: Store,
        courier: Courier,
        users: Iterable[User],
        lanes: Lanes | None = None,
        interference: Interference | None = None,
    ) -> None:
        self._store = store
        self._courier = courier
        self._interference = interference
        self._users = {user.name: user for user in users}
        self.runs = Runs(store)
        self._lanes = lanes or Lanes()
        self._known: dict[str, Entry] = {}
        self._deliveries: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._next_due_ms = 0
        self._compare_at_ms = 0
        self.ready = False
        """Owns the deliveries and has heard from Redis since the last trouble."""
        store.pipe.on_disturbance = self._disturbed

    def offer(self, offer: Offer) -> None:
        """A message that has been stored: starts at once if it is due and may."""
        message = offer.publish.message
        if message.not_before_ms > now_ms() or gated(message):
            self._expect(message.not_before_ms)  # a gate in Redis says when it is its turn
        else:
            self._add(offer.user, Waiting(message.message_id, lane_of(message)))

    def in_flight(self, user: User) -> int:
        """How many of the user's messages are on the wire."""
        return self._lanes.in_flight(user.name)

    def look(self) -> None:
        """Something became due that was not offered: it is in Redis."""
        self._expect(0)

    async def run(self) -> None:
        """Until cancelled, or until another process owns the data."""
        try:
            await self._boot()
            while True:
                self._wake.clear()
                if await self._turn():
                    await self._sleep()
        except Fenced as error:
            self.ready = False
            log.critical("scheduler.fenced", message=error.message)
        finally:
            await self._drain()

    async def _boot(self) -> None:
        """Take over, however long Redis needs to come up."""
        if self._interference:
            await self._persist(self._interference.load)
        await self._persist(self._store.enter)
        for user in self._users.values():
            back = await self._persist(partial(self._store.take_over, user.keys))
            if back:
                log.info("messages.taken_back", user=user.name, count=back)
        self.ready = True

    async def _turn(self) -> bool:
        """Take, compare and start; False when Redis is away, after a pause."""
        try:
            if now_ms() >= self._compare_at_ms:
                await self._compare()
            if now_ms() >= self._next_due_ms:
                await self._pop()
            await self._start()
        except Unavailable as error:
            self._disturbed()
            if self.ready:
                log.warning("redis.lost", message=error.message)
            self.ready = False
            await asyncio.sleep(AWAY_S)
            return False
        self.ready = True
        return True

    async def _sleep(self) -> None:
        if self._wake.is_set():
            return
        delay_ms = min(self._next_due_ms, self._compare_at_ms) - now_ms()
        try:
            async with asyncio.timeout(max(0.0, delay_ms / 1_000)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _pop(self) -> None:
        started_ms = now_ms()
        self._next_due_ms = started_ms + IDLE_MS
        users = list(self._users.values())
        try:
            replies = await asyncio.gather(*(self._store.pop(user.keys, started_ms) for user in users))
        except BaseException:
            self._next_due_ms = 0
            raise
        for user, (next_ms, waiting) in zip(users, replies, strict=True):
            for one in waiting:
                self._add(user, one)
            if next_ms is not None:
                self._expect(next_ms)

    async def _compare(self) -> None:
        """Take up what Redis says is held here but memory does not know: its reply was lost."""
        self._compare_at_ms = now_ms() + COMPARE_MS
        for user in self._users.values():
            for one in await self._store.held(user.keys):
                if one.message_id not in self._known:
                    self._add(user, one)

    async def _start(self) -> None:
        taken = self._lanes.take()
        by_user: dict[str, list[Entry]] = defaultdict(list)
        for entry in taken:
            by_user[entry.user].append(entry)
        while by_user:
            name, entries = by_user.popitem()
            try:
                claims = await self._store.claim(self._users[name].keys, [entry.message_id for entry in entries], now_ms())
            except BaseException:
                self._give_back([*entries, *(entry for rest in by_user.values() for entry in rest)])
                raise
            self._launch(entries, claims)

    def _launch(self, entries: list[Entry], claims: list[Claimed]) -> None:
        claimed = {one.message.message_id: one for one in claims}
        for entry in entries:
            found = claimed.get(entry.message_id)
            if found is None:
                self._release(entry)
                self.look()  # a gate kept it, and may have called others
                continue
            task = asyncio.create_task(self._deliver(entry, found))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, entry: Entry, claimed: Claimed) -> None:
        user = self._users[entry.user]
        if self._interference and (fault := self._interference.decide(user, claimed)):
            await self._spoil(entry, claimed, fault, self._interference)
            return
        try:
            sent = await self._persist(partial(self.runs.prepare, user.keys, claimed, now_ms()))
            if sent is None:  # its workflow run is over
                return
            answer = await self._courier.attempt(sent.request, claimed.signing_key or user.current_key)
            at_ms = now_ms()
            dlq_id = ids.dlq_id(at_ms) if sent.buried else ""
            decision, finish = conclude(sent.source, answer, now_ms=at_ms, dlq_id=dlq_id, new_id=ids.message_id)
            if sent.run is None:
                await self._record(user, finish, at_ms)
            else:
                finish = await self._persist(partial(self.runs.record, user.keys, sent, finish, at_ms))
        finally:
            self._release(entry)
        if gated(claimed.message):
            self.look()  # others may have waited for it
        if isinstance(decision, retry.RetryAt):
            self._reschedule(user, entry, decision.due_ms)
        for publish in finish.caused:
            self.offer(Offer(user, publish))

    async def _spoil(self, entry: Entry, claimed: Claimed, fault: Fault, interference: Interference) -> None:
        """A fault on demand took this attempt: the message is lost, or comes again later."""
        user, at_ms = self._users[entry.user], now_ms()
        due_ms = at_ms + interference.wait_ms(claimed, fault)
        try:
            await self._persist(partial(interference.apply, user, claimed, fault, at_ms, due_ms))
        finally:
            self._release(entry)
        if fault.kind != "drop":
            self._reschedule(user, entry, due_ms)
        if gated(claimed.message):
            self.look()

    async def _record(self, user: User, finish: Finish, at_ms: int) -> None:
        """Until it is stored: an outcome that is not recorded would be an attempt made twice."""
        await self._persist(partial(self._store.finish, user.keys, finish, at_ms))
        log.debug("attempt.recorded", message_id=finish.message_id, verdict=finish.verdict, retried=finish.retried)

    def _reschedule(self, user: User, entry: Entry, due_ms: int) -> None:
        if due_ms <= now_ms():  # it may have been popped already, while it was still known as one on the wire
            self._add(user, Waiting(entry.message_id, entry.lane))
        else:
            self._expect(due_ms)

    def _add(self, user: User, waiting: Waiting) -> None:
        if waiting.message_id in self._known:
            return  # offered and popped; or popped for a retry whose outcome is not heard of yet, see _reschedule
        entry = self._known[waiting.message_id] = Entry(user.name, waiting.message_id, waiting.lane)
        self._lanes.add(entry)
        self._wake.set()

    def _release(self, entry: Entry) -> None:
        self._lanes.done(entry)
        self._known.pop(entry.message_id, None)
        self._wake.set()

    def _give_back(self, entries: list[Entry]) -> None:
        for entry in reversed(entries):
            self._lanes.done(entry)
            self._lanes.add(entry, front=True)

    def _expect(self, due_ms: int) -> None:
        if due_ms < self._next_due_ms:
            self._next_due_ms = due_ms
            self._wake.set()

    def _disturbed(self) -> None:
        self._compare_at_ms = 0
        self._next_due_ms = 0

    async def _persist(self, call: Callable[[], Awaitable[T]]) -> T:
        pause_s = AWAY_S
        while True:
            try:
                return await call()
            except Unavailable as error:
                if pause_s == AWAY_S:
                    log.warning("redis.awaited", message=error.message)
            await asyncio.sleep(pause_s)
            pause_s = min(AWAY_MAX_S, pause_s * 2)

    async def _drain(self) -> None:
        if self._deliveries:
            _, late = await asyncio.wait(self._deliveries, timeout=DRAIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
