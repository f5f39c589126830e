"""Faults that strike a delivery: lost, made twice, late, out of turn. The log of the message says what was done to it."""

import asyncio
from typing import Any

from services.qstash_dev.delivery import Courier
from services.qstash_dev.faults.board import Board
from services.qstash_dev.faults.plan import ON_DELIVERY, Event, Fault, chance
from services.qstash_dev.model import State
from services.qstash_dev.store import Claimed, Finish, Store
from services.qstash_dev.users import User

LOST = (
    "fault on demand: dropped. It was never sent and never will be: no retry, no dead letter, no callback. "
    "The message is lost, as was asked for (GET /v2/dev/faults)"
)


class Interference:
    """What stands between the scheduler and the courier when faults are on."""

    def __init__(self, board: Board, store: Store, courier: Courier) -> None:
        self._board = board
        self._store = store
        self._courier = courier
        self._postponed: set[tuple[str, int]] = set()
        self._copies: set[asyncio.Task[Any]] = set()
        self.load = board.load

    def decide(self, user: User, claimed: Claimed) -> Fault | None:
        """A fault that takes this attempt away from its destination. One that doubles it does so beside the attempt itself."""
        attempt = (claimed.message.message_id, claimed.retried)
        if attempt in self._postponed:  # its turn now
            self._postponed.discard(attempt)
            return None
        fault = self._board.fires(ON_DELIVERY, Event((claimed.message.url,)))
        if fault and fault.kind == "duplicate":
            self._copy(user, claimed, fault.ms / 1_000)
            return None
        return fault

    def wait_ms(self, claimed: Claimed, fault: Fault) -> int:
        """How much later a delayed attempt starts; each by another time where the order is to be lost."""
        if fault.kind != "reorder":
            return fault.ms
        return round(fault.ms * chance(self._board.plan.seed, *claimed.message.message_id.encode(), claimed.retried))

    async def apply(self, user: User, claimed: Claimed, fault: Fault, now_ms: int, due_ms: int) -> None:
        """Store what the fault did; may be called again when the reply was lost."""
        message_id, retried = claimed.message.message_id, claimed.retried
        if fault.kind == "drop":
            why: dict[str, Any] = {"error": LOST}
            events = [(State.ERROR, why), (State.CANCELED, why)]
            lost = Finish(message_id=message_id, retried=retried, verdict=State.CANCELED, events=events)
            await self._store.finish(user.keys, lost, now_ms)
            return
        why = {"error": f"fault on demand: {fault.kind}ed by {due_ms - now_ms} ms", "nextDeliveryTime": due_ms}
        await self._store.postpone(user.keys, message_id, retried, due_ms, why, now_ms)
        self._postponed.add((message_id, retried))

    def _copy(self, user: User, claimed: Claimed, after_s: float) -> None:
        task = asyncio.create_task(self._deliver_again(user, claimed, after_s))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def _deliver_again(self, user: User, claimed: Claimed, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._courier.attempt(claimed, claimed.signing_key or user.current_key)

    async def close(self) -> None:
        """No copy outlives the session it would be sent with."""
        copies = list(self._copies)
        for task in copies:
            task.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
