"""Store, watching: who acts on an execution learns with what it does anyway whether somebody is told of its progress."""

import pytest

from shared.ports import Committed, Lease, NoLease
from tests.support.executions import EXE, NONE, NOTHING, Clocked, ask, created, done, ended, execution_id, later, leased, leaves


async def test_nobody_watches_until_somebody_does(store: Clocked) -> None:
    """A lease says so, and a commit."""
    await created(store)
    lease = await leased(store)
    committed = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=NONE)
    assert isinstance(committed, Committed)
    assert (lease.watched, committed.watched) == (False, False)


async def test_a_watch_that_begins_in_the_middle_of_a_segment_is_seen_by_its_next_commit(store: Clocked) -> None:
    """Also when that is sent twice, and when it ends the segment."""
    await created(store)
    lease = await leased(store)
    assert await store.watch(EXE, tenant="acme", for_ms=60_000) is not None
    first = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=NONE)
    again = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=NONE)
    left = await store.commit(lease, ver=lease.ver + 1, seen=0, kept=NOTHING, going=leaves())
    for one in (first, again, left):
        assert isinstance(one, Committed)
        assert one.watched
    assert (await leased(store)).watched


async def test_a_watch_ends_with_its_time(store: Clocked) -> None:
    """At that millisecond."""
    await created(store)
    await store.watch(EXE, tenant="acme", for_ms=1_000)
    later(store, 1_000)
    assert not (await leased(store)).watched


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "not watched"])
async def test_a_message_for_what_is_over_says_whether_anybody_watches(store: Clocked, *, watched: bool) -> None:
    """Who ended it may have died before that was told."""
    await created(store)
    if watched:
        await store.watch(EXE, tenant="acme", for_ms=60_000)
    await ended(store)
    answer = await ask(store)
    assert isinstance(answer, NoLease)
    assert answer.watched is watched


async def test_a_longer_watch_wins(store: Clocked) -> None:
    """Whoever asks for less takes nothing from another."""
    await created(store)
    long = await store.watch(EXE, tenant="acme", for_ms=60_000)
    assert await store.watch(EXE, tenant="acme", for_ms=1_000) == long


async def test_only_ones_own_execution_can_be_watched(store: Clocked) -> None:
    """Another tenant's is as good as none."""
    await created(store)
    assert await store.watch(EXE, tenant="globex", for_ms=1_000) is None
    assert await store.watch(execution_id(9), tenant="acme", for_ms=1_000) is None
    lease = await leased(store)
    assert isinstance(lease, Lease)
    assert not lease.watched
