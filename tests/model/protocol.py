"""The amended protocol: what an executor may do next, from the delivery of a message to its answer.

Section and rule numbers are those of protocol.md. A plan is a word: I idempotent, U unsafe, P probeable, W waits for an
event, F fails for business reasons, M may fail so. A move is fair, or a fault, or a client's choice; a run may rely on fair
moves only.
"""

from collections.abc import Iterator

from tests.model.state import (
    ABSENT,
    IDLE,
    Budget,
    Executor,
    Guards,
    Record,
    State,
    acked,
    answered,
    broken,
    crashed,
    moved,
    published,
    put,
    spend,
    unseen,
    wanted,
)
from tests.model.surroundings import ENDED, FAIR, UNFAIR, Move, Surroundings

NEW_OWNER = 9  # any number that `_canonical` never leaves behind
NO_FAULTS, ALL_GUARDS = Budget(), Guards()


class Protocol(Surroundings):
    """The moves of one execution under a fault budget, with some guards taken away."""

    def __init__(
        self, plan: str, budget: Budget = NO_FAULTS, clients: tuple[str, ...] = (), guards: Guards = ALL_GUARDS
    ) -> None:
        super().__init__(plan, budget, clients, guards)
        # A2: the scripts that look into the inbox and are refused when it changes what should be done.
        self.looking = ("intent", "complete") * guards.flags + ("suspend",) * guards.inbox
        self.steps = {
            "asked": self._acquire,
            "ready": self._script,
            "calling": self._call,
            "waiting": self._tool,
            "answered": self._commit,
            "left": self._publish,
            "published": self._ack,
        }

    def start(self) -> State:
        """Nothing is stored; a client's request has arrived."""
        return State(ABSENT, ABSENT, (IDLE, IDLE), ((0, 0, 0),) * len(self.plan), self.budget, self.clients)

    def accepting(self, s: State) -> bool:
        """Ended, stopped for a person, or in a declared wait with nothing unseen."""
        return s.record.status in ENDED or (s.record.status == "waiting" and not unseen(s.record))

    def wrong(self, s: State) -> str:
        """A promise broken by the last move, or an end that does not agree with the world."""
        if s.record.status not in ENDED[:2] or s.calls or any(e.at in ("calling", "waiting") for e in s.executors):
            return s.error
        stands = {effect[1] for kind, effect in zip(self.plan, s.world, strict=True) if kind in "IUP"}
        if s.record.status == "completed" and 0 in stands:
            return s.error or "completed but an effect is missing"
        return s.error or ("compensated but an effect is left" if s.record.status == "compensated" and 1 in stands else "")

    def moves(self, s: State) -> Iterator[Move]:
        """Every move that is open in this state."""
        for name, after, fair in self._around(s):
            yield name, self._canonical(after), fair
        for e in dict.fromkeys(e for e in s.executors if e.at != "idle"):
            for name, after, fair in self.steps[e.at](s, e):
                yield name, self._canonical(after), fair
            if s.budget.crash:
                yield f"executor crashes when {e.at}", self._canonical(crashed(spend(s, "crash"), e)), UNFAIR

    def _acquire(self, s: State, e: Executor) -> Iterator[Move]:
        """§2.1 acquire: ended, stale and held in this order (A10); else a new owner."""
        r = s.record
        if r.status in ENDED and self.guards.terminal:
            yield "acquire: ended", answered(s, e), FAIR
        elif e.segment < r.segment and self.guards.segment:
            yield "acquire: stale", answered(s, e), FAIR
        elif r.held and self.guards.lease:
            yield "acquire: held", answered(s, e, ok=False), FAIR
        else:
            status, fence = "running" if r.status == "waiting" else r.status, r.fence + (not self.guards.owner)
            r = r._replace(status=status, held=True, owner=NEW_OWNER, ver=r.ver + 1, fence=fence)
            holder = e._replace(owner=NEW_OWNER, ver=r.ver, fence=fence, segment=0)
            yield "acquire", moved(self._write(s, r), e, self._decided(holder, r)), FAIR

    def _script(self, s: State, e: Executor) -> Iterator[Move]:
        """A write of the holder that stores no result. Lost: drop everything (A1). Flags: decide again (A2)."""
        overtaken = s.record.cancel or (e.act == "suspend" and s.record.event == 1)
        if not self._owns(e, s.record):
            yield "write refused: lost", answered(s, e), FAIR
        elif e.act in self.looking and overtaken:
            yield f"{e.act} refused: flags", moved(s, e, self._decided(e, s.record)), FAIR
        elif e.act in ("probe", "undo") and self._settling(s, e.step):
            return
        elif e.act == "probe":
            happened = s.world[e.step][0] > 0
            asked = e._replace(at="answered" if happened else "calling", act="do")
            yield f"probe says {'yes' if happened else 'no'}", moved(s, e, asked), FAIR
        else:
            yield self._written(s, e)

    def _written(self, s: State, e: Executor) -> Move:
        """Begin, start to undo, consume an event, or let go of the lease for good."""
        r = s.record._replace(ver=s.record.ver + 1)
        holder = e._replace(ver=r.ver)
        if e.act == "intent":
            return "intent", self._intended(s, e, holder, r), FAIR
        if e.act == "undo":
            r = r._replace(status="compensating", undone=put(r.undone, e.step, "I"))
            s = self._write(s, r, barrier=self.guards.undo_barrier)
            return "undo intent", moved(s, e, holder._replace(at="calling")), FAIR
        if e.act == "consume":
            r = r._replace(ledger=put(r.ledger, e.step, "D"), step=e.step + 1, event=2)
            return "consume event", moved(self._write(s, r), e, self._decided(holder, r)), FAIR
        return e.act, answered(self._write(self._judged(s, e.act), self._ended(r, e)), e), FAIR

    def _ended(self, r: Record, e: Executor) -> Record:
        """The four ways to let go: for a person, for an event, and the two ends."""
        if e.act == "stop":
            return r._replace(held=False, status="unknown", ledger=put(r.ledger, e.step, "?"))
        if e.act == "suspend":
            return r._replace(held=False, status="waiting", segment=r.segment + 1, epoch=0)
        return r._replace(held=False, status=e.act + "d")

    def _judged(self, s: State, act: str) -> State:
        """A stop for a person needs a fault as its reason; no end is COMPLETED over an accepted cancel (A2)."""
        spent = [was - left for was, left in zip(self.budget, s.budget, strict=True)]
        if act == "stop" and not any(Budget(*spent)._replace(duplicate=0, drop=0, refuse=0, resend=0)):
            return broken(s, "needless stop as unknown")
        return broken(s, "completed over a cancel") if act == "complete" and s.record.cancel else s

    def _call(self, s: State, e: Executor) -> Iterator[Move]:
        """A3. The own clock is asked last."""
        if e.late and self.guards.deadline:
            yield "own lease over: no call", answered(s, e, ok=False), FAIR
        else:
            yield "call", moved(s, e, e._replace(at="waiting")), FAIR

    def _tool(self, s: State, e: Executor) -> Iterator[Move]:
        yield "tool answers", moved(self._landed(s, e.step, e.act), e, e._replace(at="answered")), FAIR

    def _commit(self, s: State, e: Executor) -> Iterator[Move]:
        """§2.1 commit: the result is stored always, its continuation by what the inbox says now (A2)."""
        if not self._owns(e, s.record):
            yield "commit refused: lost", answered(s, e), FAIR
            return
        s = broken(s, "stale holder's result stored") if s.record.owner != e.owner else s
        s = broken(s, "result changed") if e.act == "do" and s.record.ledger[e.step] == "D" else s
        for r in self._results(s.record._replace(ver=s.record.ver + 1), e):
            yield from self._continued(s, e, r)

    def _continued(self, s: State, e: Executor, r: Record) -> Iterator[Move]:
        """Start the next step in the same commit, or look again, or leave for the next segment (A5)."""
        holder = e._replace(ver=r.ver)
        seen = r if self.guards.flags else r._replace(cancel=0)  # whoever works forward had seen no cancel
        act, step = self._decide(seen)
        if act == "intent":
            yield "commit+intent", self._intended(s, e, holder._replace(step=step), r), FAIR
        else:
            yield "commit", moved(self._write(s, r), e, self._decided(holder, seen)), FAIR
        if act in ("intent", "undo", "do"):
            yield "commit+leave", self._left(s, e, r), FAIR

    def _results(self, r: Record, e: Executor) -> Iterator[Record]:
        """What a step may have come to; a business failure turns the execution round."""
        kind = self.plan[e.step]
        if e.act == "undo":
            yield r._replace(status="compensating", undone=put(r.undone, e.step, "D"))
        elif kind in "FM":
            yield r._replace(status="compensating", ledger=put(r.ledger, e.step, "F"))
        if e.act == "do" and kind != "F":
            yield r._replace(ledger=put(r.ledger, e.step, "D"), step=e.step + 1)

    def _left(self, s: State, e: Executor, r: Record) -> State:
        """A10. The segment rises here and not in acquire: a redelivery after a crash runs, one after a lost 200 does not."""
        entry = self._minted(s, r.segment + 1, 0)
        r = r._replace(held=False, segment=r.segment + 1, epoch=0, outbox=r.outbox | set((entry,) * self.guards.outbox))
        return moved(self._write(s, r), e, Executor("left", message=e.message, entry=entry))

    def _publish(self, s: State, e: Executor) -> Iterator[Move]:
        """§2.3, 12. The entry is in the outbox whatever QStash says."""
        yield "publish", moved(published(s, e.entry), e, e._replace(at="published")), FAIR
        if s.budget.refuse:
            yield "publish refused", answered(self._refused(s, e.entry[0]), e), UNFAIR

    def _ack(self, s: State, e: Executor) -> Iterator[Move]:
        yield "ack", answered(acked(s, e.entry), e), FAIR

    # --- decisions ---

    def _decided(self, e: Executor, r: Record) -> Executor:
        act, step = self._decide(r)
        return e._replace(at="calling" if act == "do" else "ready", act=act, step=step)

    def _decide(self, r: Record) -> tuple[str, int]:
        """What the machine does next; a step INTENDED by a dead holder goes by its kind (A3, A4)."""
        if r.status == "compensating" or r.cancel:
            return self._decide_undo(r)
        if r.step == len(self.plan):
            return "complete", 0
        kind = self.plan[r.step]
        if kind == "W":
            return "consume" if r.event == 1 else "suspend", r.step
        if r.ledger[r.step] == "I":
            return {"U": "stop", "P": "probe"}.get(kind, "do"), r.step
        return "intent" if self.guards.intent else "do", r.step

    def _decide_undo(self, r: Record) -> tuple[str, int]:
        """A4. Last first; an unsafe step nobody knows about stops for a person."""
        for step in reversed(range(len(self.plan))):
            if self.plan[step] in "IUP" and r.ledger[step] in "DI?" and r.undone[step] != "D":
                return "stop" if self.plan[step] == "U" and r.ledger[step] != "D" else "undo", step
        return "compensate", 0

    def _settling(self, s: State, step: int) -> bool:
        """A3. A request sent under an older lease may still land."""
        sent = (step, "do") in s.calls or any((e.step, e.act, e.at) == (step, "do", "waiting") for e in s.executors)
        return sent and self.guards.settle and s.record.ledger[step] != "D"

    def _owns(self, e: Executor, r: Record) -> bool:
        """A1. The same owner, and the record is the one that the write was computed from."""
        same = e.owner == r.owner if self.guards.owner else e.fence == r.fence
        return not self.guards.check or (same and (e.ver == r.ver or not self.guards.version))

    def _intended(self, s: State, e: Executor, holder: Executor, r: Record) -> State:
        """A14. The intent of a non-pure tool waits for its barrier; V1: none is stored after an accepted cancel."""
        s = broken(s, "forward intent after a cancel") if r.cancel else s
        r = r._replace(ledger=put(r.ledger, holder.step, "I"))
        s = self._write(s, r, barrier=self.guards.intent_barrier and self.plan[holder.step] in "IUP")
        return moved(s, e, holder._replace(at="calling", act="do"))

    def _canonical(self, s: State) -> State:
        """Forget what no later move can read, so that states which differ only in that are one."""
        strict = s.budget.failover > 0
        r, old = s.record, s.synced if strict else s.record
        low = min(r.ver, old.ver)
        if strict or low or r.owner == NEW_OWNER or s.synced is not ABSENT:
            names = {old.owner: 2, r.owner: 1, 0: 0}
            executors = tuple(sorted(_renamed(e, names, low) if e.owner else e for e in s.executors))
            r, old = (x._replace(owner=names[x.owner], ver=x.ver - low) for x in (r, old))
            s = s._replace(record=r, synced=old if strict else ABSENT, executors=executors)
        if not s.budget.duplicate and any(entry[0] < r.segment for entry in s.published):
            kept = wanted(s)
            s = s._replace(published=frozenset(x for x in s.published if x[0] >= old.segment or x in kept))
        return s


def _renamed(e: Executor, names: dict[int, int], low: int) -> Executor:
    return e._replace(owner=names[e.owner], ver=e.ver - low) if e.owner in names else e._replace(owner=-1, ver=0)
