"""Store, committing: results first, the continuation only if nothing arrived meanwhile, the same commit twice is one."""

import msgspec
import pytest

from shared.machine.decision import Changes, Line
from shared.machine.state import Result
from shared.machine.status import Cell, Status
from shared.ports import Committed, Flags, Going, Lease, Lost, No, NoLease
from tests.support.executions import (
    ANN,
    BOB,
    EXE,
    LEASE_MS,
    NONE,
    NOTHING,
    NOW,
    PP,
    Clocked,
    ask,
    created,
    done,
    ends,
    execution_id,
    later,
    leased,
    leaves,
    result,
    signalled,
    standing,
    starts,
    suspends,
)


async def begun(store: Clocked) -> Lease:
    """A leased execution of three steps, the first about to be called; the lease with its version."""
    await created(store, cells="rr....")
    lease = await leased(store)
    answer = await store.begin(lease, ver=lease.ver, seen=0, kept=NOTHING, going=starts(0))
    assert isinstance(answer, Committed)
    return msgspec.structs.replace(lease, ver=answer.ver)


async def test_each_commit_raises_the_version(store: Clocked) -> None:
    """The next one must be computed from this one."""
    lease = await begun(store)
    first = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=starts(1))
    assert first == Committed(ver=lease.ver + 1)
    assert isinstance(await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(1), going=NONE), Committed)


async def test_a_commit_from_another_version_is_lost(store: Clocked) -> None:
    """After a failover the record may be older or newer than what its holder knows."""
    lease = await begun(store)
    for ver in (lease.ver - 2, lease.ver + 1):
        assert await store.commit(lease, ver=ver, seen=0, kept=done(0), going=NONE) == Lost()
    assert await store.load_results(EXE, [0]) == {}


async def test_a_commit_to_an_unknown_execution_is_lost(store: Clocked) -> None:
    """A failover may have forgotten it altogether."""
    lease = await begun(store)
    header = msgspec.structs.replace(lease.header, id=execution_id(2))
    stranger = msgspec.structs.replace(lease, header=header)
    assert await store.commit(stranger, ver=lease.ver, seen=0, kept=done(0), going=leaves()) == Lost()
    assert await store.load_plan(execution_id(2)) is None


@pytest.mark.parametrize(
    "going", [NONE, starts(1), leaves(), leaves(not_before_ms=NOW + 9)], ids=["none", "intents", "leave", "later"]
)
async def test_the_same_commit_again_gets_the_same_answer(store: Clocked, going: Going) -> None:
    """The client re-sends after a lost reply: stored once, queued once."""
    lease = await begun(store)
    first = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=going)
    later(store, 3_000)
    assert await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=going) == first
    queued = [entry for entry in await store.relay_claim(PP, limit=9, claim_ms=1) if entry.reason == "continued"]
    assert queued == ([first.entry] if isinstance(first, Committed) and first.entry else [])


async def test_a_repeated_commit_answers_what_the_first_did_after_a_takeover(store: Clocked) -> None:
    """It was stored, but the version is not the new owner's: the next commit with it is lost."""
    lease = await begun(store)
    first = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=starts(1))
    later(store, LEASE_MS)
    taken = await leased(store, owner=BOB)
    again = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=starts(1))
    assert again == first == Committed(ver=lease.ver + 1)
    assert taken.ver == lease.ver + 2
    assert await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(1), going=NONE) == Lost()


async def test_a_result_is_never_overwritten(store: Clocked) -> None:
    """The first answer stands, with its time."""
    lease = await begun(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0, "first", ended_ms=NOW + 1), going=NONE)
    await store.commit(lease, ver=lease.ver + 1, seen=0, kept=done(0, "second", ended_ms=NOW + 2), going=NONE)
    assert await store.load_results(EXE, [0, 1]) == {0: "first"}
    assert await store.load_order(EXE, [0, 1]) == {0: NOW + 1}


@pytest.mark.parametrize("output", [None, 0, "", "Zoë", {"a": [1, 2.5, {"b": None}]}, [], True, 2**53], ids=repr)
async def test_an_output_comes_back_as_it_was(store: Clocked, output: object) -> None:
    """Every JSON value; None too is a result."""
    lease = await begun(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0, output), going=NONE)
    assert await store.load_results(EXE, [0]) == {0: output}


