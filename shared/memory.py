"""The Store without a server: the record in dicts, the times in heaps, every answer and refusal as the Lua commands give them.

For tests and for running the whole system in one process. Nothing survives the process. What is stored goes through the same
JSON as in Redis, so a tuple comes back as a list here too. `tests/contract` holds the two against each other.
"""

import heapq
import secrets
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from shared import dead_letters as dead
from shared import step_log
from shared.errors import Conflict
from shared.machine.decision import Changes, Line
from shared.machine.state import Header, Notes, Signal
from shared.machine.status import TERMINAL, Phase, Reason, Status
from shared.places import outlived
from shared.ports import (
    MESSAGE,
    REST_MS,
    RETIRING_MS,
    WATCH_MS,
    Accepted,
    Birth,
    Commit,
    Committed,
    Created,
    Entry,
    Exists,
    Flags,
    Going,
    Heard,
    Hinted,
    KeyConflict,
    Lease,
    Letter,
    LetterPage,
    Lost,
    Made,
    No,
    NoLease,
    NotAccepted,
    OverduePage,
    Peek,
    Refused,
    Reopened,
    Words,
)
from shared.quota import TAIL_MS, Account
from shared.redisdb import keys, wire
from shared.redisdb.store import (
    AFTER_LEASE_MS,
    HEARD_MS,
    INBOX_BYTES,
    INBOX_LIMIT,
    LAG_LIVES_MS,
    LARGE_BYTES,
    LONGEST_DELAY_MS,
)

_encode = msgspec.json.Encoder().encode
_BUSY: Final = frozenset(b"ibsuwg")
_RELAY_MS: Final = 2_000
_MARKS: Final = 16
CHAINED_MS: Final = 2_000
"""A wait that ends within this is no link of a chain: it is slept out."""


