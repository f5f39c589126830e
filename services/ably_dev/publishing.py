"""One publish, whichever way it came: may it be, is it well formed, store it, tell everybody."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from services.ably_dev import messages, names
from services.ably_dev.access import Caller
from services.ably_dev.errors import Refused
from services.ably_dev.faults import Board, Fault
from services.ably_dev.hub import Hub
from services.ably_dev.log import Log
from services.ably_dev.messages import Entry


class Hooks(Protocol):
    """The webhook rules, as far as a publish concerns them."""

    def concerned(self, app: str, channel: str) -> Sequence[str]:
        """The ids of the rules that want what is published there."""

    def ring(self, rules: Sequence[str]) -> None:
        """There is something for these rules."""


class Receipt(NamedTuple):
    """What a publisher is told."""

    message_id: str
    serials: list[str]


class Publisher:
    """Puts messages into channels."""

    def __init__(self, *, log: Log, hub: Hub, hooks: Hooks, faults: Board, now_ms: Callable[[], int]) -> None:
        self._log = log
        self._hub = hub
        self._hooks = hooks
        self._faults = faults
        self._now_ms = now_ms

    async def publish(self, caller: Caller, channel: str, body: Any, *, base: str, connection_id: str | None = None) -> Receipt:
        """Refused or Unavailable when it is not done. `base` is the id of messages that have none."""
        name = names.read(channel).base
        caller.must("publish", name)
        accepted = messages.accept(messages.read(body), caller, base)
        refusal = self._faults.fires("refuse", name)
        if refusal and not refusal.after:
            raise _refused(refusal)
        receipt = await self._store(caller.app, name, Entry(messages=accepted, connection_id=connection_id))
        if slow := self._faults.fires("slow", name):
            await asyncio.sleep(slow.ms / 1_000)
        if refusal:
            raise _refused(refusal)
        return receipt

    async def _store(self, app: str, channel: str, entry: Entry) -> Receipt:
        rules = self._hooks.concerned(app, channel)
        at, fresh = await self._log.publish(app, channel, entry, self._now_ms(), rules)
        if fresh:
            self._hub.ring(app, channel)
            self._hooks.ring(rules)
        first = entry.messages[0].id
        message_id = first if len(entry.messages) == 1 else first.rpartition(":")[0]
        return Receipt(message_id, [at.message(place) for place in range(len(entry.messages))])


def _refused(fault: Fault) -> Refused:
    return Refused(fault.code, fault.status, "fault on demand: this publish is refused (GET /dev/faults)")