async def test_what_is_no_json_is_refused_and_changes_nothing(store: Clocked) -> None:
    """It is not stored half."""
    lease = await begun(store)
    bad = Changes(cells={0: Cell.DONE}, results={0: Result(output=object(), attempt=1, started_ms=1, ended_ms=1)})
    with pytest.raises(TypeError):
        await store.commit(lease, ver=lease.ver, seen=0, kept=bad, going=NONE)
    assert (await leased(store)).cells == b"ir...."


async def test_nothing_asked_for_is_nothing_loaded(store: Clocked) -> None:
    """And of an unknown execution there is nothing."""
    await begun(store)
    assert await store.load_results(EXE, []) == {}
    assert await store.load_results(execution_id(9), [0]) == {}
    assert await store.load_order(execution_id(9), [0]) == {}
    assert await store.load_plan(execution_id(9)) is None


async def test_leaving_ends_the_lease_and_queues_the_next_segment(store: Clocked) -> None:
    """The segment's number rises here, so that a redelivery after a crash still runs."""
    lease = await begun(store)
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    assert isinstance(answer, Committed)
    assert answer.entry is not None
    assert (answer.entry.segment, answer.entry.reason, answer.entry.trace) == (1, "continued", "trace")
    after = await leased(store, owner=BOB)
    assert after.header.segment == 1
    assert after.fence == lease.fence + 1


async def test_whoever_left_writes_nothing_more(store: Clocked) -> None:
    """The owner is gone with the commit."""
    lease = await begun(store)
    left = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    assert isinstance(left, Committed)
    assert await store.commit(lease, ver=left.ver, seen=0, kept=done(1), going=NONE) == Lost()


async def test_a_delayed_continuation_is_due_after_its_delay(store: Clocked) -> None:
    """The watchdog gives the message its time."""
    lease = await begun(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves(due_in_ms=5_000, not_before_ms=NOW + 5_000))
    later(store, 6_999)
    assert await store.overdue(PP, limit=9) == []
    later(store, 1)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_a_timed_wait_queues_a_delayed_message(store: Clocked) -> None:
    """Its message comes when the wait ends."""
    lease = await begun(store)
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 60_000))
    assert isinstance(answer, Committed)
    assert answer.entry is not None
    assert answer.entry.not_before_ms == NOW + 60_000


async def test_a_wait_for_somebody_queues_nothing(store: Clocked) -> None:
    """A signal brings its own message; the watchdog looks when somebody should be reminded."""
    lease = await begun(store)
    going = suspends(lease, wake_ms=NOW + 60_000, timed=False)
    assert await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going) == Committed(ver=lease.ver + 1)
    later(store, 61_999)
    assert await store.overdue(PP, limit=9) == []
    later(store, 1)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_progress_ends_the_count_of_fruitless_segments(store: Clocked) -> None:
    """Three takeovers, then something came of one."""
    lease = await begun(store)
    for number in range(3):
        later(store, LEASE_MS)
        lease = await leased(store, owner=f"{number}" * 32)
    assert lease.header.stalled == 4
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    assert (await leased(store)).header.stalled == 1


async def test_no_progress_no_reset(store: Clocked) -> None:
    """A segment that only recorded intents is fruitless so far."""
    await begun(store)
    later(store, LEASE_MS)
    assert (await leased(store, owner=BOB)).header.stalled == 2


async def test_a_header_write_leaves_identity_alone(store: Clocked) -> None:
    """The machine moves the status; segment, deadline and tenant are the store's."""
    lease = await begun(store)
    header = standing(lease, Status.COMPENSATING, tenant="globex", segment=9, created_ms=1, deadline_ms=1, stalled=7, trace="x")
    await store.commit(lease, ver=lease.ver, seen=0, kept=Changes(header=header), going=leaves())
    after = (await leased(store)).header
    assert after.status is Status.COMPENSATING
    assert (after.tenant, after.segment, after.created_ms, after.deadline_ms, after.stalled) == ("acme", 1, NOW, 0, 2)
    assert after.trace == "trace"


# signals that arrive meanwhile


