"""Store, after the end: reopened by a person who saw what there is, or deleted when its retention is over."""

import pytest

from shared.machine.decision import Changes, Line
from shared.machine.status import Status
from shared.ports import RETIRING_MS, Created, Heard, Hinted, Lost, No, NoLease, NotAccepted, Reopened
from tests.support.executions import (
    ANN,
    BOB,
    EXE,
    LEASE_MS,
    NONE,
    NOTHING,
    NOW,
    PP,
    RETENTION_MS,
    Clocked,
    ask,
    birth,
    created,
    done,
    ended,
    ends,
    execution_id,
    later,
    leased,
    leaves,
    signalled,
    standing,
)

FAILED = frozenset({Status.FAILED})


async def failed(store: Clocked) -> Changes:
    """A failed execution; the changes that let it run again."""
    await created(store)
    lease = await ended(store, status=Status.FAILED)
    return Changes(header=standing(lease, Status.EXECUTING), history=[Line(event="execution.reopened")])


async def test_a_reopened_execution_runs_again(store: Clocked) -> None:
    """Its message is queued, it is due, and it is not to be deleted any more."""
    changes = await failed(store)
    answer = await store.reopen(EXE, tenant="acme", ver=2, origins=FAILED, changes=changes)
    assert isinstance(answer, Reopened)
    assert (answer.ver, answer.entry.segment, answer.entry.reason, answer.entry.trace) == (3, 1, "reopened", "trace")
    later(store, 2_000)
    assert await store.overdue(PP, limit=9) == [EXE]
    assert answer.entry in await store.relay_claim(PP, limit=9, claim_ms=1)
    lease = await leased(store)
    assert (lease.header.status, lease.header.stalled, lease.fence) == (Status.EXECUTING, 1, 3)
    later(store, RETENTION_MS)
    assert await store.retire_page(PP, owner=ANN, limit=9) == []
    assert not await store.purge(EXE)


async def test_nobody_reopens_blindly(store: Clocked) -> None:
    """The version must be the one that the person saw: of two operators one wins."""
    changes = await failed(store)
    for ver in (1, 3):
        assert await store.reopen(EXE, tenant="acme", ver=ver, origins=FAILED, changes=changes) == NotAccepted(why="conflict")
    assert isinstance(await store.reopen(EXE, tenant="acme", ver=2, origins=FAILED, changes=changes), Reopened)
    assert await store.reopen(EXE, tenant="acme", ver=2, origins=FAILED, changes=changes) == NotAccepted(why="conflict")


async def test_only_the_named_statuses_are_left(store: Clocked) -> None:
    """A completed execution is not retried."""
    changes = await failed(store)
    origins = frozenset({Status.COMPLETED, Status.COMPENSATION_FAILED})
    assert await store.reopen(EXE, tenant="acme", ver=2, origins=origins, changes=changes) == NotAccepted(why="illegal")
    assert await ask(store) == NoLease(why=No.TERMINAL)


@pytest.mark.parametrize(("tenant", "execution"), [("globex", EXE), ("acme", execution_id(9))], ids=["tenant", "unknown"])
async def test_another_tenants_execution_is_not_reopened(store: Clocked, tenant: str, execution: str) -> None:
    """It is as good as none."""
    changes = await failed(store)
    answer = await store.reopen(execution, tenant=tenant, ver=2, origins=FAILED, changes=changes)
    assert answer == NotAccepted(why="absent")


async def test_reopening_kills_the_writes_of_whoever_still_runs(store: Clocked) -> None:
    """Owner and version are gone with it."""
    changes = await failed(store)
    await store.reopen(EXE, tenant="acme", ver=2, origins=FAILED, changes=changes)
    lease = await leased(store)
    running = frozenset({Status.EXECUTING})
    assert isinstance(await store.reopen(EXE, tenant="acme", ver=lease.ver, origins=running, changes=NOTHING), Reopened)
    assert await store.commit(lease, ver=lease.ver, seen=0, kept=done(), going=leaves()) == Lost()
    assert await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(), going=leaves()) == Lost()
    assert (await leased(store, owner=BOB)).fence == lease.fence + 2


# retention


async def test_a_finished_execution_is_kept_for_the_retention_time(store: Clocked) -> None:
    """Until then it is neither offered nor deleted."""
    await created(store)
    await ended(store)
    later(store, RETENTION_MS - 1)
    assert await store.retire_page(PP, owner=ANN, limit=9) == []
    assert not await store.purge(EXE)
    assert await store.load_plan(EXE) == b"the plan"


