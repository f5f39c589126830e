"""Tells executions that the slot they wait for is theirs, and frees the slots of the dead.

A grant is told at least once; the signal's id makes it once for an execution.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from shared.errors import Unavailable
from shared.event_relay import Send
from shared.logs import get_logger
from shared.ports import Accepted, Entry, Store
from shared.slot_ports import Grant, Limit, Slots

log = get_logger()

CLAIM_MS: Final = 10_000
BATCH: Final = 200
FULL_MS: Final = 60_000
"""How long until an execution whose inbox is full is told again."""


class GiveBack(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of the command `slot_give`: what an execution needs no longer, or waits for no longer."""

    name: str
    """The limit's."""
    member: str
    until_ms: int = 0
    """As given when it was taken: a late repeat then frees nothing that was taken since. 0: whatever it has."""
    period_ms: int = 0
    """The limit's: where a slot comes back with time, only a place in the queue is given up."""


class SlotRelay:
    """One for a process. See `shared.watchdog.Rounds`."""

    def __init__(self, slots: Slots, store: Store, send: Send) -> None:
        """`send` is for the messages of the executions that a grant wakes."""
        self._slots = slots
        self._store = store
        self._send = send

    async def give(self, entry: Entry) -> None:
        """The command `slot_give` of an execution. The next in the queue is told at once."""
        what = msgspec.convert(entry.payload, GiveBack)
        limit = Limit(name=what.name, most=1, period_ms=what.period_ms)  # who gives changes no limit
        await self.tell(await self._slots.give(limit, what.member, until_ms=what.until_ms))

    async def sweep(self) -> int:
        """What has run out, and what is left to be told, anywhere."""
        return sum([await self.look(tag) for tag in await self._slots.pending()])

    async def look(self, partition: str) -> int:
        """The same on one tag (there are as many as partitions)."""
        granted = await self._slots.sweep(partition, limit=BATCH)
        left = await self._slots.claim(partition, limit=BATCH, claim_ms=CLAIM_MS)
        if granted or left:
            log.info("slot.relayed", granted=len(granted), left=len(left))
        await self.tell([*granted, *left])
        return len(granted) + len(left)

    async def tell(self, grants: Sequence[Grant]) -> None:
        """Tell these. What fails stays pending; the slot of who is over goes to the next."""
        todo = list(grants)
        while todo:
            grant = todo.pop(0)
            try:
                todo += await self._tell(grant)
            except Unavailable as error:
                log.warning("slot.not_told", execution=grant.execution, member=grant.member, error=error.message)

    async def _tell(self, grant: Grant) -> list[Grant]:
        """Whom else to tell."""
        found = await self._store.signal(
            grant.execution, tenant=grant.tenant, sid=grant.sid, kind="slot", payload=grant.payload
        )
        further: list[Grant] = []
        if isinstance(found, Accepted):
            if found.entry is not None:
                self._send([found.entry], "a slot")
        elif found.why == "full":
            await self._slots.later(grant, in_ms=FULL_MS)
            return []
        elif found.why != "duplicate":
            log.info("slot.refused", execution=grant.execution, member=grant.member, why=found.why)
            further = await self._slots.refuse(grant)
        await self._slots.done([grant])
        return further
