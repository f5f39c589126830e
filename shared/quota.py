"""What the messages of a tenant may cost: expectations, limits, reserves and levels. Pure arithmetic, no I/O.

One unit is one thing that QStash counts: a published message, each delivery after the first (a retry), a callback. The rules
are protocol A15 as docs/decisions/0007-the-ledger-is-asked-not-told.md states them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

from shared.machine.plan import Plan, Step, Undo

CALLBACK_UNITS: Final = 2
"""A failure callback may cost this much: itself, and one retry of its own (item() in shared/qstash.py says so to QStash)."""
PACKED: Final = 16
"""Steps that one message usually carries where STEPS_PER_MESSAGE sets no limit."""
TAIL_MS: Final = 120_000
"""After this long nothing more comes of a message: its retries (1, 6, 36 s apart, 15 s each) and its callback are over."""
PENDING_MS: Final = 120_000
"""How long an admission without an execution keeps its reserve."""
LOOK_MS: Final = 300_000
"""How often a running execution's account is compared with its record."""
KEEP: Final = 0.10
"""Of every limit, what new work never gets: it is for what was accepted already."""
PACK_BELOW: Final = 0.25
HOLD_BELOW: Final = 0.15
SOON_S: Final = 5
"""When to come again if what is in flight, not what is spent, fills the limit."""
DAY_MS: Final = 86_400_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one tenant; 0 = no limit. `offset_ms`: when its day begins, ms before midnight UTC."""

    day: int = 0
    month: int = 0
    concurrent: int = 0
    offset_ms: int = 0

    def __bool__(self) -> bool:
        return bool(self.day or self.month or self.concurrent)


PROFILES: Final = {
    "hobby": Limits(day=10_000, month=100_000, concurrent=100),
    "free": Limits(day=1_000),
    "none": Limits(),
}
"""QUOTA_PROFILE: what the guide of the hobby tier names; Upstash's free plan; no limit."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution may cost until it asks for more."""

    units: int
    floor: int
    """What the forward lane leaves to the undo lane."""
    tail: int
    """What one message may cost beside itself: its retries and its failure callback. 0: it has neither."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An execution's own account, as its record has it."""

    tenant: str
    ver: int
    over: bool
    allow: int
    used: int
    """Messages committed, and the retries and callbacks that were seen."""
    held: int
    """What the messages of the last two minutes may still cost."""
    held_ms: int
    floor: int = 0
    tail: int = 0
    undo: bool = False

    def left(self, now_ms: int) -> int:
        """What its next message may cost."""
        held = self.held if now_ms - self.held_ms < TAIL_MS else 0
        return self.allow - self.used - held - (0 if self.undo else self.floor)

    def more(self, *, plenty: bool = False) -> int:
        """The allowance to ask for when little is left: four messages, one of them with its tail, in `plenty` all."""
        return self.used + self.held + self.floor + 4 + (4 if plenty else 1) * self.tail


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's account. Invariant: spent + reserved <= limit, for the day and for the month, at every instant."""

    now_ms: int
    day_spent: int = 0
    month_spent: int = 0
    reserved: int = 0
    """What executions may still cost."""
    running: int = 0
    """Executions that are not settled."""
    waiting: int = 0
    """What executions have asked for and not got. It comes before new work."""


