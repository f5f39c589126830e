"""The one door for hints, whichever way they come: the subscriber, Ably's webhook, or a call.

A hint is durable once it is noted: the due index has its execution, or the event is in an inbox. What follows only makes it
quick. What comes from a tenant's own publishers is limited here, and reaches that tenant's executions only.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from shared.errors import IntentionError, Unavailable
from shared.event_ports import NamedEvent
from shared.executor_client import ExecutorClient
from shared.logs import get_logger
from shared.mesh import MOST, Hint, Malformed, hints_of
from shared.pacing import Bucket, Sparing
from shared.ports import Heard, Store
from shared.telling import Teller

log = get_logger()

WOKEN: Final = "woken"
DUE: Final = "the executor is away: due now, the watchdog has it"
NOTHING: Final = "nothing to wake: terminal, or unknown"
DROPPED: Final = "dropped: more hints than this tenant may send"
_NOT_WOKEN: Final = {
    Heard.STALE: "nothing to do: that segment is over",
    Heard.SEEN: "nothing to do: this message was heard before",
    Heard.HELD: "nothing to do: it runs at this moment",
    Heard.WAITING: "nothing to do: it waits for what no hint brings, or is paused",
    Heard.TERMINAL: NOTHING,
    Heard.ABSENT: NOTHING,
}
_NOT_TOLD: Final = {
    "duplicate": "was sent before",
    "terminal": "is over already; nothing was told",
    "absent": NOTHING,
    "full": "its inbox is full",
}
_WRONG: Final = frozenset({"terminal", "absent", "full"})
"""What a publisher should not have sent, and an operator may want to know of."""
BURST_S: Final = 5
"""How many seconds' hints a tenant may send at once; at least one event's."""
EVENTS_AT_ONCE: Final = 4
"""Of one tenant. Its events are not dropped, for they carry data; a flood of them waits here, and for nobody else's."""
NOTES_AT_ONCE: Final = 32
WAKES_AT_ONCE: Final = 16
PUBLISHERS: Final = 1_000
"""Tenants whose limits are kept; a channel's name is what its publishers say."""


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a hint. `segment`: of the execution that is due now, and should be woken; None: there is nothing to wake."""

    hint: Hint
    result: str
    segment: int | None = None
    absent: bool = False


@dataclass
class _Publisher:
    """What one tenant's publishers may do at a time."""

    bucket: Bucket
    lane: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(EVENTS_AT_ONCE))


