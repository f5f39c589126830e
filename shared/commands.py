"""Carries outbox entries out: messages go to QStash, a command to the one handler of its kind.

A command is what a commit decided for another partition (no script touches two). It is carried out at least once, so that every
handler is idempotent; whatever comes back comes as a signal.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from shared.errors import IntentionError
from shared.logs import get_logger
from shared.ports import MESSAGE, Accepted, Entry, NotAccepted, Queue, Receipt, Store
from shared.relay import Acks

log = get_logger()

Handler: TypeAlias = Callable[[Entry], Awaitable[Entry | None]]
"""Carries out one command; what it gives back is a message that should be sent at once. IntentionError: try again later."""


class SignalTo(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of a `signal` command: what is put into the inbox of the execution it is addressed to."""

    tenant: str
    kind: str
    payload: Any = None


class Commands:
    """The Queue of the engine: QStash behind it for messages."""

    def __init__(self, messages: Queue, store: Store, acks: Acks | None = None) -> None:
        """`messages` takes what is none of ours. Without `acks` the relay repeats the messages that commands send at once."""
        self._messages = messages
        self._acks = acks
        self._store = store
        self._handlers: dict[str, Handler] = {"signal": self._signal}

    def on(self, kind: str, handler: Handler) -> None:
        """From now on `handler` carries out commands of this kind."""
        self._handlers[kind] = handler

    async def publish(self, entry: Entry) -> Receipt:
        """See the port."""
        if entry.kind == MESSAGE:
            return await self._messages.publish(entry)
        handler = self._handlers.get(entry.kind)
        if handler is None:  # of a newer release: it stays in the outbox until a process comes that knows it
            return Receipt(error=f"nobody here carries out {entry.kind!r}")
        try:
            woken = await handler(entry)
        except (IntentionError, msgspec.ValidationError) as error:
            return Receipt(error=str(error))
        if woken is not None:  # sent at once for speed; the relay of its partition has it in any case
            receipt = await self._messages.publish(woken)
            if receipt.ok and self._acks is not None:
                self._acks.add(woken, receipt.message)
        return Receipt()

    async def _signal(self, entry: Entry) -> Entry | None:
        """The entry's id is the signal's, so that a repeat changes nothing."""
        what = msgspec.convert(entry.payload, SignalTo)
        found = await self._store.signal(entry.to, tenant=what.tenant, sid=entry.id, kind=what.kind, payload=what.payload)
        return woken_by(found, entry)


def woken_by(found: Accepted | NotAccepted, entry: Entry) -> Entry | None:
    """The message that a signal queued. One that nobody waits for any more is done with; a full inbox is tried again."""
    if isinstance(found, Accepted):
        return found.entry
    if found.why == "full":
        raise IntentionError(f"the inbox of {entry.to} is full", code="inbox_full")
    log.info("command.moot", kind=entry.kind, to=entry.to, why=found.why)
    return None
