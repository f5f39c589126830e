"""What is called at an address becomes a signal of the execution that waits there, once for an address."""

import time
from typing import Any

from shared.callbacks import Addresses, Ticket
from shared.logs import get_logger
from shared.ports import Accepted, Store
from shared.relay import Sender

log = get_logger()


class Called:
    """One for a process."""

    def __init__(self, addresses: Addresses, store: Store, sender: Sender) -> None:
        """`sender` hands on the message of an execution that a call wakes."""
        self._addresses = addresses
        self._store = store
        self._sender = sender

    def read(self, token: str) -> Ticket:
        """What the last part of an address says now; BadTicket."""
        return self._addresses.read(token, time.time())

    async def tell(self, ticket: Ticket, said: dict[str, Any]) -> str:
        """accepted | duplicate | terminal | absent | full. `said` is `data`, `error` or `unanswered`."""
        payload = {"step": ticket.step, "attempt": ticket.attempt, **said}
        found = await self._store.signal(
            ticket.execution, tenant=ticket.tenant, sid=ticket.sid, kind="callback", payload=payload
        )
        if not isinstance(found, Accepted):
            return found.why
        if found.entry is not None:
            self._sender.start([found.entry], "the callback")
        log.info("wait.called", execution=ticket.execution, step=ticket.step)
        return "accepted"
