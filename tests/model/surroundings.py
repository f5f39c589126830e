"""Everything around the executors: ingress, clients, leases, QStash, hints, the watchdog, the tools and Redis itself."""

from collections.abc import Iterator
from itertools import count
from typing import TypeAlias

from tests.model.state import (
    ABSENT,
    FIRST,
    IDLE,
    Budget,
    Entry,
    Guards,
    Record,
    State,
    acked,
    broken,
    delivered,
    invoked,
    published,
    spend,
    swap,
    unseen,
    wanted,
)

Move: TypeAlias = tuple[str, State, bool]

FAIR, UNFAIR = True, False
ENDED = ("completed", "compensated", "unknown")


class Surroundings:
    """The moves that no executor makes, and what every script and every tool does to the state."""

    def __init__(self, plan: str, budget: Budget, clients: tuple[str, ...], guards: Guards) -> None:
        self.plan, self.budget, self.clients, self.guards = plan, budget, clients, guards

    def _around(self, s: State) -> Iterator[Move]:
        yield from self._ingress(s)
        if s.record.status != "absent":
            for part in (self._client, self._lease, self._qstash, self._hint, self._watchdog, self._late, self._redis):
                yield from part(s)

    def _ingress(self, s: State) -> Iterator[Move]:
        """§2.2. A crash after any line leaves the record with its due time, and the outbox entry until it was acked."""
        if s.ingress == "new":
            lane, outbox = "-" * len(self.plan), frozenset((FIRST,) * self.guards.outbox)
            born = Record("running", ledger=lane, undone=lane, outbox=outbox)
            yield "create", self._write(s, born, barrier=self.guards.create_barrier)._replace(ingress="created"), FAIR
        if s.ingress == "created":
            yield "ingress publishes", published(s, FIRST)._replace(ingress="published"), FAIR
            if s.budget.refuse:
                yield "publish refused", self._refused(s, 0)._replace(ingress="gone"), UNFAIR
        if s.ingress == "published":
            yield "ingress acks", acked(s, FIRST)._replace(ingress="gone"), FAIR
        if s.ingress in ("created", "published") and s.budget.crash:
            yield "ingress crashes", spend(s, "crash")._replace(ingress="gone"), UNFAIR

    def _client(self, s: State) -> Iterator[Move]:
        """A2. A signal goes to the inbox without a lease; if nobody holds the execution, the same script wakes it."""
        for name in s.clients * (s.record.status not in ENDED):
            r = s.record._replace(cancel=1) if name == "cancel" else s.record._replace(event=1)
            r = self._woken(s, r) if self.guards.wake and not r.held else r
            after = s._replace(clients=tuple(c for c in s.clients if c != name))
            yield name, self._write(after, r, barrier=self.guards.signal_barrier), UNFAIR

    def _lease(self, s: State) -> Iterator[Move]:
        """A7. Never renewed: it ends by itself, under a living holder only as a fault."""
        mine = [e for e in s.executors if e.owner == s.record.owner and e.at in ("ready", "calling", "waiting", "answered")]
        after = s._replace(record=s.record._replace(held=False))
        if s.record.held and not mine:
            yield "lease expires", after, FAIR
        elif s.record.held and s.budget.expire:
            late = swap(s.executors, mine[0], mine[0]._replace(late=True))
            yield "lease ends under a slow holder", spend(after._replace(executors=late), "expire"), UNFAIR

    def _qstash(self, s: State) -> Iterator[Move]:
        """At least once: now, twice at a time, again after it was answered, or never."""
        idle = IDLE in s.executors
        for m in set(s.queue):
            if not m.flying and s.budget.drop:
                yield "drop", spend(s._replace(queue=swap(s.queue, m)), "drop"), UNFAIR
            if not m.flying and idle:
                yield "deliver", delivered(s, m), FAIR
            if m.flying == 1 and idle and s.budget.duplicate:
                yield "deliver duplicate", spend(delivered(s, m), "duplicate"), UNFAIR
        if idle and s.budget.duplicate:
            for entry in s.published - {m.entry for m in s.queue}:
                yield "late duplicate", spend(invoked(s, entry[0]), "duplicate"), UNFAIR

    def _hint(self, s: State) -> Iterator[Move]:
        """§2.4. A hint is not kept anywhere: it arrives now or never, and can only cause an acquire."""
        for segment in s.hints:
            after = s._replace(hints=s.hints - {segment})
            yield "hint lost", after, UNFAIR
            if IDLE in s.executors:
                yield "hint delivered", invoked(after, segment), FAIR

    def _watchdog(self, s: State) -> Iterator[Move]:
        """A12, §2.4. Relay what is in the outbox; re-send what is due and held by nobody."""
        if s.relaying:
            yield "relay acks", acked(s, s.relaying)._replace(relaying=()), FAIR
            if s.budget.crash:
                yield "watchdog crashes", spend(s, "crash")._replace(relaying=()), UNFAIR
        for entry in s.record.outbox if not s.relaying else ():
            yield "relay publishes", published(s, entry)._replace(relaying=entry), FAIR
        if self._is_due(s.record):
            needed = _is_quiet(s)
            if needed or s.budget.resend:
                after = s if needed else spend(s, "resend")
                yield "watchdog re-sends", self._write(after, self._woken(s, s.record)), needed

    def _is_due(self, r: Record) -> bool:
        """A12. In a wait only what arrived and was not seen is due; there is no time-out in this model."""
        waits = r.status == "waiting" and not (self.guards.due_unseen and unseen(r))
        return self.guards.due and r.status not in ENDED and not r.held and not waits

    def _late(self, s: State) -> Iterator[Move]:
        """V3, V4. A request whose sender is dead lands at any time, or never."""
        for call in dict.fromkeys(s.calls):
            after = s._replace(calls=swap(s.calls, call))
            yield "late request lands", self._landed(after, *call), FAIR
            yield "late request is lost", after, FAIR

    def _redis(self, s: State) -> Iterator[Move]:
        """V5, V6. A failover forgets what was written since the last sync; what was acked must not be among it."""
        if s.budget.failover and s.synced != s.record:
            yield "fsync", s._replace(synced=s.record), FAIR
            sent = [name for name in self.clients if name not in s.clients]
            gone = [name for name in sent if not (s.synced.cancel if name == "cancel" else s.synced.event)]
            lost = ["execution"] if s.synced == ABSENT else gone
            after = broken(s, f"accepted {lost[0]} lost") if lost else s
            yield "failover", spend(after._replace(record=s.synced), "failover"), UNFAIR

    def _write(self, s: State, r: Record, *, barrier: bool = False) -> State:
        """Store the record, on disk too behind a barrier (A14); nothing is written after the end (promise 10)."""
        old = s.record
        if old.status in ENDED and (old.status, old.ledger, old.step) != (r.status, r.ledger, r.step):
            s = broken(s, "written after the end")
        if r.status == "completed" and any(k in "IUP" and was != "D" for k, was in zip(self.plan, r.ledger, strict=True)):
            s = broken(s, "completed without a result")
        return s._replace(record=r, synced=r if barrier else s.synced)

    def _woken(self, s: State, r: Record) -> Record:
        """A9, A12. A higher epoch and a new entry, in the script that found the need."""
        entry = self._minted(s, r.segment, r.epoch + 1)
        return r._replace(epoch=r.epoch + self.guards.epoch, outbox=r.outbox | {entry})

    def _minted(self, s: State, segment: int, epoch: int) -> Entry:
        """A9. A new outbox entry; its nonce makes the deduplication id one that was never sent."""
        known = s.published | wanted(s)
        ids = ((segment, epoch * self.guards.epoch, nonce) for nonce in count())
        return next(entry for entry in ids if entry not in known or not self.guards.nonce)

    def _refused(self, s: State, segment: int) -> State:
        """QStash is down or the quota is spent: hint over Ably, the entry stays."""
        return spend(s._replace(hints=s.hints | {segment}) if self.guards.hint else s, "refuse")

    def _landed(self, s: State, step: int, act: str) -> State:
        """The tool does what the request says: by key for I, once more for U and P; undo leaves a tombstone (A3)."""
        (times, stands, tomb), kind = s.world[step], self.plan[step]
        if act == "undo":
            stands, tomb = 0, int(kind == "I" and self.guards.tombstone)
        elif kind in "UP" or (kind == "I" and not times and not tomb):
            times, stands = times + 1, 1
        s = s._replace(world=(*s.world[:step], (times, stands, tomb), *s.world[step + 1 :]))
        return broken(s, f"{kind} done twice") if times > 1 else s


def _is_quiet(s: State) -> bool:
    """Nothing else is under way: from here only the watchdog can help."""
    under_way = s.queue or s.record.outbox or s.hints or s.relaying or s.executors != (IDLE, IDLE)
    return not under_way and s.ingress == "gone"
