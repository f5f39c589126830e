"""Builders: executions, changes and continuations with everything that a test does not care about filled in."""

from typing import Any, Protocol

import msgspec

from shared.dead_letters import letter_of, letter_of_execution
from shared.machine.decision import Changes, Line
from shared.machine.state import Fault, Header, Intent, Result
from shared.machine.status import Cell, Status
from shared.ports import Birth, Created, Entry, Going, Lease, Letter, NoLease, Refused, Store
from shared.quota import Allowance

NOW = 1_800_000_000_000
LEASE_MS = 11_000
RETENTION_MS = 7 * 86_400_000
ANN, BOB = "a" * 32, "b" * 32
PP = "0a"


class Clocked(Store, Protocol):
    """A store whose clock the test holds."""

    now_ms: int | None
    calls: dict[str, int]


def later(store: Clocked, ms: int) -> None:
    """Let `ms` pass."""
    store.now_ms = (store.now_ms or NOW) + ms


def execution_id(number: int = 1, *, partition: str = PP) -> str:
    """An execution's id; higher numbers are younger."""
    return f"exe_{partition}_{number:032x}"


EXE = execution_id()


def birth(
    execution: str = EXE,
    *,
    cells: str = "r.....",
    key: str = "",
    request: str = "request",
    status: Status = Status.EXECUTING,
    **other: Any,
) -> Birth:
    """A new execution of three steps."""
    header = Header(id=execution, tenant=other.pop("tenant", "acme"), plan="p" * 32, status=status, trace="trace")
    fields = other.pop("fields", {"user": "ann", "text": "book a table"})
    return Birth(
        header=header, plan=b"the plan", cells=cells, fields=fields, request_hash=request, idempotency_key=key, **other
    )


async def created(store: Store, execution: str = EXE, **what: Any) -> Entry:
    """Create it; its first entry."""
    answer = await store.create(birth(execution, **what))
    assert isinstance(answer, Created), answer
    assert answer.entry is not None
    return answer.entry


async def ask(store: Store, execution: str = EXE, *, owner: str = ANN, segment: int = -1) -> Lease | NoLease:
    """Ask for the lease."""
    return await store.acquire(execution, owner=owner, lease_ms=LEASE_MS, segment=segment, cause="test")


async def leased(store: Store, execution: str = EXE, *, owner: str = ANN) -> Lease:
    """The lease, which must be free."""
    answer = await ask(store, execution, owner=owner)
    assert isinstance(answer, Lease), answer
    return answer


def standing(lease: Lease, status: Status, **other: Any) -> Header:
    """The lease's header in another status."""
    return msgspec.structs.replace(lease.header, status=status, **other)


def intent(name: str = "a", **other: Any) -> Intent:
    """An intent."""
    facts: dict[str, Any] = {
        "attempt": 1,
        "args": {"name": name},
        "at_ms": NOW,
        "sent_by_ms": NOW + 9_000,
        "settle_at_ms": NOW + 24_000,
    }
    return Intent(key=f"{EXE}.{name}.1", args_hash="h" * 32, **(facts | other))


def result(output: Any = "done", *, ended_ms: int = NOW + 5) -> Result:
    """A result."""
    return Result(output=output, attempt=1, started_ms=NOW, ended_ms=ended_ms)


def fault(**other: Any) -> Fault:
    """A fault that is tried again."""
    facts: dict[str, Any] = {"attempt": 1, "code": "busy", "message": "try later", "at_ms": NOW, "retry_at_ms": NOW + 500}
    return Fault(**(facts | other))


def done(cell: int = 0, output: Any = "done", *, ended_ms: int = NOW + 5) -> Changes:
    """A step is done."""
    return Changes(
        cells={cell: Cell.DONE},
        results={cell: result(output, ended_ms=ended_ms)},
        history=[Line(event="step.done", step=f"step {cell}")],
        progress=True,
    )


def intends(*cells: int) -> Changes:
    """Steps are about to be called."""
    return Changes(cells=dict.fromkeys(cells, Cell.INTENDED), intents={cell: intent(f"step {cell}") for cell in cells})


ALLOWANCE = Allowance(units=12, floor=3, tail=5)
"""Enough for one message with its tail, and three without."""

NOTHING = Changes()
NONE = Going(kind="none")


def starts(*cells: int) -> Going:
    """Go on by calling these."""
    return Going(kind="intents", changes=intends(*cells))


def leaves(**other: Any) -> Going:
    """Go on in the next segment."""
    return Going(kind="leave", message=True, reason="continued", **other)


def suspends(lease: Lease, *, wake_ms: int, timed: bool = True, **other: Any) -> Going:
    """Wait until `wake_ms`, or for a signal."""
    return Going(
        kind="suspend",
        changes=Changes(header=standing(lease, Status.SUSPENDED)),
        due_in_ms=max(0, wake_ms - lease.now_ms),
        wake_ms=wake_ms,
        timed=timed,
        message=timed,
        reason="back-off",
        not_before_ms=wake_ms if timed else 0,
        **other,
    )


def ends(lease: Lease, status: Status = Status.COMPLETED) -> Going:
    """The end."""
    return Going(kind="end", changes=Changes(header=standing(lease, status), history=[Line(event="execution.ended")]))


async def ended(store: Store, execution: str = EXE, *, status: Status = Status.COMPLETED) -> Lease:
    """Run it to its end; the lease it ran under."""
    lease = await leased(store, execution)
    await store.commit(lease, ver=lease.ver, seen=lease.seen, kept=NOTHING, going=ends(lease, status))
    return lease


async def signalled(store: Store, sid: str = "one", *, execution: str = EXE, kind: str = "event") -> Entry | None:
    """Put a signal into the inbox, which must take it; the entry that wakes it."""
    answer = await store.signal(execution, tenant="acme", sid=sid, kind=kind, payload={"of": sid})
    assert hasattr(answer, "entry"), answer
    return answer.entry


def letter(execution: str = EXE, *, segment: int = 0, mark: str = "msg_1/dlq_1", **other: Any) -> Letter:
    """A dead message, as the failure callback tells of it."""
    facts: dict[str, Any] = {"message": mark.partition("/")[0], "dlq": "dlq_1", "status": 500, "retried": 3, "excerpt": "oops"}
    name = letter_of(execution, segment)
    return Letter(id=name, execution=execution, kind="message", segment=segment, marks=(mark,), **(facts | other))


def stuck(execution: str = EXE, *, segment: int = 0) -> Letter:
    """An execution that nothing comes of."""
    name, mark = letter_of_execution(execution), f"segment {segment}"
    return Letter(id=name, execution=execution, kind="execution", segment=segment, marks=(mark,))


DEAD = Line(event="message.dead", detail={"id": "msg_1"})


async def buried(store: Store, found: Letter | None = None, *, in_ms: int = 500) -> None:
    """List a dead message, which must be taken."""
    assert await store.bury(found or letter(), in_ms=in_ms, line=DEAD) is not None


def put_off(entry: Entry, ms: int = 60_000, *, away: bool = False) -> Refused:
    """It could not be sent."""
    return Refused(entry=entry, again_ms=ms, away=away, queue="QStash is away: 503", channel="Ably is away: too")