async def test_a_signal_stops_the_continuation_and_not_the_results(store: Clocked) -> None:
    """No new intent after an accepted cancel; what was done is done."""
    lease = await begun(store)
    await signalled(store, kind="cancel")
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=starts(1))
    assert isinstance(answer, Flags)
    assert answer.ver == lease.ver + 1
    assert [(one.position, one.kind) for one in answer.signals] == [(1, "cancel")]
    assert await store.load_results(EXE, [0]) == {0: "done"}
    assert (await leased(store)).cells == b"dr...."


@pytest.mark.parametrize("kind", ["leave", "suspend", "end"])
async def test_nothing_is_left_waited_for_or_ended_over_a_signal(store: Clocked, kind: str) -> None:
    """It would not be found until much later, or never."""
    lease = await begun(store)
    await signalled(store)
    going = {"leave": leaves(), "suspend": suspends(lease, wake_ms=NOW + 60_000), "end": ends(lease)}[kind]
    assert isinstance(await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=going), Flags)
    same = await leased(store)
    assert (same.header.status, same.header.segment, same.fence) == (Status.EXECUTING, 0, lease.fence)
    assert await store.retire_page(PP, owner=ANN, limit=9) == []


async def test_a_commit_without_continuation_does_not_look_into_the_inbox(store: Clocked) -> None:
    """There is nothing that a signal could stop."""
    lease = await begun(store)
    await signalled(store)
    assert await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=NONE) == Committed(ver=lease.ver + 1)


async def test_a_seen_signal_stops_nothing(store: Clocked) -> None:
    """And is not brought again with the next lease."""
    lease = await begun(store)
    await signalled(store)
    await store.commit(lease, ver=lease.ver, seen=1, kept=Changes(seen=1), going=leaves())
    after = await leased(store)
    assert (after.seen, after.signals) == (1, ())


async def test_refused_with_nothing_to_keep_nothing_is_written(store: Clocked) -> None:
    """The version stands, so the segment decides again and commits from the same one."""
    await created(store)
    lease = await leased(store)
    await signalled(store)
    refused = await store.begin(lease, ver=lease.ver, seen=0, kept=NOTHING, going=starts(0))
    assert isinstance(refused, Flags)
    assert refused.ver == lease.ver
    again = await store.begin(lease, ver=lease.ver, seen=1, kept=Changes(seen=1), going=starts(0))
    assert again == Committed(ver=lease.ver + 1)


async def test_what_was_seen_is_kept_when_more_has_arrived(store: Clocked) -> None:
    """That the first signal was dealt with is worth storing; the second is brought, and only that."""
    await created(store)
    for sid in ("one", "two"):
        await signalled(store, sid)
    lease = await leased(store)
    answer = await store.commit(lease, ver=lease.ver, seen=1, kept=Changes(seen=1), going=leaves())
    assert isinstance(answer, Flags)
    assert answer.ver == lease.ver + 1
    assert [one.position for one in answer.signals] == [2]
    assert (await leased(store)).seen == 1


async def test_a_refused_commit_again_is_refused_with_all_that_arrived(store: Clocked) -> None:
    """The first answer, plus what came since."""
    lease = await begun(store)
    await signalled(store, "one")
    first = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    await signalled(store, "two")
    again = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    assert isinstance(first, Flags)
    assert isinstance(again, Flags)
    assert again.ver == first.ver
    assert [one.position for one in again.signals] == [1, 2]


# the end


async def test_an_ended_execution_is_never_due(store: Clocked) -> None:
    """And no message is queued for it."""
    lease = await begun(store)
    assert await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=ends(lease)) == Committed(ver=lease.ver + 1)
    later(store, 30 * 86_400_000)
    assert await store.overdue_everywhere(limit=9) == []
    assert await ask(store) == NoLease(why=No.TERMINAL)


async def test_the_last_results_can_still_be_read(store: Clocked) -> None:
    """Ending deletes nothing."""
    lease = await begun(store)
    kept = Changes(results={0: result("last")}, history=[Line(event="step.done")])
    await store.commit(lease, ver=lease.ver, seen=0, kept=kept, going=ends(lease, Status.FAILED))
    assert await store.load_results(EXE, [0]) == {0: "last"}
    assert await store.load_plan(EXE) == b"the plan"
