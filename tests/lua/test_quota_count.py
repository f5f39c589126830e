"""quota_count.lua: COUNTED 0, ABSENT 1; and pay.lua: what a message costs its execution."""

from typing import Any

from shared.machine.decision import Changes
from shared.machine.status import Phase, Status
from shared.quota import TAIL_MS, Allowance
from shared.redisdb import keys
from tests.support.executions import ALLOWANCE, EXE, NOTHING, NOW, created, later, leased, leaves, signalled, standing, suspends
from tests.support.stores import Twice, everything


async def purse(store: Twice) -> tuple[int, int]:
    """What is used, and what is held."""
    found = await store.account(EXE)
    assert found is not None
    return found.used, found.held


async def test_a_message_is_paid_with_its_tail_where_there_is_enough(store: Twice) -> None:
    """Then without; then not at all, and the lane back keeps its part."""
    entries = [await created(store, allowance=ALLOWANCE)]
    entries += [entry for sid in "abcd" if (entry := await signalled(store, sid))]
    assert [entry.cost for entry in entries] == [6, 1, 1, 1, 0]
    assert await purse(store) == (4, 5)


async def test_the_lane_back_may_spend_what_was_kept_for_it(store: Twice) -> None:
    """Down to nothing."""
    await created(store, allowance=Allowance(units=3, floor=2, tail=0))
    entry = await signalled(store, "a")
    assert entry is not None
    assert entry.cost == 0
    lease = await leased(store)
    back = Changes(header=standing(lease, Status.COMPENSATING, phase=Phase.UNDO))
    await store.commit(lease, ver=lease.ver, seen=1, kept=back, going=leaves())
    assert [entry.cost for sid in "bc" if (entry := await signalled(store, sid))] == [1, 0]


async def test_a_cancel_may_spend_what_is_kept_for_undoing(store: Twice) -> None:
    """It leads there; an event does not."""
    await created(store, allowance=Allowance(units=3, floor=2, tail=0))
    event, stop = await signalled(store, "a"), await signalled(store, "b", kind="cancel")
    assert event is not None
    assert stop is not None
    assert (event.cost, stop.cost) == (0, 1)


async def test_two_minutes_later_nothing_more_comes_of_a_message(store: Twice) -> None:
    """What was held for it is free again."""
    await created(store, allowance=ALLOWANCE)
    later(store, TAIL_MS - 1)
    entry = await signalled(store, "a")
    assert entry is not None
    assert entry.cost == 1
    later(store, 1)
    again = await signalled(store, "b")
    assert again is not None
    assert again.cost == 6


async def test_a_delayed_messages_two_minutes_begin_when_it_is_delivered(store: Twice) -> None:
    """Not when it is sent to wait."""
    await created(store, allowance=Allowance(units=40, floor=3, tail=5))
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 3_600_000))
    found = await store.account(EXE)
    assert found is not None
    assert found.held_ms == NOW + 3_600_000


async def test_what_cannot_be_paid_and_has_to_wait_is_not_queued(store: Twice) -> None:
    """A direct call cannot be delayed; the due index wakes it."""
    await created(store, allowance=Allowance(units=4, floor=3, tail=0))
    lease = await leased(store)
    answer = await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 60_000))
    assert getattr(answer, "entry", "?") is None
    assert len((await everything(store.redis))[keys.outbox_entries("0a")]) == 1


async def test_a_retry_is_used_and_no_longer_held(store: Twice) -> None:
    """Counted from the message's beginning: told again, or late, it changes nothing."""
    await created(store, allowance=ALLOWANCE)
    await store.count(EXE, "msg_1", 2)
    assert store.last.codes == (0, 0)
    assert await purse(store) == (3, 3)
    await store.count(EXE, "msg_1", 1)
    assert await purse(store) == (3, 3)
    await store.count(EXE, "msg_2", 1)
    assert await purse(store) == (4, 2)


async def test_what_was_not_held_is_counted_all_the_same(store: Twice) -> None:
    """The truth before all."""
    await created(store, allowance=Allowance(units=10, floor=3, tail=0))
    await store.count(EXE, "msg_1", 2)
    assert await purse(store) == (3, 0)


async def test_who_is_not_counted_is_absent(store: Twice) -> None:
    """Nothing is written, for an execution without an allowance and for none."""
    await store.count(EXE, "msg_1", 2)
    assert store.last.codes == (1, 1)
    entry = await created(store)
    assert entry.cost is None
    before = await everything(store.redis)
    await store.count(EXE, "msg_1", 2)
    assert await everything(store.redis) == before
    assert await store.account(EXE) is None


async def test_the_first_look_after_an_overdue_one_costs_nothing_where_direct_calls_are_on(store: Twice) -> None:
    """The second is a message."""
    first = await created(store, allowance=ALLOWANCE)
    await store.relay_ack([(first, "msg_1")])
    costs: list[Any] = []
    for _ in range(2):
        later(store, 10_000)
        entry = await store.resend(EXE, base_ms=2_000, most_ms=5_000, direct=True)
        assert entry is not None
        costs.append(entry.cost)
    assert costs == [0, 1]
