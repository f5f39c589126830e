"""One execution as the machine sees it, for somebody who is about to act upon it or asks why it waits. Changes nothing."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import NotFound, Unavailable
from shared.machine.plan import Blueprint
from shared.machine.state import Execution, Header, Notes, Signal
from shared.machine.status import TERMINAL
from shared.ports import Entry, Letter, Refusal
from shared.redisdb import keys, wire

AT_ONCE: Final = 1_000
SCANS: Final = 20
"""Rounds of looking through a partition's outbox for one execution's entries; a full one is not read to its end."""
_KEPT: Final = b"ibsuwgfkl"
"""Cells beside which something may be kept: the busy ones, and where a step or an undo came to rest without a result."""
_OWN: Final = (
    "ver",
    "lease_until",
    "wake_ms",
    "timed",
    "armed_ms",
    "inbox",
    "seen",
    "tries",
    "message",
    "refused",
    "updated_ms",
    "notes",
)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the record. Times are unix ms by the store's clock; 0 = none."""

    execution: Execution
    ver: int
    now_ms: int
    lease_until_ms: int = 0
    wake_ms: int = 0
    timed: bool = False
    due_ms: int | None = None
    """When the watchdog looks; None if it never will."""
    tries: int = 0
    message: str = ""
    """QStash's id of the latest message."""
    refused: Refusal | None = None
    """What QStash and Ably said of its message when the relay last tried to send it."""
    unseen: tuple[Signal, ...] = ()
    """What arrived and was not taken up yet."""
    outbox: tuple[Entry, ...] = ()
    letters: tuple[Letter, ...] = ()

    @property
    def terminal(self) -> bool:
        """Whether it is over."""
        return self.execution.header.status in TERMINAL

    @property
    def held(self) -> bool:
        """Whether an invocation owns it just now."""
        return self.lease_until_ms > self.now_ms


class Snapshots:
    """Reads whole executions; a tenant sees its own only."""

    def __init__(self, redis: Redis) -> None:
        """`redis` answers bytes."""
        self._redis = redis

    async def load(self, execution: str, tenant: str) -> Snapshot:
        """All but outputs, the outbox and dead letters. NotFound for another tenant's."""
        names, values, cells, plan, due = await self._first(execution)
        found = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        if found.get("tenant", b"").decode() != tenant or cells is None or plan is None:
            raise _unknown(execution)
        notes = wire.notes(found["notes"]) if "notes" in found else Notes()
        refused = wire.refusal(found["refused"]) if "refused" in found else None
        text = {name: value.decode() for name, value in found.items() if name != "notes"}
        busy = await self._busy(execution, cells)
        x = Execution(
            header=wire.header({name: text[name] for name in Header.__struct_fields__ if name in text}),
            blueprint=Blueprint(plan),
            cells=cells,
            intents=busy.intents,
            faults=busy.faults,
            holds=busy.holds,
            seen=int(text.get("seen", 0)),
            notes=notes,
        )
        return Snapshot(
            execution=x,
            ver=int(text["ver"]),
            now_ms=await self._now(),
            lease_until_ms=int(text.get("lease_until") or 0),
            wake_ms=int(text.get("wake_ms") or 0),
            timed=text.get("timed") == "1",
            due_ms=None if due is None else int(due),
            tries=int(text.get("tries") or 0),
            message=text.get("message", ""),
            refused=refused,
            unseen=await self._unseen(execution, int(text.get("seen", 0)), int(text.get("inbox", 0))),
        )

    async def outbox(self, execution: str) -> tuple[Entry, ...]:
        """Its entries that nobody has carried out yet, as far as a bounded look finds them."""
        found: list[bytes] = []
        cursor, name = 0, keys.outbox_entries(keys.partition_of(execution))
        for _ in range(SCANS):
            cursor, some = await self._ask(self._redis.hscan(name, cursor, match=f"{execution}[-~]*", count=AT_ONCE))
            found += some.values()
            if not cursor:
                break
        return tuple(sorted(wire.entries(found), key=lambda entry: entry.id))

    async def _first(self, execution: str) -> tuple[list[str], Sequence[Any], bytes | None, bytes | None, float | None]:
        try:
            pp = keys.partition_of(execution)
        except ValueError as error:
            raise _unknown(execution) from error
        names = [*Header.__struct_fields__, *_OWN]
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(keys.record(execution), names)
        pipe.get(keys.cells(execution))
        pipe.get(keys.plan(execution))
        pipe.zscore(keys.due(pp), execution)
        values, cells, plan, due = await self._ask(pipe.execute())
        return names, values, cells, plan, due

    async def _busy(self, execution: str, cells: bytes) -> wire.Busy:
        names = [f"{kind}:{cell}" for cell, where in enumerate(cells) if where in _KEPT for kind in "ifw"]
        flat: list[Any] = []
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            values = await self._ask(self._redis.hmget(keys.record(execution), some))
            flat += [part for pair in zip(some, values, strict=True) if pair[1] is not None for part in pair]
        return wire.busy(flat)

    async def _unseen(self, execution: str, seen: int, inbox: int) -> tuple[Signal, ...]:
        if inbox <= seen:
            return ()
        places = [str(at) for at in range(seen + 1, inbox + 1)]
        texts = await self._ask(self._redis.hmget(keys.inbox(execution), places))
        return wire.signals([part for pair in zip(places, texts, strict=True) if pair[1] is not None for part in pair])

    async def _now(self) -> int:
        seconds, micros = await self._ask(self._redis.time())
        return int(seconds) * 1000 + int(micros) // 1000

    async def _ask(self, call: Any) -> Any:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer ({type(error).__name__})", code="store_unavailable") from error


def _unknown(execution: str) -> NotFound:
    return NotFound(f"there is no execution {execution[:80]}")