Full: TypeAlias = Literal["", "day", "month", "concurrent"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says: `full` names the limit that refuses; empty if it is granted."""

    full: Full
    book: Book


class Level(IntEnum):
    """How much of the scarcest limit is left, and so what is done without. Each does without what those before it do, too."""

    NORMAL = 0
    PACK = 1
    """Below 25 %: as many steps a message as fit."""
    HOLD = 2
    """Below 15 %: messages of new executions go without retries and callbacks; work of low priority waits."""
    REFUSE = 3
    """At the reserve line, 10 %: no new work."""


class Ledger(Protocol):
    """The accounts of all tenants. Each method is one atomic command on one tenant, and may be sent twice."""

    async def admit(self, tenant: str, execution: str, units: int, lines: Limits) -> Answer:
        """Reserve `units` below `lines` for an execution that is going to be created."""
        ...

    async def top_up(self, tenant: str, execution: str, *, ver: int, used: int, want: int, limits: Limits) -> Answer:
        """Raise an allowance to `want` altogether. What is refused is noted, and comes before new work."""
        ...

    async def settle(self, execution: str, account: Account, offset_ms: int) -> Book:
        """Count what was used; of an execution that is over, free the rest once nothing more can come of its messages."""
        ...

    async def forget(self, tenant: str, execution: str, offset_ms: int) -> Book:
        """Free the reserve of an execution that never came to be, and never will."""
        ...

    async def book(self, tenant: str, offset_ms: int) -> Book:
        """How the tenant stands."""
        ...

    async def to_look_at(self, tenants: Sequence[str], *, limit: int) -> list[tuple[str, str]]:
        """(tenant, execution) whose records should be looked at now, `limit` of each tenant at most. One round trip."""
        ...


def messages(steps: int, *, per_message: int) -> int:
    """How many messages so many steps are expected to take; `per_message` 0: as many as fit."""
    return -(-steps // (per_message or PACKED))


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan will want of messages."""

    steps: int
    undoable: int = 0
    waits: int = 0
    """Steps that suspend: each ends with a message of its own."""


def demand_of(plan: Plan) -> Demand:
    """What of a plan can be seen before it runs. The items of a map are not known yet: more is asked for as it goes."""
    steps = [step for step in plan.steps if not step.replaced]
    undoable = sum(bool(step.undo) or _undone(plan, step) for step in steps)
    waits = sum(bool(step.sleep or step.wait or step.approve or step.child) for step in steps)
    return Demand(steps=len(steps), undoable=undoable, waits=waits)


def floor_of(plan: Plan, *, per_message: int) -> int:
    """What a plan's forward lane leaves to its undo lane."""
    return messages(demand_of(plan).undoable, per_message=per_message) + 2


def _undone(plan: Plan, step: Step) -> bool:
    contract = plan.contracts.get(step.tool)
    return step.child is not None or (contract is not None and contract.undo is not Undo.NONE)


def allowance(want: Demand, *, per_message: int, retries: int, limits: Limits, level: Level) -> Allowance:
    """What a plan is given at first: a quarter more than expected, its undoing, and what its first messages may cost at worst.

    Never more than a quarter of what new work may have: a longer plan tops up as it goes, and no plan is too long for ever.
    """
    packed = 0 if level >= Level.PACK else per_message
    expected = messages(want.steps, per_message=packed) + want.waits
    floor = messages(want.undoable, per_message=packed) + 2
    tail = 0 if level >= Level.HOLD else retries + CALLBACK_UNITS
    units = -(-expected * 5 // 4) + floor + tail * min(expected, 3)
    most = min((line // 4 for line in (line_of(limits.day), line_of(limits.month)) if line), default=units)
    if units <= most:
        return Allowance(units=units, floor=floor, tail=tail)
    units = max(most, 3)
    return Allowance(units=units, floor=min(floor, units - 1), tail=tail if units - 1 - min(floor, units - 1) >= tail else 0)


def line_of(limit: int, keep: float = KEEP) -> int:
    """Up to where new work may fill a limit; 0 = no limit."""
    return max(1, int(limit * (1 - keep))) if limit else 0


def lines(limits: Limits, *, low: bool) -> Limits:
    """Up to where new work may fill the limits; work of low priority stops earlier."""
    keep = HOLD_BELOW if low else KEEP
    day, month = line_of(limits.day, keep), line_of(limits.month, keep)
    return Limits(day=day, month=month, concurrent=limits.concurrent, offset_ms=limits.offset_ms)


def level_of(book: Book, limits: Limits) -> Level:
    """By what is neither spent nor reserved of the scarcest limit."""
    taken = book.reserved + book.waiting
    pairs = ((limits.day, book.day_spent), (limits.month, book.month_spent))
    left = min((1 - (spent + taken) / limit for limit, spent in pairs if limit), default=1.0)
    if left <= KEEP:
        return Level.REFUSE
    if left < HOLD_BELOW:
        return Level.HOLD
    return Level.PACK if left < PACK_BELOW else Level.NORMAL


def day_of(now_ms: int, offset_ms: int) -> int:
    """The number of the day since 1970."""
    return (now_ms + offset_ms) // DAY_MS


def month_of(now_ms: int, offset_ms: int) -> int:
    """The number of the month: 12 times the year, plus the months before it."""
    at = datetime.fromtimestamp((now_ms + offset_ms) / 1000, UTC)
    return at.year * 12 + at.month - 1


def day_resets_ms(now_ms: int, offset_ms: int) -> int:
    """When the next day begins, unix ms."""
    return (day_of(now_ms, offset_ms) + 1) * DAY_MS - offset_ms


def month_resets_ms(now_ms: int, offset_ms: int) -> int:
    """When the next month begins, unix ms."""
    year, month = divmod(month_of(now_ms, offset_ms) + 1, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp() * 1000) - offset_ms


def retry_after_s(answer: Answer, units: int, bounds: Limits) -> int:
    """When a refused request has a chance: at the reset; soon, if what stands in its way is only reserved and not spent."""
    book, offset = answer.book, bounds.offset_ms
    if answer.full == "month" and book.month_spent + units > bounds.month:
        return -(-(month_resets_ms(book.now_ms, offset) - book.now_ms) // 1000)
    if answer.full == "day" and book.day_spent + units > bounds.day:
        return -(-(day_resets_ms(book.now_ms, offset) - book.now_ms) // 1000)
    return SOON_S


def report(book: Book, limits: Limits) -> dict[str, Any]:
    """`GET /api/quota`; a limit of null is none. Of what is left, new work gets all but the last tenth of the limit."""
    offset = limits.offset_ms
    return {
        "level": level_of(book, limits).name.lower(),
        "day": _window(book, limits.day, book.day_spent, day_resets_ms(book.now_ms, offset)),
        "month": _window(book, limits.month, book.month_spent, month_resets_ms(book.now_ms, offset)),
        "waiting": book.waiting,
        "concurrent": {
            "limit": limits.concurrent or None,
            "running": book.running,
            "left": max(0, limits.concurrent - book.running) if limits.concurrent else None,
        },
    }


def _window(book: Book, limit: int, spent: int, resets_ms: int) -> dict[str, Any]:
    return {
        "limit": limit or None,
        "spent": spent,
        "reserved": book.reserved,
        "left": limit - spent - book.reserved if limit else None,
        "keptForAccepted": limit - line_of(limit) if limit else None,
        "resetsAt": datetime.fromtimestamp(resets_ms / 1000, UTC).isoformat(timespec="milliseconds"),
    }
