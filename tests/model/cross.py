"""Two partitions (A13): one script touches one of them, so whatever concerns two goes through an outbox, at least once."""

from collections.abc import Iterator
from typing import NamedTuple

FAIR, UNFAIR = True, False


class Wait(NamedTuple):
    """A wait on the execution's partition, and the events stored under its key on another."""

    subscribe: str = ""  # the entry of the wait: queued, or inline (no outbox), read (half done), sent, acked
    delivery: str = ""  # the entry of a match: queued, or inline, sent, acked
    stored: bool = False
    waiter: bool = False
    inbox: bool = False
    crashes: int = 2


class EventByKey:
    """Subscribe and publish meet on the event's partition, in any order."""

    def __init__(self, *, atomic: bool = True, subscribe_outbox: bool = True, delivery_outbox: bool = True) -> None:
        self.atomic = atomic
        self.subscribes, self.delivers = ("queued" if kept else "inline" for kept in (subscribe_outbox, delivery_outbox))

    def start(self) -> Wait:
        """No wait, no event."""
        return Wait()

    def wrong(self, _: Wait) -> str:
        """Only a lost event is wrong, and that is a state which cannot come to rest."""
        return ""

    def accepting(self, w: Wait) -> bool:
        """The event has reached the execution."""
        return w.inbox

    def moves(self, w: Wait) -> Iterator[tuple[str, Wait, bool]]:
        """The wait, the event, and the two relays."""
        if not w.subscribe:
            yield "register wait", w._replace(subscribe=self.subscribes), FAIR
        if not w.stored:
            yield "store event", w._replace(stored=True, delivery=self.delivers if w.waiter else w.delivery), FAIR
        yield from self._subscribe(w)
        yield from self._deliver(w)

    def _subscribe(self, w: Wait) -> Iterator[tuple[str, Wait, bool]]:
        """Add the waiter and return the stored matches in one script; else an event between the two is lost."""
        after = "acked" if w.subscribe == "inline" else "sent"
        matched = w._replace(delivery="queued") if w.stored else w
        if w.subscribe in ("queued", "inline") and self.atomic:
            yield "subscribe", matched._replace(subscribe=after, waiter=True), FAIR
        elif w.subscribe in ("queued", "inline"):
            yield f"subscribe reads {'an event' if w.stored else 'nothing'}", matched._replace(subscribe="read"), FAIR
        elif w.subscribe == "read":
            yield "subscribe adds waiter", w._replace(subscribe="sent", waiter=True), FAIR
        elif w.subscribe == "sent":
            yield "subscribe acked", w._replace(subscribe="acked"), FAIR
        if w.crashes and w.subscribe in ("inline", "read", "sent"):
            lost = "acked" if w.subscribe == "inline" else "queued"
            yield "crash before subscribe is acked", w._replace(subscribe=lost, crashes=w.crashes - 1), UNFAIR

    def _deliver(self, w: Wait) -> Iterator[tuple[str, Wait, bool]]:
        """The match goes to the execution as a signal; without an outbox a crash loses it."""
        if w.delivery in ("queued", "inline"):
            yield "deliver signal", w._replace(delivery="sent" if w.delivery == "queued" else "acked", inbox=True), FAIR
        elif w.delivery == "sent":
            yield "delivery acked", w._replace(delivery="acked"), FAIR
        if w.crashes and w.delivery in ("inline", "sent"):
            lost = "acked" if w.delivery == "inline" else "queued"
            yield "crash before delivery is acked", w._replace(delivery=lost, crashes=w.crashes - 1), UNFAIR


class Family(NamedTuple):
    """The parent's outbox entries, and the child on its own partition."""

    create: str = "queued"  # queued sent acked
    cancel: str = ""  # the same, once the parent is cancelled
    child: str = "absent"  # tombstone running cancelled done
    told: bool = False  # the child's end has reached the parent as a signal
    crashes: int = 2


class Child:
    """Create and cancel travel apart, and either may arrive first."""

    def __init__(self, *, tombstone: bool = True) -> None:
        self.on_create = {"absent": "running", "tombstone": "cancelled"}
        self.on_cancel = {"running": "cancelled", "absent": "tombstone" if tombstone else "absent"}

    def start(self) -> Family:
        """The parent has committed its step and the entry that creates the child."""
        return Family()

    def wrong(self, f: Family) -> str:
        """No child outlives the cancel of its parent."""
        outlives = f.child == "running" and f.create == f.cancel == "acked"
        return "running child of a cancelled parent" if outlives else ""

    def accepting(self, f: Family) -> bool:
        """The child has ended and the parent knows."""
        return f.told

    def moves(self, f: Family) -> Iterator[tuple[str, Family, bool]]:
        """The parent's cancel, the child's end, and the relay of each entry."""
        if not f.cancel:
            yield "cancel parent", f._replace(cancel="queued"), UNFAIR
        if f.child == "running":
            yield "child completes", f._replace(child="done", told=True), FAIR
        if f.create == "queued":
            yield "relay create", self._became(f, self.on_create)._replace(create="sent"), FAIR
        elif f.create == "sent":
            yield "create acked", f._replace(create="acked"), FAIR
        if f.cancel == "queued":
            yield "relay cancel", self._became(f, self.on_cancel)._replace(cancel="sent"), FAIR
        elif f.cancel == "sent":
            yield "cancel acked", f._replace(cancel="acked"), FAIR
        for entry in ("create", "cancel") if f.crashes else ():
            if getattr(f, entry) == "sent":
                yield f"relay crashes before {entry} is acked", _requeued(f, entry), UNFAIR

    def _became(self, f: Family, on: dict[str, str]) -> Family:
        child = on.get(f.child, f.child)
        return f._replace(child=child, told=f.told or child == "cancelled")


def _requeued(f: Family, entry: str) -> Family:
    after = f._replace(create="queued") if entry == "create" else f._replace(cancel="queued")
    return after._replace(crashes=f.crashes - 1)
