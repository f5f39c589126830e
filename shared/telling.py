"""What an event from outside does, whichever way it came: by a request to ingress, or by a message on a tenant's channel."""

from shared import event_ports
from shared.background import Background
from shared.event_ports import NamedEvent
from shared.event_relay import EventRelay
from shared.logs import get_logger
from shared.ports import Accepted, Store
from shared.redisdb import keys
from shared.relay import Sender

log = get_logger()


class Teller:
    """One for a process. Both ways are durable when they return, and the same id again changes nothing.

    BadRequest and TooLarge for what is no event, Unavailable for a store that is away.
    """

    def __init__(self, store: Store, sender: Sender, relay: EventRelay, background: Background) -> None:
        """`sender` hands on the messages of executions that an event wakes."""
        self._store = store
        self._sender = sender
        self._relay = relay
        self._background = background

    async def publish(self, event: NamedEvent) -> int:
        """To whoever waits for its name and key, now or within a day: how many are being told. Conflict, TooMany."""
        deliveries = await self._relay.publish(event)
        self._background.start(self._relay.deliver(deliveries))
        log.info("event.published", tenant=event.tenant, event_name=event.name, event_id=event.id, woken=len(deliveries))
        return len(deliveries)

    async def tell(self, execution: str, event: NamedEvent) -> str:
        """To one execution of the event's tenant: accepted | duplicate | terminal | absent | full."""
        event_ports.check(event)
        try:
            keys.partition_of(execution)
        except ValueError:
            return "absent"
        found = await self._store.signal(execution, tenant=event.tenant, sid=event.sid, kind="event", payload=event.payload)
        if not isinstance(found, Accepted):
            return found.why
        if found.entry is not None:
            self._sender.start([found.entry], "an event")
        log.info("event.accepted", execution=execution, event_name=event.name, event_id=event.id)
        return "accepted"
