"""Brings events to the executions that wait for them: at once where the two meet, by the watchdog's rounds what was left.

Delivered at least once; the signal's id makes it once for an execution.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from shared.errors import BadRequest, Unavailable
from shared.event_ports import Delivery, Events, NamedEvent
from shared.logs import get_logger
from shared.ports import Accepted, Entry, Store

log = get_logger()

CLAIM_MS: Final = 10_000
BATCH: Final = 200
AT_ONCE: Final = 32
FULL_MS: Final = 60_000
"""How long until an event is offered again to an execution whose inbox is full."""

Send: TypeAlias = Callable[[Sequence[Entry], str], None]
"""Hands messages over without waiting for it (`Sender.start`); the outbox has them in any case."""


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of the commands `subscribe` and `unsubscribe`: which events an execution waits for, and until when."""

    tenant: str
    name: str
    key: str
    wait: str
    """The step that waits."""
    since_ms: int = 0
    """When it began to wait, unix ms: a step that is tried again waits anew. 0: not said."""
    until_ms: int = 0
    """Unix ms; 0 = no time-out."""

    @property
    def wait_id(self) -> str:
        """Stands for this wait of the step and no other."""
        return f"{self.wait}@{self.since_ms}" if self.since_ms else self.wait


class EventRelay:
    """One for a process. See `shared.watchdog.Rounds`."""

    def __init__(self, events: Events, store: Store, send: Send) -> None:
        """`send` is for the messages of the executions that an event wakes."""
        self._events = events
        self._store = store
        self._send = send

    async def publish(self, event: NamedEvent) -> list[Delivery]:
        """Durable when it returns; what it gives back is to be handed to `deliver`, now or in the background."""
        return await self._events.publish(event)

    async def subscribe(self, entry: Entry) -> None:
        """The command `subscribe` of an execution. What is there already is delivered with it."""
        what = msgspec.convert(entry.payload, Subscription)
        try:
            found = await self._events.subscribe(
                what.tenant, what.name, what.key, execution=entry.execution, wait_id=what.wait_id, until_ms=what.until_ms
            )
        except BadRequest as error:  # nobody can publish under such a name or key either: trying again helps nobody
            log.warning("event.no_address", execution=entry.execution, step=what.wait, error=error.message)
            return
        await self.deliver(found)

    async def unsubscribe(self, entry: Entry) -> None:
        """The command `unsubscribe` of an execution. It stays away only if the wait has a name of its own."""
        what = msgspec.convert(entry.payload, Subscription)
        await self._events.unsubscribe(
            what.tenant,
            what.name,
            what.key,
            execution=entry.execution,
            wait_id=what.wait_id,
            stays_away=bool(what.since_ms),
        )

    async def sweep(self) -> int:
        """What is left anywhere."""
        return sum([await self.look(tag) for tag in await self._events.pending()])

    async def look(self, partition: str) -> int:
        """What is left on one tag (there are as many as partitions)."""
        found = await self._events.claim(partition, limit=BATCH, claim_ms=CLAIM_MS)
        if found:
            log.info("event.relayed", deliveries=len(found))
        await self.deliver(found)
        return len(found)

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Make these, in order for an execution. What fails stays pending."""
        gate = asyncio.Semaphore(AT_ONCE)
        ones: dict[str, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            ones[delivery.execution].append(delivery)

        async def some(of_one: Sequence[Delivery]) -> list[Delivery]:
            async with gate:
                return [delivery for delivery in of_one if await self._signal(delivery)]

        made = [delivery for part in await asyncio.gather(*map(some, ones.values())) for delivery in part]
        if made:
            await self._events.done(made)

    async def _signal(self, delivery: Delivery) -> bool:
        """Whether the execution has it, or is over."""
        event, execution = delivery.event, delivery.execution
        try:
            found = await self._store.signal(execution, tenant=event.tenant, sid=event.sid, kind="event", payload=event.payload)
            if isinstance(found, Accepted):
                if found.entry is not None:
                    self._send([found.entry], "an event")
                return True
            if found.why == "full":
                await self._events.later(delivery, in_ms=FULL_MS)
            elif found.why != "duplicate":
                await self._leave(delivery)
        except Unavailable as error:
            log.warning("event.not_delivered", execution=execution, event_id=event.id, error=error.message)
            return False
        log.info("event.not_taken", execution=execution, event_id=event.id, why=found.why)
        return found.why != "full"

    async def _leave(self, delivery: Delivery) -> None:
        """Its execution is over: nothing else is brought to it."""
        event = delivery.event
        await self._events.unsubscribe(
            event.tenant, event.name, event.key, execution=delivery.execution, wait_id=delivery.wait_id
        )
