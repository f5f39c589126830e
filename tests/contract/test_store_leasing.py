"""Store, leasing: one writer at a time, and each refusal for its reason."""

import pytest

from shared.machine.decision import Changes
from shared.machine.status import Cell, Status
from shared.ports import Committed, Going, Lease, Lost, No, NoLease
from tests.support.executions import (
    ANN,
    BOB,
    DEAD,
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
    ended,
    execution_id,
    fault,
    intent,
    later,
    leased,
    leaves,
    letter,
    signalled,
    standing,
    starts,
    suspends,
)


async def test_a_lease_says_who_may_write_and_until_when(store: Clocked) -> None:
    """Fence and version rise with each lease; the store's clock says until when."""
    await created(store)
    lease = await leased(store)
    assert (lease.owner, lease.fence, lease.ver, lease.now_ms, lease.until_ms) == (ANN, 1, 1, NOW, NOW + LEASE_MS)
    assert lease.header.stalled == 1


async def test_only_one_holds_it(store: Clocked) -> None:
    """Everybody else is told how long the lease still lasts."""
    await created(store)
    await leased(store, owner=ANN)
    later(store, 1_000)
    assert await ask(store, owner=BOB) == NoLease(why=No.HELD, ms=LEASE_MS - 1_000)


async def test_its_own_owner_gets_it_again_unchanged(store: Clocked) -> None:
    """An acquire whose answer was lost is sent again: same lease, nothing raised, not a millisecond longer."""
    await created(store)
    first = await leased(store)
    later(store, 500)
    again = await leased(store)
    assert (again.fence, again.ver, again.until_ms, again.header) == (first.fence, first.ver, first.until_ms, first.header)


async def test_a_lapsed_lease_is_taken_over(store: Clocked) -> None:
    """The holder is dead or as good as dead: the next one gets a higher fence."""
    await created(store)
    first = await leased(store, owner=ANN)
    later(store, LEASE_MS)
    second = await leased(store, owner=BOB)
    assert second.fence == first.fence + 1
    assert second.ver > first.ver


async def test_a_lease_of_an_earlier_process_in_the_same_place_is_taken_over(store: Clocked) -> None:
    """That one is dead: only one can listen there. It writes nothing any more, should its command arrive late."""
    await created(store)
    first = await leased(store, owner="ab12.7.aaaa")
    later(store, 1_000)
    second = await leased(store, owner="ab12.10.bbbb")

    assert (second.fence, second.until_ms) == (first.fence + 1, NOW + 1_000 + LEASE_MS)
    assert await store.commit(first, ver=first.ver, seen=0, kept=done(), going=leaves()) == Lost()


@pytest.mark.parametrize("other", ["ab12.7.bbbb", "ab12.6.bbbb", "cd34.8.bbbb", "bbbb"])
async def test_a_lease_of_any_other_process_is_not(store: Clocked, other: str) -> None:
    """The same process, an earlier one whose command was late, one in another place, one that knows no place."""
    await created(store)
    await leased(store, owner="ab12.7.aaaa")
    assert await ask(store, owner=other) == NoLease(why=No.HELD, ms=LEASE_MS)


async def test_what_predecessors_in_the_same_place_hold_is_found(store: Clocked) -> None:
    """On every partition, and nothing that anybody else holds, or that nobody does."""
    holders = ["ab12.7.aaaa", "ab12.9.aaaa", "ab12.10.aaaa", "ab12.11.aaaa", "cd34.7.aaaa", "aaaa"]
    names = [execution_id(number, partition=pp) for number, pp in enumerate(("00", "0a", "0a", "0a", "0a", "3f"), 1)]
    for execution, owner in zip(names, holders, strict=True):
        await created(store, execution)
        await leased(store, execution, owner=owner)
    await created(store, execution_id(7))

    assert await left_behind(store) == names[:2]
    later(store, LEASE_MS - 1)
    assert await left_behind(store) == names[:2]
    later(store, 1)
    assert await left_behind(store) == [], "a lapsed lease is the sweep's"


async def test_what_is_left_behind_is_looked_for_among_the_latest_leases(store: Clocked) -> None:
    """So many of a partition, and those that would be waited for the longest."""
    names = [execution_id(number) for number in range(1, 5)]
    for execution in names:
        await created(store, execution)
        await leased(store, execution, owner="ab12.7.aaaa")
        later(store, 10)

    assert await left_behind(store, limit=2) == [names[3], names[2]]