class Times:
    """A sorted set of members by time: a dict of what holds, and a heap that may also hold what held before."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def set(self, member: str, at_ms: int) -> None:
        """Put `member` at `at_ms`, wherever it was."""
        self._at[member] = at_ms
        heapq.heappush(self._heap, (at_ms, member))

    def at(self, member: str) -> int | None:
        """Its time."""
        return self._at.get(member)

    def remove(self, member: str) -> None:
        """Forget it."""
        self._at.pop(member, None)

    def __len__(self) -> int:
        return len(self._at)

    def between(self, first_ms: int, last_ms: int, limit: int) -> list[str]:
        """The last `limit` members of these times, the latest first."""
        found = [(at, member) for member, at in self._at.items() if first_ms <= at <= last_ms]
        return [member for _, member in sorted(found, reverse=True)[:limit]]

    def until(self, now_ms: int, limit: int) -> list[str]:
        """The first `limit` members whose time has come, by time and then by name, as a sorted set gives them."""
        found: list[tuple[int, str]] = []
        while self._heap and len(found) < limit and self._heap[0][0] <= now_ms:
            first = heapq.heappop(self._heap)
            if self._at.get(first[1]) == first[0] and first not in found[-1:]:
                found.append(first)
        for first in found:
            heapq.heappush(self._heap, first)
        return [member for _, member in found]


@dataclass
class _Partition:
    due: Times = field(default_factory=Times)
    relay: Times = field(default_factory=Times)
    away: Times = field(default_factory=Times)
    """When each entry was put off whose channel was away."""
    entries: dict[str, Entry] = field(default_factory=dict)
    retire: Times = field(default_factory=Times)
    retiring: tuple[str, int] = ("", 0)
    """Whose it is to archive, and until when."""
    dead: dict[str, dict[str, Letter]] = field(default_factory=lambda: defaultdict(dict))
    """Dead letters by tenant and id, the latest death last."""

    def bury(self, now_ms: int, tenant: str, letter: Letter) -> bool:
        letters = self.dead[tenant]
        known = letters.get(letter.id)
        marks = known.marks if known else ()
        if letter.marks[0] in marks:
            return False
        last_ms = max((one.at_ms for one in letters.values()), default=0)
        letters.pop(letter.id, None)
        letters[letter.id] = msgspec.structs.replace(
            letter,
            marks=(*marks, letter.marks[0])[-_MARKS:],
            times=(known.times if known else 0) + 1,
            first_ms=known.first_ms if known else now_ms,
            at_ms=max(now_ms, last_ms + 1),
        )
        for oldest in list(letters)[: max(len(letters) - dead.MOST, 0)]:
            del letters[oldest]
        return True

    def enqueue_all(self, now_ms: int, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return tuple(self.enqueue(now_ms, entry) for entry in entries)

    def arm(self, now_ms: int, entry: Entry) -> Entry | None:
        """None for what cannot be paid and would have to wait: a direct call cannot, and the due index has it."""
        return None if entry.cost == 0 and entry.not_before_ms > now_ms else self.enqueue(now_ms, entry)

    def claim(self, names: list[str], until_ms: int) -> list[Entry]:
        there = [name for name in names if name in self.entries]
        for name in names:
            self.away.remove(name)
        for name in there:
            self.relay.set(name, until_ms)
        return [self.entries[name] for name in there]

    def sent(self, name: str) -> None:
        self.relay.remove(name)
        self.away.remove(name)
        self.entries.pop(name, None)

    def brought_forward(self, now_ms: int, record: "_Record") -> Entry | None:
        """The message that waits here already; as resend.lua."""
        waiting = self.entries.get(record.queued)
        if waiting and waiting.cost == 0:
            self.relay.remove(waiting.id)
            del self.entries[waiting.id]
        elif waiting and waiting.segment == record.header.segment and waiting.not_before_ms <= now_ms:
            at = self.relay.at(waiting.id)
            self.relay.set(waiting.id, now_ms + _RELAY_MS if at is None else min(at, now_ms + _RELAY_MS))
            return waiting
        return None

    def enqueue(self, now_ms: int, entry: Entry) -> Entry:
        self.entries[entry.id] = entry
        self.relay.set(entry.id, now_ms + _RELAY_MS)
        return entry


@dataclass
class _Record:
    header: Header
    plan: bytes
    cells: bytearray
    fields: dict[str, str]
    updated_ms: int
    history: list[bytes]
    ended_ms: int | None = None
    ver: int = 0
    fence: int = 0
    epoch: int = 0
    owner: str = ""
    lease_until: int = 0
    inbox: list[bytes] = field(default_factory=list)
    sids: set[str] = field(default_factory=set)
    seen: int = 0
    wake_ms: int = 0
    timed: bool = False
    armed_ms: int = 0
    watched_ms: int = 0
    need: tuple[int, ...] = ()
    tries: int = 0
    message: str = ""
    refused: bytes = b""
    queued: str = ""
    made_by: str = ""
    """The name in Redis of the Idempotency-Key that made it."""
    last: tuple[str, int, bool] | None = None
    """Owner and version of the latest commit, and whether it was answered FLAGS."""
    last_entry: Entry | None = None
    intents: dict[int, bytes] = field(default_factory=dict)
    faults: dict[int, bytes] = field(default_factory=dict)
    results: dict[int, bytes] = field(default_factory=dict)
    holds: dict[int, bytes] = field(default_factory=dict)
    notes: bytes = b""
    output: bytes = b""
    large: dict[int, bytes] = field(default_factory=dict)
    """Outputs that are stored apart."""
    logs: dict[int, list[bytes]] = field(default_factory=dict)
    log_bytes: int = 0
    log_full: bool = False
    order: dict[int, int] = field(default_factory=dict)
    account: Account | None = None
    attempts: dict[str, int] = field(default_factory=dict)
    """Units by message, beside its first delivery."""

    @property
    def terminal(self) -> bool:
        return self.header.status in TERMINAL

    @property
    def caught_up(self) -> bool:
        return len(self.inbox) == self.seen

    def letters(self, seen: int) -> tuple[Signal, ...]:
        return wire.signals([part for at in range(seen, len(self.inbox)) for part in (at + 1, self.inbox[at])])

    def tell(self, event: str, **detail: Any) -> None:
        self.history.append(_encode({"event": event, "detail": detail}))

    def entry(self, now: int, reason: str, *, not_before_ms: int = 0, free: bool = False, back: bool = False) -> Entry:
        segment = self.header.segment
        name = f"{self.header.id}-{segment}-{secrets.token_hex(6)}"
        cost = 0 if free else self.pay(now, not_before_ms, back=back)
        if cost != 0 or not_before_ms <= now:  # what cannot be paid and would have to wait is not queued
            self.queued = name
        return Entry(
            cost=cost,
            id=name,
            execution=self.header.id,
            segment=segment,
            reason=reason,
            trace=self.header.trace,
            not_before_ms=not_before_ms,
            queued_ms=now if not_before_ms <= now else 0,
        )

    def pay(self, now: int, not_before_ms: int, *, back: bool) -> int | None:
        """As pay.lua."""
        one = self.account_now()
        if one is None:
            return None
        left = msgspec.structs.replace(one, undo=one.undo or back).left(now)
        if left < 1:
            return 0
        tail = one.tail if left >= 1 + one.tail else 0
        self.account = msgspec.structs.replace(
            one,
            used=one.used + 1,
            held=(one.held if now - one.held_ms < TAIL_MS else 0) + tail,
            held_ms=max(one.held_ms, now, not_before_ms) if tail else one.held_ms,
        )
        return 1 + tail

    def account_now(self) -> Account | None:
        """The account with what the record says of its execution."""
        if self.account is None:
            return None
        undo = self.header.phase is Phase.UNDO
        return msgspec.structs.replace(self.account, ver=self.ver, over=self.terminal, undo=undo)

    def write(self, written: "_Written") -> None:
        if written.header is not None:
            new = written.header
            self.head(status=new.status, phase=new.phase, reason=new.reason, cause=new.cause)
        self.intents |= written.intents
        self.faults |= written.faults
        self.holds |= written.holds
        self.notes, self.output = written.notes or self.notes, written.output or self.output
        self.cells.extend(bytes(max(0, max(written.cells, default=-1) + 1 - len(self.cells))))
        for cell, (text, ended_ms) in written.results.items():
            self.results.setdefault(cell, text)
            self.order.setdefault(cell, ended_ms)
        for cell, text in written.large.items():
            self.large.setdefault(cell, text)
        for cell, texts in written.logs.items():
            for text in texts:
                self.keep_log(cell, text)
        for cell, letter in written.cells.items():
            self.cells[cell] = letter
        self.history += written.lines

    def keep_log(self, cell: int, text: bytes) -> None:
        """As log.lua."""
        if self.log_bytes + len(text) > step_log.MOST_OF_EXECUTION:
            self.log_full = True
            return
        self.log_bytes += len(text)
        self.logs[cell] = [*self.logs.get(cell, ()), text][-step_log.MOST_ATTEMPTS - 1 :]

    def adopt(self, going: Going) -> None:
        """The plan that was found takes the place of none, or of the version before."""
        if (found := going.adopted) is None:
            return
        self.plan, self.cells = found.plan, bytearray(found.cells.encode())
        self.fields = self.fields | found.fields
        self.head(plan=found.hash, deadline_ms=going.deadline_ms)
        if self.account and going.floor:
            self.account = msgspec.structs.replace(self.account, floor=going.floor)

    def head(self, **changed: Any) -> None:
        self.header = msgspec.structs.replace(self.header, **changed)

    def as_text(self) -> dict[str, str]:
        numbers = {
            "ver": self.ver,
            "fence": self.fence,
            "epoch": self.epoch,
            "inbox": len(self.inbox),
            "seen": self.seen,
            "lease_until": self.lease_until,
            "wake_ms": self.wake_ms,
            "timed": int(self.timed),
            "tries": self.tries,
            "updated_ms": self.updated_ms,
        }
        if self.watched_ms:
            numbers["watched_ms"] = self.watched_ms
        if self.armed_ms or self.header.segment:
            numbers["armed_ms"] = self.armed_ms
        texts = {"owner": self.owner, "need": ",".join(map(str, self.need)), "message": self.message}
        ended = {} if self.ended_ms is None else {"ended_ms": str(self.ended_ms)}
        ended |= {"inbox_bytes": str(sum(map(len, self.inbox)))} if self.inbox else {}
        ended |= {"idem": self.made_by} if self.made_by else {}
        ended |= {"queued": self.queued} if self.queued else {}
        ended |= {"large": ",".join(map(str, self.large))} if self.large else {}
        ended |= {"logs": ",".join(map(str, self.logs))} if self.logs else {}
        ended |= {"log_bytes": str(self.log_bytes)} if self.log_bytes else {}
        ended |= {"log_full": "1"} if self.log_full else {}
        cells = {"i": self.intents, "f": self.faults, "w": self.holds, "r": self.results}
        rare = {"notes": self.notes, "output": self.output, "refused": self.refused}
        return (
            self.fields
            | {name: str(value) for name, value in (msgspec.to_builtins(self.header) | numbers).items()}
            | (texts | ended | {name: text.decode() for name, text in rare.items() if text})
            | {f"{kind}:{cell}": text.decode() for kind, some in cells.items() for cell, text in some.items()}
            | {f"c:{cell}": str(at) for cell, at in self.order.items() if len(self.results[cell]) > wire.BRIEF_BYTES}
            | self.account_text()
        )

    def account_text(self) -> dict[str, str]:
        if self.account is None:
            return {}
        numbers = {name: getattr(self.account, name) for name in ("allow", "used", "held", "held_ms", "floor", "tail")}
        spent = {f"a:{message}": units for message, units in self.attempts.items()}
        return {name: str(number) for name, number in (numbers | spent).items()}

    def free(self) -> None:
        self.owner, self.lease_until = "", 0


class _Written:
    """Changes as they are stored. Encoding comes first, so that what cannot be stored changes nothing."""

    def __init__(self, changes: Changes, large_bytes: int) -> None:
        self.header = changes.header
        self.intents = {cell: _encode(intent) for cell, intent in changes.intents.items()}
        self.faults = {cell: _encode(fault) for cell, fault in changes.faults.items()}
        self.holds = {cell: _encode(hold) for cell, hold in changes.holds.items()}
        self.notes = b"" if changes.notes is None else _encode(changes.notes)
        self.output = b"" if changes.output is None else _encode(changes.output)
        texts = {cell: wire.stored(result, large_bytes) for cell, result in changes.results.items()}
        self.results = {cell: (text, changes.results[cell].ended_ms) for cell, (text, _) in texts.items()}
        self.large = {cell: apart for cell, (_, apart) in texts.items() if apart is not None}
        self.cells = {cell: ord(target.value) for cell, target in changes.cells.items()}
        self.lines = [_encode(line) for line in changes.history]
        self.logs = changes.logs

    def __bool__(self) -> bool:
        texts = self.intents or self.faults or self.holds or self.notes or self.output or self.results
        return bool(self.header or texts or self.cells or self.lines)


class MemoryStore:
    """See `shared.ports.Store` for what each method promises."""

    def __init__(
        self,
        *,
        retention_ms: int,
        large_bytes: int = LARGE_BYTES,
        now_ms: int | None = None,
        longest_delay_ms: int = LONGEST_DELAY_MS,
    ) -> None:
        """`now_ms` replaces the clock while it is set; it may be set again at any time."""
        self._longest_delay_ms = longest_delay_ms
        self._retention_ms = retention_ms
        self._large_bytes = large_bytes
        self.now_ms = now_ms
        self.calls: dict[str, int] = defaultdict(int)
        """Commands by name, counted as the Redis store counts its scripts."""
        self._records: dict[str, _Record] = {}
        self._partitions: dict[str, _Partition] = defaultdict(_Partition)
        self._forbidden: set[str] = set()
        self._lag = (0, 0)
        self._heard: dict[str, int] = {}
        """Until when a message's hint at an execution counts once, by its key in Redis."""
        self._made: dict[tuple[str, str, str], tuple[str, str]] = {}

    # for whoever looks at the outcome

    def header(self, execution: str) -> Header:
        """Where an execution stands; KeyError if there is none."""
        return self._records[execution].header

    def cells(self, execution: str) -> str:
        """Where its steps and their undos stand."""
        return self._records[execution].cells.decode()

    def history(self, execution: str) -> list[dict[str, Any]]:
        """What happened to it, in order."""
        return [wire.anything(text) for text in self._records[execution].history]

    def logs(self, execution: str, cell: int) -> list[bytes]:
        """What a cell's calls have logged, an attempt a text."""
        return self._records[execution].logs.get(cell, [])

    def fields(self, execution: str) -> dict[str, str]:
        """Every field of its record, as text and by the names it has in Redis."""
        return self._records[execution].as_text()

    # the port

    async def made_by(self, tenant: str, key: str) -> tuple[str, str] | None:
        """See the port."""
        return self._known(keys.spread(f"{tenant}/{key}"), tenant, key)

    async def create(self, birth: Birth) -> Made:
        """See the port."""
        now, part = self._enter("create", birth.header.id)
        header, key = birth.header, birth.idempotency_key
        pp = keys.partition_of(header.id)
        if key and (known := self._known(pp, header.tenant, key)):
            return Exists(execution=known[0]) if known[1] == birth.request_hash else KeyConflict()
        if header.id in self._forbidden:
            raise Conflict(f"{header.id} was cancelled before it was created", code="buried")
        if header.id in self._records:
            return Exists(execution=header.id)
        deadline = now + birth.timeout_ms if birth.timeout_ms else 0
        record = self._records[header.id] = _Record(
            header=msgspec.structs.replace(header, created_ms=now, segment=0, stalled=0, deadline_ms=deadline),
            plan=birth.plan,
            cells=bytearray(birth.cells.encode()),
            fields=birth.fields | wire.words_text(birth.words),
            updated_ms=now,
            history=[b'{"event":"execution.created"}', *(wire.line(line) for line in birth.lines)],
            results={cell: _encode(result) for cell, result in birth.given.items()},
            order={cell: result.ended_ms for cell, result in birth.given.items()},
            notes=b"" if birth.notes == Notes() else _encode(birth.notes),
            account=_account(birth),
        )
        rests = header.status is Status.AWAITING_CONFIRMATION
        part.due.set(header.id, now + (min(birth.timeout_ms or REST_MS, REST_MS) if rests else WATCH_MS))
        if key:
            record.made_by = keys.idempotency(pp, header.tenant, key)
            self._made[pp, header.tenant, key] = (header.id, birth.request_hash)
        commands = part.enqueue_all(now, wire.queue_entries(header, birth.commands))
        entry = None if rests else part.enqueue(now, record.entry(now, "created"))
        return Created(entry=entry, commands=commands)

    def _known(self, pp: str, tenant: str, key: str) -> tuple[str, str] | None:
        return self._made.get((pp, tenant, key))

    async def acquire(self, execution: str, *, owner: str, lease_ms: int, segment: int, cause: str) -> Lease | NoLease:
        """See the port."""
        now, part = self._enter("acquire", execution)
        record = self._records.get(execution)
        if record is None:
            return NoLease(why=No.ABSENT)
        again = record.owner == owner and record.lease_until > now  # our own acquire, sent twice
        if refused := self._refusal(record, part, now, segment, owner, again=again):
            return refused
        if not again:
            record.fence, record.ver = record.fence + 1, record.ver + 1
            record.head(stalled=record.header.stalled + 1)
            record.owner, record.lease_until = owner, now + lease_ms
            part.due.set(execution, record.lease_until + AFTER_LEASE_MS)
            record.tell("segment.started", segment=record.header.segment, fence=record.fence, cause=cause)
        return _lease(record, owner, now)

    def _refusal(self, record: _Record, part: _Partition, now: int, segment: int, owner: str, *, again: bool) -> NoLease | None:
        """Why a lease is not given, in acquire.lua's order."""
        header, waits = record.header, record.wake_ms > now
        if record.terminal:
            return NoLease(why=No.TERMINAL, watched=record.watched_ms > now)
        if 0 <= segment < header.segment:
            return NoLease(why=No.STALE)
        if again:
            return None
        if (rest_ms := _rests(header, now)) and record.caught_up:
            if record.lease_until <= now:
                _rearm(part, header.id, now + rest_ms)
            return NoLease(why=No.PAUSED)
        if header.status is Status.SUSPENDED and record.caught_up and waits:
            if record.lease_until <= now:
                _rearm(part, header.id, record.wake_ms + WATCH_MS)
            return self._not_due(record, part, now, segment) if record.timed else NoLease(why=No.WAITING)
        if record.lease_until > now and not outlived(record.owner, owner):
            return NoLease(why=No.HELD, ms=record.lease_until - now)
        return None

    def _not_due(self, record: _Record, part: _Partition, now: int, segment: int) -> NoLease:
        """Too early. A message of a chained wait hangs in the next link."""
        left = record.wake_ms - now
        if segment < record.header.segment or left <= CHAINED_MS or record.armed_ms > now + CHAINED_MS:
            return NoLease(why=No.NOT_DUE, ms=left)
        record.armed_ms = min(record.wake_ms, now + self._longest_delay_ms)
        entry = part.arm(now, record.entry(now, "waiting on", not_before_ms=record.armed_ms))
        return NoLease(why=No.NOT_DUE, ms=left, entry=entry)

    async def begin(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """See the port."""
        return self._commit("begin", lease, ver=ver, seen=seen, kept=kept, going=going)

    async def commit(self, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        """See the port."""
        return self._commit("commit", lease, ver=ver, seen=seen, kept=kept, going=going)

    def _commit(self, name: str, lease: Lease, *, ver: int, seen: int, kept: Changes, going: Going) -> Commit:
        first, following = _Written(kept, self._large_bytes), _Written(going.changes, self._large_bytes)
        early, late = (wire.queue_entries(lease.header, part.commands) for part in (kept, going.changes))
        now, part = self._enter(name, lease.header.id)
        record = self._records.get(lease.header.id)
        if record is None:
            return Lost()
        if record.last and record.last[:2] == (lease.owner, ver):  # sent twice: the first answer
            flagged = record.last[2]
            if flagged:
                return Flags(ver=ver + 1, signals=record.letters(seen), commands=early)
            return Committed(ver=ver + 1, entry=record.last_entry, commands=early + late, watched=record.watched_ms > now)
        if (record.owner, record.ver) != (lease.owner, ver):
            return Lost()
        progress = kept.progress or going.changes.progress
        moved = len(record.inbox) > seen and going.kind != "none"
        if moved and not first and not early and not progress and seen <= record.seen:
            return Flags(ver=ver, signals=record.letters(seen))
        record.write(first)
        part.enqueue_all(now, early)
        record.ver, record.updated_ms = ver + 1, now
        record.last, record.last_entry = (lease.owner, ver, moved), None
        record.seen = max(record.seen, seen)
        if progress:
            record.head(stalled=0)
            record.tries = 0
        if moved:
            return Flags(ver=ver + 1, signals=record.letters(seen), commands=early)
        if going.kind != "none":
            record.write(following)
            record.adopt(going)
            part.enqueue_all(now, late)
        if going.kind in {"leave", "suspend", "end"}:
            latest_ms = lease.now_ms + self._longest_delay_ms
            capped = msgspec.structs.replace(going, not_before_ms=min(going.not_before_ms, latest_ms))
            self._close(part, record, capped, now)
        return Committed(ver=ver + 1, entry=record.last_entry, commands=early + late, watched=record.watched_ms > now)

    def _close(self, part: _Partition, record: _Record, going: Going, now: int) -> None:
        execution = record.header.id
        record.free()
        record.head(segment=record.header.segment + 1)
        record.epoch, record.wake_ms, record.timed, record.armed_ms = 0, going.wake_ms, going.timed, 0
        if going.kind == "end":
            part.due.remove(execution)
            part.retire.set(execution, now + self._retention_ms)
            record.ended_ms = now
            return
        record.need = going.need
        part.due.set(execution, now + going.due_in_ms + WATCH_MS)
        if going.letter:
            part.bury(now, record.header.tenant, going.letter)
        if going.message:
            record.armed_ms = going.not_before_ms
            record.last_entry = part.arm(now, record.entry(now, going.reason, not_before_ms=record.armed_ms))

    async def load_results(self, execution: str, cells: Sequence[int]) -> dict[int, object]:
        """See the port."""
        record = self._find(execution)
        if record is None:
            return {}
        found = {cell: wire.result(record.results[cell]) for cell in cells if cell in record.results}
        return {cell: wire.anything(record.large[cell]) if one.large else one.output for cell, one in found.items()}

    async def load_order(self, execution: str, cells: Sequence[int]) -> dict[int, int]:
        """See the port."""
        record = self._find(execution)
        return {cell: record.order[cell] for cell in cells if cell in record.order} if record else {}

    async def load_letters(self, execution: str, positions: Sequence[int]) -> dict[int, object]:
        """See the port."""
        record = self._find(execution)
        known = record.inbox if record else []
        return {at: wire.signal(known[at - 1]).payload for at in positions if 0 < at <= len(known)}

    async def load_plan(self, execution: str) -> bytes | None:
        """See the port."""
        record = self._find(execution)
        return record.plan if record else None

    async def load_words(self, execution: str) -> Words | None:
        """See the port."""
        record = self._find(execution)
        text = record.fields.get("words") if record else None
        return None if text is None else wire.words(text.encode())

    async def signal(self, execution: str, *, tenant: str, sid: str, kind: str, payload: object) -> Accepted | NotAccepted:
        """See the port."""
        text = wire.signal_text(kind, payload)
        now, part = self._enter("signal", execution)
        record = self._records.get(execution)
        if record is None or record.header.tenant != tenant:
            return NotAccepted(why="absent")
        if sid in record.sids:
            return NotAccepted(why="duplicate")
        if record.terminal:
            return NotAccepted(why="terminal")
        text = wire.signal_at(text, now)
        size = sum(map(len, record.inbox)) + len(text)
        if kind != "cancel" and (len(record.inbox) >= INBOX_LIMIT or size > INBOX_BYTES):
            return NotAccepted(why="full")
        record.inbox.append(text)
        record.sids.add(sid)
        record.tell("signal.received", kind=kind, position=len(record.inbox))
        if record.lease_until > now:
            return Accepted(entry=None)
        record.epoch += 1
        part.due.set(execution, now + WATCH_MS)
        return Accepted(entry=part.enqueue(now, record.entry(now, "signal", back=kind == "cancel")))

    async def resend(
        self, execution: str, *, base_ms: int, most_ms: int, direct: bool = False, late_ms: int = 0
    ) -> Entry | None:
        """See the port."""
        now, part = self._enter("resend", execution)
        record, at = self._records.get(execution), part.due.at(execution)
        if record is None or record.terminal:
            part.due.remove(execution)
            return None
        if at is None or at + late_ms > now or record.lease_until > now:
            return None
        part.due.set(execution, now + min(most_ms, base_ms * 2**record.tries))
        record.epoch += 1
        record.tries += 1
        if waiting := part.brought_forward(now, record):
            return waiting
        return part.enqueue(now, record.entry(now, "overdue", free=direct and record.tries == 1))

    async def account(self, execution: str) -> Account | None:
        """See the port."""
        record = self._find(execution)
        return record.account_now() if record else None

    async def count(self, execution: str, message: str, units: int) -> None:
        """See the port."""
        _, _ = self._enter("quota_count", execution)
        record = self._records.get(execution)
        if record is None or record.account is None:
            return
        fresh = units - record.attempts.get(message, 0)
        if fresh > 0:
            one = record.account
            record.attempts[message] = units
            record.account = msgspec.structs.replace(one, used=one.used + fresh, held=max(0, one.held - fresh))

    async def allow(self, execution: str, units: int, *, wake: bool) -> None:
        """See the port."""
        now, part = self._enter("quota_allow", execution)
        record = self._records.get(execution)
        if record is None or record.account is None or record.terminal:
            return
        record.account = msgspec.structs.replace(record.account, allow=max(record.account.allow, units))
        if wake:
            record.wake_ms = 0 if record.header.reason is Reason.QUOTA else record.wake_ms
            _at_the_latest(part, execution, now)

    async def overdue(self, partition: str, *, limit: int, late_ms: int = 0) -> list[str]:
        """See the port."""
        return self._partitions[partition].due.until(self._now() - late_ms, limit)

    async def overdue_everywhere(self, *, limit: int, late_ms: int = 0) -> list[str]:
        """See the port."""
        parts = keys.all_partitions()
        return [execution for pp in parts for execution in await self.overdue(pp, limit=limit, late_ms=late_ms)]

    async def overdue_page(self, partition: str, *, first: int, page: int, each: int, late_ms: int) -> OverduePage:
        """See the port."""
        self.calls["overdue_page"] += 1
        found = (await self.overdue(partition, limit=first + page, late_ms=late_ms))[first:]
        tenants: dict[str, list[str]] = {}
        for execution in found:
            record = self._records.get(execution)
            tenants.setdefault(record.header.tenant if record else "", []).append(execution)
        told = {tenant: some[:each] for tenant, some in tenants.items()}
        return OverduePage(tenants=told, next=first + page if len(found) == page else 0)

    async def moved(self, executions: Sequence[str]) -> list[bool]:
        """See the port."""
        records = [self._find(execution) for execution in executions]
        now = self._now()
        return [one is None or not one.tries or one.lease_until > now or one.terminal for one in records]

    async def left_behind(self, mine: str, *, lease_ms: int, limit: int, stalled: int) -> list[str]:
        """See the port."""
        now, latest = self._now(), self._now() + lease_ms + AFTER_LEASE_MS
        looked_at = [one for pp in keys.all_partitions() for one in self._partitions[pp].due.between(now, latest, limit)]
        found = [record for one in looked_at if (record := self._records.get(one)) and record.lease_until > now]
        return [one.header.id for one in found if one.header.stalled <= stalled and outlived(one.owner, mine)]

    async def share_lag(self, ms: int) -> None:
        """See the port."""
        self._lag = (ms, self._now() + LAG_LIVES_MS)

    async def lag(self) -> int:
        """See the port."""
        ms, until_ms = self._lag
        return ms if until_ms > self._now() else 0

    async def waiting_entries(self) -> list[str]:
        """See the port."""
        return [pp for pp in keys.all_partitions() if self._partitions[pp].relay.until(self._now(), 1)]

    async def relay_claim(self, partition: str, *, limit: int, claim_ms: int) -> list[Entry]:
        """See the port."""
        self.calls["relay_claim"] += 1
        part = self._partitions[partition]
        return part.claim(part.relay.until(self._now(), limit), self._now() + claim_ms)

    async def relay_ack(self, sent: Sequence[tuple[Entry, str]]) -> None:
        """See the port."""
        self.calls["relay_ack"] += len({keys.partition_of(entry.execution) for entry, _ in sent})
        for entry, message in sent:
            self._part(entry.execution).sent(entry.id)
            if message and (record := self._records.get(entry.execution)):
                record.message, record.refused = message, b""
            if (record := self._records.get(entry.execution)) and record.queued == entry.id:
                record.queued = ""

    async def relay_later(self, refused: Sequence[Refused]) -> list[str]:
        """See the port."""
        self.calls["relay_later"] += len({keys.partition_of(one.entry.execution) for one in refused})
        return [one.entry.id for one in refused if self._put_off(one)]

    def _put_off(self, one: Refused) -> bool:
        """Whether it left the outbox, because nobody needs it any more."""
        entry, now = one.entry, self._now()
        part, record = self._part(entry.execution), self._records.get(entry.execution)
        if entry.id not in part.entries:
            return False
        if entry.kind == MESSAGE:
            if record is None or record.terminal or record.header.segment > entry.segment:
                part.sent(entry.id)
                if record is not None:
                    record.refused = b""
                    record.queued = "" if record.queued == entry.id else record.queued
                return True
            record.refused = wire.refusal_at(wire.refusal_text(one), now)
        part.relay.set(entry.id, now + one.again_ms)
        if one.away:
            part.away.set(entry.id, now)
        return False

    async def relay_back(self, partition: str, *, limit: int, claim_ms: int, least_ms: int = 0) -> list[Entry]:
        """See the port."""
        self.calls["relay_back"] += 1
        part, now = self._partitions[partition], self._now()
        return part.claim(part.away.until(now - least_ms, limit), now + claim_ms)

    async def away_entries(self) -> list[str]:
        """See the port."""
        return [pp for pp in keys.all_partitions() if self._partitions[pp].away]

    async def watch(self, execution: str, *, tenant: str, for_ms: int) -> int | None:
        """See the port."""
        now, _ = self._enter("watch", execution)
        record = self._records.get(execution)
        if record is None or record.header.tenant != tenant:
            return None
        record.watched_ms = max(record.watched_ms, now + for_ms)
        return record.watched_ms

    async def hint(self, execution: str, *, tenant: str = "", segment: int = -1, message: str = "") -> Hinted:
        """See the port."""
        now, part = self._enter("hint", execution)
        record = self._records.get(execution)
        if record is None or (tenant and record.header.tenant != tenant):
            return Hinted(heard=Heard.ABSENT)
        if record.terminal:
            return Hinted(heard=Heard.TERMINAL)
        heard = self._hinted(record, part, now, segment, keys.heard(execution, message) if message else "")
        return Hinted(heard=heard, segment=record.header.segment)

    def _hinted(self, record: _Record, part: _Partition, now: int, segment: int, once: str) -> Heard:
        """In hint.lua's order."""
        header = record.header
        if segment in range(header.segment):
            return Heard.STALE
        if record.lease_until > now:
            _put_back(part, header.id, record.lease_until + AFTER_LEASE_MS)
            return Heard.HELD
        sleeps = header.status is Status.SUSPENDED and record.wake_ms > now
        if record.caught_up and (_rests(header, now) or sleeps):
            _put_back(part, header.id, max(now, record.wake_ms) + WATCH_MS)
            return Heard.WAITING
        if once and self._heard.get(once, 0) > now:
            return Heard.SEEN
        if once:
            self._heard = {name: until for name, until in self._heard.items() if until > now} | {once: now + HEARD_MS}
        _at_the_latest(part, header.id, now)
        return Heard.OK

    async def bury(self, letter: Letter, *, in_ms: int, line: Line) -> int | None:
        """See the port."""
        text = wire.line(line)
        now, part = self._enter("dead_letter", letter.execution)
        record = self._records.get(letter.execution)
        if record is None or record.terminal:
            return None
        if part.bury(now, record.header.tenant, letter):
            record.history.append(text)
        _at_the_latest(part, letter.execution, now + in_ms)
        return record.header.segment

    async def letters(
        self, tenant: str, *, limit: int, before: tuple[int, str] | None = None, execution: str = ""
    ) -> LetterPage:
        """See the port."""
        parts = [keys.partition_of(execution)] if execution else keys.all_partitions()
        found = [letter for pp in parts for letter in self._partitions[pp].dead[tenant].values()]
        rows = [
            one
            for one in sorted(found, key=lambda one: (one.at_ms, one.id), reverse=True)
            if (not execution or one.execution == execution) and (before is None or (one.at_ms, one.id) < before)
        ]
        last = rows[limit - 1] if len(rows) > limit else None
        return LetterPage(letters=tuple(rows[:limit]), next=(last.at_ms, last.id) if last else None)

    async def letter(self, tenant: str, letter: str) -> Letter | None:
        """See the port."""
        execution = dead.execution_of(letter)
        return self._part(execution).dead[tenant].get(letter) if execution else None

    async def discard(self, tenant: str, letters: Sequence[str]) -> int:
        """See the port."""
        executions = {letter: execution for letter in letters if (execution := dead.execution_of(letter))}
        self.calls["discard"] += len({keys.partition_of(execution) for execution in executions.values()})
        gone = [self._part(execution).dead[tenant].pop(letter, None) for letter, execution in executions.items()]
        return sum(letter is not None for letter in gone)

    async def peek(self, execution: str, *, tenant: str) -> Peek | None:
        """See the port."""
        record = self._find(execution)
        if record is None or record.header.tenant != tenant:
            return None
        notes = wire.notes(record.notes) if record.notes else Notes()
        return Peek(header=record.header, ver=record.ver, cells=bytes(record.cells), notes=notes)

    async def forbid(self, execution: str) -> bool:
        """See the port."""
        self._enter("forbid", execution)
        if execution in self._records:
            return False
        self._forbidden.add(execution)
        return True

    async def reopen(
        self, execution: str, *, tenant: str, ver: int, origins: frozenset[Status], changes: Changes
    ) -> Reopened | NotAccepted:
        """See the port."""
        written = _Written(changes, self._large_bytes)
        now, part = self._enter("reopen", execution)
        record = self._records.get(execution)
        if record is None or record.header.tenant != tenant:
            return NotAccepted(why="absent")
        if record.ver != ver:
            return NotAccepted(why="conflict")
        if record.header.status not in origins:
            return NotAccepted(why="illegal")
        record.write(written)
        record.fence, record.epoch, record.ver = record.fence + 1, record.epoch + 1, record.ver + 1
        record.free()
        record.head(stalled=0, deadline_ms=0)
        if one := record.account:
            record.account = msgspec.structs.replace(one, allow=one.used + one.held)
        record.wake_ms, record.tries, record.updated_ms, record.ended_ms = 0, 0, now, None
        part.retire.remove(execution)
        part.due.set(execution, now + WATCH_MS)
        return Reopened(entry=part.enqueue(now, record.entry(now, "reopened")), ver=record.ver)

    async def retire_page(self, partition: str, *, owner: str, limit: int) -> list[str]:
        """See the port."""
        self.calls["retire_page"] += 1
        now, part = self._now(), self._partitions[partition]
        holder, until_ms = part.retiring
        if holder != owner and until_ms > now:
            return []
        found = part.retire.until(now, limit)
        part.retiring = (owner, now + RETIRING_MS) if found else ("", 0)
        return found

    async def purge(self, execution: str) -> bool:
        """See the port."""
        now, part = self._enter("purge", execution)
        record = self._records.get(execution)
        at = part.retire.at(execution)
        if record is None:
            part.retire.remove(execution)
            return False
        if not record.terminal or at is None or at > now:
            return False
        part.retire.remove(execution)
        letters = part.dead[record.header.tenant]
        for letter in [one.id for one in letters.values() if one.execution == execution]:
            del letters[letter]
        del self._records[execution]
        self._made = {key: made for key, made in self._made.items() if made[0] != execution}
        return True

    def _now(self) -> int:
        return self.now_ms if self.now_ms is not None else time.time_ns() // 1_000_000

    def _part(self, execution: str) -> _Partition:
        return self._partitions[keys.partition_of(execution)]

    def _find(self, execution: str) -> _Record | None:
        keys.partition_of(execution)
        return self._records.get(execution)

    def _enter(self, command: str, execution: str) -> tuple[int, _Partition]:
        """One command begins: count it, and read the clock once."""
        part = self._part(execution)
        self.calls[command] += 1
        return self._now(), part


def _account(birth: Birth) -> Account | None:
    given = birth.allowance
    if given is None:
        return None
    header = birth.header
    return Account(
        tenant=header.tenant,
        ver=0,
        over=False,
        allow=given.units,
        used=0,
        held=0,
        held_ms=0,
        floor=given.floor,
        tail=given.tail,
    )


def _at_the_latest(part: _Partition, execution: str, at_ms: int) -> None:
    """Due then, unless it is earlier."""
    at = part.due.at(execution)
    if at is None or at_ms < at:
        part.due.set(execution, at_ms)


def _put_back(part: _Partition, execution: str, at_ms: int) -> None:
    """Due then, if it fell off the index."""
    if part.due.at(execution) is None:
        part.due.set(execution, at_ms)


def _rearm(part: _Partition, execution: str, at_ms: int) -> None:
    """Woken too early: due again when the wait ends, not before."""
    at = part.due.at(execution)
    if at is not None and at < at_ms:
        part.due.set(execution, at_ms)


def _rests(header: Header, now: int) -> int:
    """How long one that only a person moves may be left alone, ms; 0 for every other one."""
    if header.status is Status.PAUSED:
        return REST_MS
    if header.status is not Status.AWAITING_CONFIRMATION or 0 < header.deadline_ms <= now:
        return 0
    return min(REST_MS, header.deadline_ms - now) if header.deadline_ms else REST_MS


def _lease(record: _Record, owner: str, now: int) -> Lease:
    busy = [cell for cell, letter in enumerate(record.cells) if letter in _BUSY]
    return Lease(
        owner=owner,
        fence=record.fence,
        ver=record.ver,
        now_ms=now,
        until_ms=record.lease_until,
        header=record.header,
        cells=bytes(record.cells),
        seen=record.seen,
        intents={cell: wire.intent(record.intents[cell]) for cell in busy if cell in record.intents},
        faults={cell: wire.fault(record.faults[cell]) for cell in busy if cell in record.faults},
        results=wire.outputs(
            [part for cell in record.need if cell in record.results for part in (f"r:{cell}", record.results[cell])]
        ),
        signals=record.letters(record.seen),
        holds={cell: wire.hold(record.holds[cell]) for cell in busy if cell in record.holds},
        notes=wire.notes(record.notes) if record.notes else Notes(),
        account=record.account_now(),
        watched=record.watched_ms > now,
    )
