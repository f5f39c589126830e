"""What exists in the model: the guards of the protocol, the record in Redis, messages, executors, and everything at once."""

from typing import NamedTuple, TypeAlias, TypeVar

Entry: TypeAlias = tuple[int, ...]  # segment, epoch, nonce: one outbox entry, and its deduplication id; () is none
Call: TypeAlias = tuple[int, str]  # step, "do" | "undo": a request on the wire whose sender is dead
Effect: TypeAlias = tuple[int, int, int]  # what the tool did for one step: times done, whether it stands, tombstone


class Guards(NamedTuple):
    """One rule of protocol.md each: what it says, and what breaks when it is False."""

    check: bool = True  # A1 a write must carry the record's owner and ver; else a stale holder's result is stored
    owner: bool = True  # A1 the owner is random; else two holders share a fence number after a failover and both write
    version: bool = True  # A1 ver is compared too; else a living holder completes a record that forgot a step
    lease: bool = True  # A7 one holder at a time; else an unsafe step stops as UNKNOWN although nothing failed
    intent: bool = True  # A5 INTENDED is stored before the call; else it is made twice, or not undone
    flags: bool = True  # A2 a continuation is refused when a cancel came in; else forward work starts after it
    inbox: bool = True  # A2 suspend looks into the inbox; else it waits over an event that is there (due_unseen helps)
    wake: bool = True  # A2 a signal wakes an execution nobody holds; else it is not heard (due_unseen helps)
    due_unseen: bool = True  # A12 due is armed while the inbox is unseen; else a lost wake-up is lost for ever
    due: bool = True  # A12 due is armed for all that has not ended; else a dropped message is the end
    outbox: bool = True  # A13 a message is stored with the state that wants it; else a crash loses it (due helps)
    epoch: bool = True  # A9 a re-send has a higher epoch; else QStash swallows it (nonce helps)
    nonce: bool = True  # A9 every outbox entry has a nonce; else old ids come again after a failover (epoch helps)
    segment: bool = True  # A10 a message of an older segment is not run: spares loads, corrupts nothing
    terminal: bool = True  # A10 nothing is run after the end: spares loads, corrupts nothing
    tombstone: bool = True  # A3 undo is by effect key and bars a late request; else that lands afterwards (settle helps)
    settle: bool = True  # A3 probe and undo wait for late requests; else a probe's "no" comes true afterwards
    deadline: bool = True  # A3 no call after the own lease is over; else it meets the next holder's
    hint: bool = True  # §2.4 a refused publish is hinted over Ably: spares waiting (due helps)
    create_barrier: bool = True  # A14 strict: else a failover forgets a 202
    signal_barrier: bool = True  # A14 strict: else a failover forgets an accepted cancel or event
    intent_barrier: bool = True  # A14 strict: else a failover forgets what was called
    undo_barrier: bool = True  # A14 strict: else it forgets what was undone, and the step that failed may succeed now


class Budget(NamedTuple):
    """How many faults of each kind one run may still suffer."""

    crash: int = 0
    duplicate: int = 0
    drop: int = 0
    expire: int = 0  # the lease ends under a living holder
    refuse: int = 0  # QStash refuses a publish
    resend: int = 0  # the watchdog re-sends without need
    failover: int = 0  # Redis goes back to the last synced record


class Record(NamedTuple):
    """One execution as its partition holds it."""

    status: str = "absent"
    segment: int = 0
    epoch: int = 0
    step: int = 0
    ledger: str = ""  # per step: - nothing, I intended, D done, F failed, ? unknown
    undone: str = ""  # the same for the undo lane
    cancel: int = 0
    event: int = 0  # 1 arrived, 2 consumed
    outbox: frozenset[Entry] = frozenset()
    held: bool = False
    owner: int = 0
    ver: int = 0
    fence: int = 0  # counted only without random owners


class Message(NamedTuple):
    """One message in QStash."""

    entry: Entry
    retries: int = 1
    flying: int = 0  # deliveries not yet answered