async def test_what_sleeps_is_not_held_though_it_was(store: Clocked) -> None:
    """Its due time lies where those of leases may."""
    await created(store)
    lease = await leased(store, owner="ab12.7.aaaa")
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 5_000))
    assert await left_behind(store) == []


async def test_what_nothing_comes_of_is_left_to_others(store: Clocked) -> None:
    """It may be what the process dies of. With a result it is taken again."""
    await created(store)
    for number in (7, 8):
        await leased(store, owner=f"ab12.{number}.aaaa")
    assert await left_behind(store, stalled=2) == [EXE]
    third = await leased(store, owner="ab12.9.aaaa")
    assert third.header.stalled == 3
    assert await left_behind(store, stalled=2) == []
    await store.commit(third, ver=third.ver, seen=0, kept=done(), going=starts(1))
    assert await left_behind(store, stalled=2) == [EXE]


async def left_behind(store: Clocked, *, limit: int = 50, stalled: int = 2) -> list[str]:
    """By those before the tenth process in a place."""
    return await store.left_behind("ab12.10.", lease_ms=LEASE_MS, limit=limit, stalled=stalled)


async def test_a_lapsed_lease_is_a_new_one_for_its_owner_too(store: Clocked) -> None:
    """Nobody gets time for free."""
    await created(store)
    await leased(store)
    later(store, LEASE_MS)
    assert (await leased(store)).fence == 2


async def test_a_held_execution_is_due_when_its_lease_has_ended(store: Clocked) -> None:
    """A holder that dies is found half a second after its lease."""
    await created(store)
    await leased(store)
    later(store, LEASE_MS + 499)
    assert await store.overdue(PP, limit=9) == []
    later(store, 1)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_an_unknown_execution_is_absent(store: Clocked) -> None:
    """It is not invented."""
    assert await ask(store) == NoLease(why=No.ABSENT)


async def test_a_finished_execution_gives_no_lease(store: Clocked) -> None:
    """Terminal comes first: even for a stale message."""
    await created(store)
    await ended(store)
    assert await ask(store, segment=0) == NoLease(why=No.TERMINAL)


async def test_a_message_of_an_older_segment_is_stale(store: Clocked) -> None:
    """A duplicate never breeds a second chain; the current number, a later one and -1 are taken."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(), going=leaves())
    assert await ask(store, segment=0) == NoLease(why=No.STALE)
    for number, segment in enumerate((1, 2, -1)):
        assert isinstance(await ask(store, owner=f"{number}" * 32, segment=segment), Lease)
        later(store, LEASE_MS)


async def test_stale_is_said_before_held(store: Clocked) -> None:
    """A stale message must not be retried after the lease."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(), going=leaves())
    await leased(store, owner=BOB)
    assert await ask(store, segment=0) == NoLease(why=No.STALE)
    assert await ask(store, segment=0, owner=BOB) == NoLease(why=No.STALE)


async def test_a_paused_execution_waits_for_a_signal(store: Clocked) -> None:
    """Messages do not move it; an unseen signal does."""
    await created(store)
    lease = await leased(store)
    paused = Going(kind="suspend", changes=Changes(header=standing(lease, Status.PAUSED)), due_in_ms=86_400_000)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=paused)
    assert await ask(store) == NoLease(why=No.PAUSED)
    await signalled(store)
    assert isinstance(await ask(store), Lease)


async def test_a_sleeping_execution_is_not_due(store: Clocked) -> None:
    """Time alone ends this wait, and an early message is told how much is left."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 5_000))
    later(store, 1_000)
    assert await ask(store) == NoLease(why=No.NOT_DUE, ms=4_000)
    later(store, 4_000)
    assert isinstance(await ask(store), Lease)


async def test_an_execution_that_waits_for_somebody_is_waiting(store: Clocked) -> None:
    """Until a signal, or until somebody should be reminded."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 5_000, timed=False))
    assert await ask(store) == NoLease(why=No.WAITING)
    await signalled(store)
    woken = await leased(store)
    assert [(one.position, one.kind, one.payload) for one in woken.signals] == [(1, "event", {"of": "one"})]


