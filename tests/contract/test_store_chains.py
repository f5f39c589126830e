"""Store, waits longer than a message may be delayed: each message that comes too early hangs in the next one."""

from shared.machine.status import Status
from shared.ports import Entry, Lease, No, NoLease
from shared.redisdb.store import LONGEST_DELAY_MS
from tests.support.executions import EXE, NOTHING, NOW, PP, Clocked, ask, created, later, leased, suspends

WAIT_MS = 2 * LONGEST_DELAY_MS + 3_600_000
END = NOW + WAIT_MS


async def asleep(store: Clocked) -> None:
    """An execution that waits for a little more than two longest delays."""
    await created(store)
    lease = await leased(store)
    going = suspends(lease, wake_ms=END)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going)


async def queued(store: Clocked) -> list[int]:
    """When the messages in the outbox are to come, without the one of the birth."""
    later(store, 60_000)
    found = await store.relay_claim(PP, limit=10, claim_ms=1)
    later(store, -60_000)
    return sorted(entry.not_before_ms for entry in found if entry.not_before_ms)


async def next_link(store: Clocked) -> Entry | None:
    """A message of the wait comes; what it was answered."""
    answer = await ask(store, segment=1)
    assert isinstance(answer, NoLease)
    assert answer.why is No.NOT_DUE
    return answer.entry


async def test_the_first_message_comes_after_the_longest_delay(store: Clocked) -> None:
    """QStash would refuse a longer one."""
    await asleep(store)
    assert await queued(store) == [NOW + LONGEST_DELAY_MS]


async def test_links_lead_to_the_end_of_the_wait(store: Clocked) -> None:
    """Two of the longest, one of the rest; then the segment runs."""
    await asleep(store)
    for at in (NOW + 2 * LONGEST_DELAY_MS, END):
        later(store, LONGEST_DELAY_MS)
        link = await next_link(store)
        assert link is not None
        assert link.not_before_ms == at
    later(store, WAIT_MS - 2 * LONGEST_DELAY_MS)
    lease = await ask(store, segment=1)
    assert isinstance(lease, Lease)
    assert lease.header.status is Status.SUSPENDED


async def test_duplicates_breed_no_second_chain(store: Clocked) -> None:
    """The next link is armed: another early message adds none, nor does one that comes before its time, nor a hint."""
    await asleep(store)
    assert await next_link(store) is None
    later(store, LONGEST_DELAY_MS)
    assert await next_link(store) is not None
    assert await next_link(store) is None
    hint = await ask(store, EXE, segment=-1)
    assert isinstance(hint, NoLease)
    assert hint.entry is None
    assert await queued(store) == [NOW + LONGEST_DELAY_MS, NOW + 2 * LONGEST_DELAY_MS]