async def test_after_that_it_can_be_deleted_once(store: Clocked) -> None:
    """Nothing of it is left; deleting it again says so."""
    await created(store)
    await signalled(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=1, kept=done(), going=ends(lease))
    later(store, RETENTION_MS)
    assert await store.retire_page(PP, owner=ANN, limit=9) == [EXE]
    assert await store.purge(EXE)
    assert not await store.purge(EXE)
    assert await store.retire_page(PP, owner=ANN, limit=9) == []
    assert await ask(store) == NoLease(why=No.ABSENT)
    assert await store.load_plan(EXE) is None
    assert await store.load_results(EXE, [0]) == {}


async def test_a_deleted_id_may_be_used_again(store: Clocked) -> None:
    """Nothing of the old one shines through."""
    await created(store)
    await signalled(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=1, kept=done(), going=ends(lease))
    later(store, RETENTION_MS)
    await store.purge(EXE)
    assert isinstance(await store.create(birth()), Created)
    again = await leased(store)
    assert (again.cells, again.signals, again.seen, again.ver) == (b"r.....", (), 0, 1)


async def test_a_running_execution_is_never_deleted(store: Clocked) -> None:
    """However old it is."""
    await created(store)
    later(store, 10 * RETENTION_MS)
    assert not await store.purge(EXE)
    await leased(store)
    assert not await store.purge(EXE)
    later(store, LEASE_MS)
    assert (await leased(store)).cells == b"r....."


async def test_an_unknown_execution_is_not_deleted(store: Clocked) -> None:
    """There is nothing to delete."""
    assert not await store.purge(EXE)


async def test_the_longest_finished_go_first(store: Clocked) -> None:
    """A page at a time, of one partition."""
    for number in (2, 3, 1):
        await created(store, execution_id(number))
        await ended(store, execution_id(number))
        later(store, 10)
    await created(store, execution_id(4))
    later(store, RETENTION_MS)
    assert await store.retire_page(PP, owner=ANN, limit=2) == [execution_id(2), execution_id(3)]
    assert await store.retire_page(PP, owner=ANN, limit=9) == [execution_id(2), execution_id(3), execution_id(1)]
    assert await store.retire_page("3f", owner=ANN, limit=9) == []


async def test_two_archivers_are_at_different_partitions(store: Clocked) -> None:
    """The second gets nothing of what the first was given, until that one finds nothing more, or is away for a while."""
    other = execution_id(partition="0b")
    for execution in (EXE, other):
        await created(store, execution)
        await ended(store, execution)
    later(store, RETENTION_MS)
    assert await store.retire_page(PP, owner=ANN, limit=9) == [EXE]
    assert await store.retire_page(PP, owner=BOB, limit=9) == []
    assert await store.retire_page("0b", owner=BOB, limit=9) == [other]
    later(store, RETIRING_MS - 1)
    assert await store.retire_page(PP, owner=BOB, limit=9) == []
    later(store, 1)
    assert await store.retire_page(PP, owner=BOB, limit=9) == [EXE]
    assert await store.purge(EXE)
    assert await store.retire_page(PP, owner=BOB, limit=9) == []
    await created(store, execution_id(2))
    await ended(store, execution_id(2))
    later(store, RETENTION_MS)
    assert await store.retire_page(PP, owner=ANN, limit=9) == [execution_id(2)]


async def test_what_is_said_of_a_deleted_execution_harms_nobody(store: Clocked) -> None:
    """A late commit, signal, acknowledgement or hint finds nothing and makes nothing."""
    entry = await created(store)
    lease = await ended(store)
    later(store, RETENTION_MS)
    await store.purge(EXE)
    await store.relay_ack([(entry, "msg_1")])
    assert await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(), going=NONE) == Lost()
    assert await store.hint(EXE) == Hinted(heard=Heard.ABSENT)
    assert await store.signal(EXE, tenant="acme", sid="x", kind="event", payload=None) == NotAccepted(why="absent")
    assert await store.resend(EXE, base_ms=1, most_ms=1) is None
    assert await ask(store) == NoLease(why=No.ABSENT)
    later(store, NOW)
    assert await store.overdue_everywhere(limit=9) == []
