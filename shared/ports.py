"""What the engine needs of the world. Each docstring is a promise: who acks, what survives a crash, what a second call does."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from shared.machine.decision import Changes, Command, Line, Start
from shared.machine.events import Outcome
from shared.machine.plan import Plan
from shared.machine.state import Adopted, Advice, Failure, Fault, Flawed, Header, Hold, Intent, Notes, Result, Signal
from shared.machine.status import Status
from shared.quota import Account, Allowance

REST_MS = 24 * 3_600_000
"""What only a person moves is looked at once a day: nothing non-terminal is without a due time."""
WATCH_MS: Final = 2_000
"""How long after a message should have come the watchdog looks."""
RETIRING_MS: Final = 60_000
"""So long a partition is one archiver's: longer than a page takes, and what a dead one was at waits no longer."""
MESSAGE = "message"
"""The kind of an outbox entry that goes to QStash; every other kind is a command (see `shared.commands`)."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is committed and not yet known to be carried out: a message for QStash, or a command for another partition.

    A message's id is also its deduplication id at QStash.
    """

    id: str
    execution: str
    segment: int
    reason: str
    trace: str = ""
    not_before_ms: int = 0
    """Unix ms; 0 = at once."""
    queued_ms: int = 0
    """When it was queued, if it may be delivered at once; its lag is counted from here. 0: not counted."""
    cost: int | None = None
    """Units of the quota that it may cost with all that comes of it; 0: a direct call and no message; None: nobody counts."""
    kind: str = MESSAGE
    to: str = ""
    """What a command is done to."""
    payload: Any = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that could not be carried out now."""

    entry: Entry
    again_ms: int
    """When it is tried again."""
    away: bool = False
    """Whether it was not about this entry: it goes as soon as its channel is back."""
    queue: str = ""
    """What QStash said, or why it was not asked."""
    channel: str = ""
    """Why Ably has not been told either; empty if it has, or was not asked."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What a record keeps of the latest refusal of its message: as in `Refused`, and when (unix ms)."""

    queue: str
    channel: str
    at_ms: int


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be planned, as it was said. Kept in the record as JSON until the execution goes."""

    text: str
    user: str
    timezone: str = ""
    """The request's; empty: the profile's."""
    at_ms: int
    """When it was said, unix ms."""


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """A new execution."""

    header: Header
    plan: bytes
    """NO_PLAN, and no cells, while there are only `words`."""
    cells: str
    words: Words | None = None
    fields: dict[str, str]
    """What is kept for readers only: the text, the user, where arguments came from."""
    notes: Notes = Notes()
    timeout_ms: int = 0
    """Of the whole execution; 0 = none."""
    request_hash: str
    idempotency_key: str = ""
    allowance: Allowance | None = None
    """What its messages may cost; None: nobody counts."""
    commands: tuple[Command, ...] = ()
    """Stored with it, and carried out at least once."""
    given: dict[int, Result] = {}
    """Results that it begins with, by cell: each small enough to stand in the record."""
    lines: tuple[Line, ...] = ()
    """What its history says behind its creation."""


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """Stored, durable, and its first message is in the outbox; one that must be confirmed has none."""

    entry: Entry | None
    commands: tuple[Entry, ...] = ()


class Exists(msgspec.Struct, frozen=True, kw_only=True):
    """The same request made it before."""

    execution: str


class KeyConflict(msgspec.Struct, frozen=True):
    """Another request used this Idempotency-Key."""


Made: TypeAlias = Created | Exists | KeyConflict


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who may write, and the record as far as a segment needs it. Times are unix ms by the store's clock."""

    owner: str
    fence: int
    ver: int
    now_ms: int
    until_ms: int
    header: Header
    cells: bytes
    seen: int
    intents: dict[int, Intent]
    faults: dict[int, Fault]
    results: dict[int, object]
    signals: tuple[Signal, ...]
    holds: dict[int, Hold] = {}
    notes: Notes = Notes()
    account: Account | None = None
    """What its messages may cost; None: nobody counts."""
    watched: bool = False
    """Somebody is told of its progress."""


class No(IntEnum):
    """Why a lease was not given; the numbers are acquire.lua's."""

    TERMINAL = 1
    STALE = 2
    PAUSED = 3
    WAITING = 4
    NOT_DUE = 5
    HELD = 6
    ABSENT = 7


class NoLease(msgspec.Struct, frozen=True, kw_only=True):
    """Not now; `ms` is how long until it is due, or until the holder's lease ends. `entry`: the next link of a long wait."""

    why: No
    ms: int = 0
    entry: Entry | None = None
    watched: bool = False
    """It is over, and somebody is told of its progress."""