class Door:
    """One for a process."""

    def __init__(
        self,
        store: Store,
        executor: ExecutorClient,
        teller: Teller,
        *,
        hints_per_s: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`executor` is called at once; it is not needed for anything to go on. `hints_per_s`: of one tenant's publishers."""
        self._store = store
        self._executor = executor
        self._teller = teller
        self._per_s = hints_per_s
        self._clock = clock
        self._publishers: OrderedDict[str, _Publisher] = OrderedDict()
        self._notes, self._wakes = asyncio.Semaphore(NOTES_AT_ONCE), asyncio.Semaphore(WAKES_AT_ONCE)
        self._sparing, self._seldom = Sparing(clock=clock), Sparing(1, 1, clock=clock)
        self.counts: Counter[str] = Counter()
        """What came of hints since the start, for metrics."""

    def read(self, channel: str, message: str, name: str, data: Any) -> tuple[Hint, ...]:
        """What a message of a channel asks for. One that cannot be followed asks for nothing, and is in the log."""
        try:
            return hints_of(channel, message, name, data)
        except Malformed as error:
            self._ignored("malformed", str(error), channel=_ascii(channel), id=_ascii(message))
            return ()

    async def take(self, hint: Hint) -> tuple[str, int | None]:
        """What came of it, and the segment if it was due now. Unavailable when the store is away: take it again."""
        noted = await self.note(hint)
        return (noted.result if noted.segment is None else await self.wake(noted)), noted.segment

    async def note(self, hint: Hint, *, limited: bool = True) -> Noted:
        """The durable half of `take`. Unavailable when the store is away: again, and it counts once.

        `limited`: what a tenant's publishers say may be too much, and is dropped.
        """
        if hint.event:
            async with self._publisher(hint.tenant).lane, self._notes:
                return await self._tell(hint)
        if limited and hint.tenant and not self._publisher(hint.tenant).bucket.take(self._clock()):
            self.counts["dropped"] += 1
            self._seldom.say("hint.dropped", tenant=hint.tenant, limit_per_s=self._per_s, dropped=self.counts["dropped"])
            return Noted(hint=hint, result=DROPPED)
        async with self._notes:
            return await self._hint(hint)

    async def note_all(self, hints: Sequence[Hint]) -> tuple[list[Noted], Unavailable | None]:
        """Side by side; what could be noted, and why the others could not."""
        found = await asyncio.gather(*map(self.note, hints), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, Unavailable):
                raise one
        away = next((one for one in found if isinstance(one, Unavailable)), None)
        return [one for one in found if isinstance(one, Noted)], away

    async def wake(self, noted: Noted) -> str:
        """The quick half: ask the executor to run what is due now."""
        assert noted.segment is not None  # noqa: S101 - for the type checker; callers look
        async with self._wakes:
            taken = await self._executor.wake(noted.hint.execution, segment=noted.segment, reason="resumed")
        self.counts["woken" if taken else "due"] += 1
        return WOKEN if taken else DUE

    async def wake_all(self, noted: Sequence[Noted]) -> None:
        """Those that are due, each execution once."""
        ones = {one.hint.execution: one for one in noted if one.segment is not None}
        await asyncio.gather(*map(self.wake, ones.values()))

    async def _hint(self, hint: Hint) -> Noted:
        execution = hint.execution
        try:
            found = await self._store.hint(execution, tenant=hint.tenant, segment=hint.segment, message=hint.message)
        except ValueError:
            return self._noted(hint, Heard.ABSENT)
        if found.heard is not Heard.OK:
            return self._noted(hint, found.heard)
        text = f"Received resume request for {execution}"
        log.info("resume.received", message=text, execution=execution, segment=found.segment, tenant=hint.tenant)
        return Noted(hint=hint, result=DUE, segment=found.segment)

    def _noted(self, hint: Hint, heard: Heard) -> Noted:
        name = heard.name.lower()
        if name in _WRONG and hint.tenant:
            self._ignored(name, _NOT_WOKEN[heard], tenant=hint.tenant, execution=hint.execution, id=hint.message)
        else:  # the engine's own are late rather than wrong: every event comes twice where two ways are open
            self.counts[name] += 1
            log.debug("hint.needless", why=name, execution=hint.execution, id=hint.message)
        return Noted(hint=hint, result=_NOT_WOKEN[heard], absent=heard is Heard.ABSENT)

    async def _tell(self, hint: Hint) -> Noted:
        """As `POST /api/events/{name}` and `POST /api/executions/{id}/events/{name}` do; nothing is left to be woken."""
        key = "" if hint.execution else hint.key
        event = NamedEvent(id=hint.id or hint.message, tenant=hint.tenant, name=hint.event, key=key, data=hint.data)
        try:
            return Noted(hint=hint, result=await self._told(hint, event))
        except Unavailable:
            raise
        except IntentionError as error:  # not to be stored, now or ever: trying again helps nobody
            self._ignored(error.error_code, error.message, tenant=hint.tenant, execution=hint.execution, id=event.id)
            return Noted(hint=hint, result=error.message)

    async def _told(self, hint: Hint, event: NamedEvent) -> str:
        if not hint.execution:
            woken = await self._teller.publish(event)
            self.counts["told"] += 1
            return f"published: {woken} wait for it"
        found = await self._teller.tell(hint.execution, event)
        if found in _WRONG:
            self._ignored(found, _NOT_TOLD[found], tenant=hint.tenant, execution=hint.execution, id=event.id)
        else:
            self.counts["told" if found == "accepted" else "seen"] += 1
        return _NOT_TOLD.get(found, "told")

    def _ignored(self, name: str, why: str, **facts: Any) -> None:
        self.counts[name] += 1
        self._sparing.say("hint.ignored", why=why, **facts)

    def _publisher(self, tenant: str) -> _Publisher:
        found = self._publishers.pop(tenant, None) or _Publisher(Bucket(self._per_s, max(MOST, BURST_S * self._per_s)))
        self._publishers[tenant] = found
        while len(self._publishers) > PUBLISHERS:
            self._publishers.popitem(last=False)
        return found


def _ascii(text: str) -> str:
    """Of what somebody else wrote, as it can stand in a log line."""
    return text[:255].encode("ascii", "backslashreplace").decode()