class Executor(NamedTuple):
    """One invocation: where it is, what it decided, and what it knows of its ownership."""

    at: str = "idle"  # idle asked ready calling waiting answered left published
    act: str = ""  # do undo, and the scripts: intent probe consume suspend stop complete compensate
    step: int = 0
    owner: int = 0
    ver: int = 0
    fence: int = 0
    late: bool = False  # its own clock says that the lease is over
    segment: int = 0
    message: Entry = ()
    entry: Entry = ()


class State(NamedTuple):
    """Everything at one moment."""

    record: Record
    synced: Record  # what a failover would bring back
    executors: tuple[Executor, ...]
    world: tuple[Effect, ...]
    budget: Budget
    clients: tuple[str, ...]  # the signals still to come: cancel, event
    ingress: str = "new"  # new created published gone
    queue: tuple[Message, ...] = ()
    published: frozenset[Entry] = frozenset()  # the deduplication window of QStash
    relaying: Entry = ()  # published by the watchdog, not yet acked
    calls: tuple[Call, ...] = ()
    hints: frozenset[int] = frozenset()
    error: str = ""


Item = TypeVar("Item", Message, Executor, Call)

IDLE, ABSENT = Executor(), Record()
FIRST: Entry = (0, 0, 0)  # born with the execution


def unseen(r: Record) -> bool:
    """Whether the inbox holds something that nobody has acted upon."""
    return r.event == 1 or bool(r.cancel)


def spend(s: State, fault: str) -> State:
    """Use up one fault."""
    return s._replace(budget=s.budget._replace(**{fault: getattr(s.budget, fault) - 1}))


def broken(s: State, promise: str) -> State:
    """Name the first promise that broke; the search stops there."""
    return s._replace(error=s.error or promise)


def put(lane: str, step: int, mark: str) -> str:
    """Mark one step."""
    return lane[:step] + mark + lane[step + 1 :]


def swap(items: tuple[Item, ...], old: Item, *new: Item) -> tuple[Item, ...]:
    """Take one away and put others in; sorted, because order means nothing here."""
    rest = list(items)
    rest.remove(old)
    rest.extend(new)
    return tuple(sorted(rest))


def moved(s: State, e: Executor, after: Executor) -> State:
    """Let an executor be somewhere else."""
    return s._replace(executors=swap(s.executors, e, after))


def invoked(s: State, segment: int, message: Entry = ()) -> State:
    """An idle executor is asked to run a segment, by a message or by a hint."""
    return moved(s, IDLE, Executor("asked", segment=segment, message=message))


def delivered(s: State, m: Message) -> State:
    """QStash calls, and waits for the answer."""
    return invoked(s._replace(queue=swap(s.queue, m, m._replace(flying=m.flying + 1))), m.entry[0], m.entry)


def published(s: State, entry: Entry) -> State:
    """QStash takes one message for each deduplication id."""
    if entry in s.published:
        return s
    return s._replace(queue=tuple(sorted([*s.queue, Message(entry)])), published=s.published | {entry})


def acked(s: State, entry: Entry) -> State:
    """The relay's receipt: the entry leaves the outbox."""
    return s._replace(record=s.record._replace(outbox=s.record.outbox - {entry}))


def answered(s: State, e: Executor, *, ok: bool = True) -> State:
    """The answer: a 2xx removes the message, anything else burns a retry, and the last one leads to the DLQ."""
    for m in s.queue:
        if m.entry == e.message and m.flying:
            again = not ok and m.retries > 0
            left = (m._replace(retries=m.retries - again, flying=m.flying - 1),) if again or m.flying > 1 else ()
            s = s._replace(queue=swap(s.queue, m, *left))
    return moved(s, e, IDLE)


def crashed(s: State, e: Executor) -> State:
    """The invocation ends unanswered; a request on the wire stays there, and can still land."""
    calls = tuple(sorted([*s.calls, (e.step, e.act)])) if e.at == "waiting" else s.calls
    return answered(s._replace(calls=calls), e, ok=False)


def wanted(s: State) -> frozenset[Entry]:
    """The outbox entries that somebody may still publish."""
    held = {e.entry for e in s.executors} | {s.relaying} | ({FIRST} if s.ingress in ("created", "published") else set())
    return s.record.outbox | s.synced.outbox | held