class Heard(IntEnum):
    """What came of a hint; the numbers are hint.lua's."""

    OK = 0
    """Due now."""
    STALE = 1
    """It means a segment that is over."""
    SEEN = 2
    """The message was heard before, and was OK then."""
    HELD = 3
    """Somebody runs it at this moment."""
    TERMINAL = 4
    ABSENT = 5
    """Not there, or another tenant's."""
    WAITING = 6
    """It waits for something that no hint brings, or is paused."""


class Hinted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a hint; `segment`: the current one, None of what is terminal or absent."""

    heard: Heard
    segment: int | None = None


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """All of it is stored. `entry` is the continuation, if there is one; `commands` went into the outbox with it."""

    ver: int
    entry: Entry | None = None
    commands: tuple[Entry, ...] = ()
    watched: bool = False
    """Somebody is told of its progress."""


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The kept part is stored; the continuation is not, because these signals arrived. Decide again."""

    ver: int
    signals: tuple[Signal, ...]
    commands: tuple[Entry, ...] = ()


class Lost(msgspec.Struct, frozen=True):
    """Somebody else owns the execution by now: drop everything, start nothing."""


Commit: TypeAlias = Committed | Flags | Lost


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter: the messages of one segment that QStash gave up, or an execution that nothing comes of."""

    id: str
    execution: str
    kind: str
    """message | execution"""
    segment: int
    marks: tuple[str, ...]
    """Names of the latest deaths that it counts; a new one has one."""
    message: str = ""
    """QStash's id of the latest message."""
    dlq: str = ""
    """Its id among QStash's own dead letters."""
    status: int = 0
    retried: int = 0
    excerpt: str = ""
    """The beginning of what the last delivery was answered."""
    times: int = 0
    first_ms: int = 0
    at_ms: int = 0
    """The latest death; no two letters of a tenant and partition have the same."""


class LetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters, newest first; `next` is where the next page begins, None on the last one."""

    letters: tuple[Letter, ...]
    next: tuple[int, str] | None


class Going(msgspec.Struct, frozen=True, kw_only=True):
    """How a commit goes on. Built by the interpreter from the machine's `Next`."""

    kind: str
    """none | intents | leave | suspend | end"""
    changes: Changes = msgspec.field(default_factory=Changes)
    due_in_ms: int = 0
    wake_ms: int = 0
    timed: bool = False
    message: bool = False
    reason: str = ""
    not_before_ms: int = 0
    need: tuple[int, ...] = ()
    adopted: Adopted | None = None
    """The plan that was found for the words, or its next version: it becomes the execution's, with its cells."""
    deadline_ms: int = 0
    """When the whole execution times out; of an adopted plan."""
    floor: int = 0
    """What the undo lane keeps of the messages; of an adopted plan whose execution is counted."""
    letter: Letter | None = None
    """A dead letter about the execution itself, listed with a suspension."""


class OverduePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of what is overdue on a partition, by tenant, the longest overdue first."""

    tenants: dict[str, list[str]]
    next: int
    """Rank at which the next page begins; 0 if this was the last."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The signal is in the inbox; `entry` wakes the execution unless a live holder will find it."""

    entry: Entry | None


class NotAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The signal was not stored."""

    why: str
    """duplicate | terminal | absent | full"""


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """Where an execution stands, for somebody who is about to act upon it."""

    header: Header
    ver: int
    cells: bytes = b""
    notes: Notes = Notes()

    @property
    def status(self) -> Status:
        """Where it stands."""
        return self.header.status


class Reopened(msgspec.Struct, frozen=True, kw_only=True):
    """The execution runs again from a terminal status."""

    entry: Entry
    ver: int


class Store(Protocol):
    """The record of every execution. Each method is one atomic command on one partition and may be sent twice."""

    async def made_by(self, tenant: str, key: str) -> tuple[str, str] | None:
        """What an Idempotency-Key made: (execution, request hash); None if it is new."""
        ...

    async def create(self, birth: Birth) -> Made:
        """Durable when it returns Created: the execution, its outbox entry, its due time."""
        ...

    async def acquire(self, execution: str, *, owner: str, lease_ms: int, segment: int, cause: str) -> Lease | NoLease:
        """Become the one writer until the lease ends. `segment` -1 means whichever is current."""
        ...

    async def begin(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """Record the first intents of a segment; with signals unseen no intent is written (`kept` is, unless it is empty)."""
        ...

    async def commit(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """Store results, then the continuation. LOST has stored nothing."""
        ...

    async def load_results(self, execution: str, cells: Sequence[int]) -> dict[int, object]:
        """Outputs of done steps."""
        ...

    async def load_order(self, execution: str, cells: Sequence[int]) -> dict[int, int]:
        """Completion times of done steps, unix ms."""
        ...

    async def load_letters(self, execution: str, positions: Sequence[int]) -> dict[int, object]:
        """What signals said, by their positions in the inbox."""
        ...

    async def load_plan(self, execution: str) -> bytes | None:
        """The accepted plan's bytes."""
        ...

    async def load_words(self, execution: str) -> Words | None:
        """What is to be planned; None where a plan was accepted at once."""
        ...

    async def signal(self, execution: str, *, tenant: str, sid: str, kind: str, payload: object) -> Accepted | NotAccepted:
        """Put a signal into the inbox, once per `sid`."""
        ...

    async def resend(
        self, execution: str, *, base_ms: int, most_ms: int, direct: bool = False, late_ms: int = 0
    ) -> Entry | None:
        """Queue an overdue execution once more; None if it is not overdue, is held, or is gone.

        A message of it that waits in the outbox is brought forward, and none is added. `direct`: the first time as a direct
        call, which costs no message. `late_ms`: how long behind its due time it is overdue.
        """
        ...

    async def account(self, execution: str) -> Account | None:
        """What its messages may cost and have cost; None if there is no such execution, or nobody counts it."""
        ...

    async def count(self, execution: str, message: str, units: int) -> None:
        """Count what came of a message beside its first delivery: `units` altogether so far."""
        ...

    async def allow(self, execution: str, units: int, *, wake: bool) -> None:
        """Its messages may cost `units` altogether, which the ledger has reserved. `wake`: nobody holds it, and it waits."""
        ...

    async def overdue(self, partition: str, *, limit: int, late_ms: int = 0) -> list[str]:
        """Executions whose due time passed `late_ms` ago, the longest overdue first."""
        ...

    async def relay_claim(self, partition: str, *, limit: int, claim_ms: int) -> list[Entry]:
        """Outbox entries whose relay time has come, for this relay alone until the claim lapses."""
        ...

    async def relay_ack(self, sent: Sequence[tuple[Entry, str]]) -> None:
        """These entries are carried out: with QStash under these message ids; no id for a command."""
        ...

    async def relay_later(self, refused: Sequence[Refused]) -> list[str]:
        """These could not be sent: each is tried again later, and a message's execution keeps why, for whoever asks.

        A message that nobody needs any more (its execution is over, gone, or beyond the message's segment) leaves the outbox;
        the ids of those that did.
        """
        ...

    async def relay_back(self, partition: str, *, limit: int, claim_ms: int, least_ms: int = 0) -> list[Entry]:
        """Entries put off because their channel was away, `least_ms` ago or earlier; for this relay alone, as `relay_claim`."""
        ...

    async def away_entries(self) -> list[str]:
        """Partitions with entries for `relay_back`."""
        ...

    async def overdue_everywhere(self, *, limit: int, late_ms: int = 0) -> list[str]:
        """`overdue` of every partition, `limit` of each."""
        ...

    async def overdue_page(self, partition: str, *, first: int, page: int, each: int, late_ms: int) -> OverduePage:
        """Look at `page` of what is overdue from rank `first` on; `each` of a tenant at most are told."""
        ...

    async def moved(self, executions: Sequence[str]) -> list[bool]:
        """Of each that was re-sent: whether something came of it since, or somebody holds it, or it is over."""
        ...

    async def left_behind(self, mine: str, *, lease_ms: int, limit: int, stalled: int) -> list[str]:
        """Executions that are held by who was before us in our place (`shared.places`): candidates, `acquire` checks again.

        `mine`: what the names of our leases begin with. `lease_ms`: how long a lease is. Of each partition `limit` of those are
        looked at whose leases may run, the longest first. What has begun more than `stalled` segments of which nothing came is
        left out.
        """
        ...

    async def share_lag(self, ms: int) -> None:
        """Messages take so long to be delivered. It is forgotten by itself when nobody says so any more."""
        ...

    async def lag(self) -> int:
        """What was shared last, in ms; 0 if nothing was for a while."""
        ...

    async def waiting_entries(self) -> list[str]:
        """Partitions whose outbox has entries to relay."""
        ...

    async def watch(self, execution: str, *, tenant: str, for_ms: int) -> int | None:
        """Its progress is told for so long from now; until when that is, unix ms. None if the tenant has none of this id."""
        ...

    async def hint(self, execution: str, *, tenant: str = "", segment: int = -1, message: str = "") -> Hinted:
        """Somebody says that it should be looked at. Durable when it returns; only OK has changed anything.

        `tenant`: of who says so; empty: the engine itself. `segment`: which one should run; -1: whichever is current.
        `message`: the same one is OK once for an execution; empty: nobody counts.
        """
        ...

    async def bury(self, letter: Letter, *, in_ms: int, line: Line) -> int | None:
        """List a dead message once for its mark, with its line in the history, and look at its execution within `in_ms`.

        The current segment; None, and nothing is listed, if the execution is terminal or absent.
        """
        ...

    async def letters(
        self, tenant: str, *, limit: int, before: tuple[int, str] | None = None, execution: str = ""
    ) -> LetterPage:
        """A tenant's dead letters (of one execution), newest first, behind `before`."""
        ...

    async def letter(self, tenant: str, letter: str) -> Letter | None:
        """One of them; None if the tenant has none of this id."""
        ...

    async def discard(self, tenant: str, letters: Sequence[str]) -> int:
        """Take them out of the list; how many were there."""
        ...

    async def peek(self, execution: str, *, tenant: str) -> Peek | None:
        """Where it stands now; None if the tenant has none of this id."""
        ...

    async def forbid(self, execution: str) -> bool:
        """Whether it was not there: then it is never created (within a week)."""
        ...

    async def reopen(
        self, execution: str, *, tenant: str, ver: int, origins: frozenset[Status], changes: Changes
    ) -> Reopened | NotAccepted:
        """Leave a terminal status, for somebody who saw version `ver`."""
        ...

    async def retire_page(self, partition: str, *, owner: str, limit: int) -> list[str]:
        """Finished executions whose retention is over, the longest finished first.

        The partition is `owner`'s for RETIRING_MS from the latest page on, or until a page has nothing; others get nothing.
        """
        ...

    async def purge(self, execution: str) -> bool:
        """Delete all of a finished execution whose retention is over; False if it may not go yet, or is gone."""
        ...


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What QStash said of one entry."""

    message: str = ""
    error: str = ""
    away: bool = False
    """With an error: the channel is not there, or takes nothing; it is not about this entry."""
    deduplicated: bool = False

    @property
    def ok(self) -> bool:
        """Whether QStash has the message (now, or from before)."""
        return not self.error


class Queue(Protocol):
    """Carries entries out: hands messages to QStash, and commands to whom they concern."""

    async def publish(self, entry: Entry) -> Receipt:
        """Carry one out. A repeat does no harm: at most one live message an entry, and commands are idempotent.

        Never raises for a refusal.
        """
        ...


class Channel(Protocol):
    """The second way to say that an execution should be looked at. Nothing depends on it."""

    async def hint(self, entry: Entry) -> str:
        """Ask whoever listens to wake the entry's execution; why that could not be said, or "". Bounded; raises nothing."""
        ...