async def test_waiting_is_said_before_held(store: Clocked) -> None:
    """Nothing can come of it, so nobody needs to come back after the lease."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 60_000, timed=False))
    await signalled(store)
    woken = await leased(store)
    await store.commit(woken, ver=woken.ver, seen=1, kept=Changes(seen=1), going=NONE)
    assert await ask(store, owner=BOB) == NoLease(why=No.WAITING)


async def test_a_wait_that_was_looked_at_too_early_is_due_at_its_end_again(store: Clocked) -> None:
    """A dead letter made it due at once; nothing came of it, and the watchdog does not send it again until it wakes."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 60_000))
    await store.bury(letter(), in_ms=0, line=DEAD)
    assert await store.overdue(PP, limit=9) == [EXE]
    assert await ask(store) == NoLease(why=No.NOT_DUE, ms=60_000)
    assert await store.overdue(PP, limit=9) == []
    later(store, 62_000)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_a_refused_lease_leaves_a_dead_holder_due(store: Clocked) -> None:
    """A holder inside a wait may die; its due time must not move to the end of that wait."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 3_600_000, timed=False))
    await signalled(store)
    woken = await leased(store)
    await store.commit(woken, ver=woken.ver, seen=1, kept=Changes(seen=1), going=NONE)
    await ask(store, owner=BOB)
    later(store, LEASE_MS + 500)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_a_lease_brings_intents_and_faults_of_busy_steps_only(store: Clocked) -> None:
    """What a dead owner left is needed to settle it; what is done is not."""
    await created(store, cells="rrr...")
    lease = await leased(store)
    begun = await store.begin(lease, ver=lease.ver, seen=0, kept=NOTHING, going=starts(0, 1, 2))
    assert isinstance(begun, Committed)
    failed = Changes(cells={1: Cell.BACKOFF, 0: Cell.DONE}, faults={1: fault()}, results=done().results)
    await store.commit(lease, ver=begun.ver, seen=0, kept=failed, going=NONE)
    later(store, LEASE_MS)
    taken = await leased(store, owner=BOB)
    assert taken.cells == b"dbi..."
    assert taken.intents == {1: intent("step 1"), 2: intent("step 2")}
    assert taken.faults == {1: fault()}
    assert taken.results == {}


async def test_a_segment_gets_the_results_that_the_one_before_named(store: Clocked) -> None:
    """With its first round trip; and the segment after that does not get them again."""
    await created(store, cells="rrr...")
    lease = await leased(store)
    both = Changes(results=done(0, {"table": 4}).results | done(1, "b").results)
    stored = await store.commit(lease, ver=lease.ver, seen=0, kept=both, going=leaves(need=(0, 2)))
    assert isinstance(stored, Committed)
    second = await leased(store)
    assert second.results == {0: {"table": 4}}
    await store.commit(second, ver=second.ver, seen=0, kept=NOTHING, going=suspends(second, wake_ms=NOW))
    assert (await leased(store)).results == {}


async def test_whoever_lost_the_lease_writes_nothing(store: Clocked) -> None:
    """A slow holder comes back after somebody took over: everything it decided is dropped."""
    await created(store)
    slow = await leased(store, owner=ANN)
    later(store, LEASE_MS)
    await leased(store, owner=BOB)
    assert await store.begin(slow, ver=slow.ver, seen=0, kept=NOTHING, going=starts(0)) == Lost()
    assert await store.commit(slow, ver=slow.ver, seen=0, kept=done(), going=leaves()) == Lost()
    assert await store.load_results(EXE, [0]) == {}
    assert (await leased(store, owner=BOB)).cells == b"r....."


async def test_a_lapsed_lease_still_writes_while_nobody_took_over(store: Clocked) -> None:
    """A late result is better than none; the version guards it."""
    await created(store)
    lease = await leased(store)
    later(store, LEASE_MS * 2)
    assert isinstance(await store.commit(lease, ver=lease.ver, seen=0, kept=done(), going=leaves()), Committed)


async def test_intents_are_there_for_whoever_comes_next(store: Clocked) -> None:
    """They are stored before the call: a crash leaves INTENDED behind."""
    await created(store)
    lease = await leased(store)
    await store.begin(lease, ver=lease.ver, seen=0, kept=NOTHING, going=starts(0))
    later(store, LEASE_MS)
    assert (await leased(store, owner=BOB)).intents == {0: intent("step 0")}