class Progress(Protocol):
    """Tells whoever watches an execution what happened. Nothing depends on it, and nobody waits long for it."""

    def moved(self, execution: str) -> None:
        """There are new lines in the history of an execution that is watched. Returns at once; raises nothing."""
        ...

    async def settle(self, execution: str) -> None:
        """Wait, a moment at most, until what moved is told. Costs nothing where nothing moved; raises nothing."""
        ...


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that failed, as it stands. What partners said in it is data."""

    plan: Plan
    cells: bytes
    """Where its steps stand."""
    outputs: Mapping[str, Any]
    """Of the steps that are done, as far as they are kept, by name."""
    failed: tuple[Failure, ...]


class Planner(Protocol):
    """Makes a plan of words. It changes nothing in the world, so that asking again costs money and no more."""

    async def advise(
        self,
        words: Words,
        *,
        tenant: str,
        call: int,
        model: bool,
        until_s: float,
        problems: Sequence[str],
        before: Flawed | None,
        stopped: Stopped | None = None,
    ) -> Advice:
        """What call number `call` says, within `until_s` seconds; only the rules are asked unless `model`.

        Whatever the model does is in the answer. `problems` of an earlier answer, and that answer if this process has it.
        With `stopped` the plan that is found is its next version (`versions.follows`); the rules have none.
        """
        ...


class ToolRunner(Protocol):
    """Makes the calls."""

    async def run(self, start: Start, deadline_s: float) -> Outcome:
        """Call the tool (or its undo, or its probe) within `deadline_s` seconds. A cut-off is Unanswered, never a failure."""
        ...


class Clock(Protocol):
    """Time that only goes forward."""

    def monotonic_ms(self) -> float:
        """Milliseconds of a monotonic clock."""
        ...
