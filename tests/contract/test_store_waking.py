"""Store, waking: what nobody moved in time is sent again, by one; what could not be sent is relayed, by one."""

import asyncio

import pytest
from redis.asyncio import Redis

from shared.machine.decision import Command
from shared.memory import MemoryStore
from shared.ports import Committed, Created, Heard, Hinted
from shared.redisdb import keys
from shared.redisdb.store import HEARD_MS, LAG_LIVES_MS, RedisStore
from tests.support.executions import (
    ANN,
    DEAD,
    EXE,
    LEASE_MS,
    NOTHING,
    NOW,
    PP,
    RETENTION_MS,
    Clocked,
    birth,
    created,
    done,
    ended,
    execution_id,
    later,
    leased,
    leaves,
    letter,
    put_off,
    signalled,
    suspends,
)

BASE, MOST = 2_000, 300_000


async def overdue(store: Clocked) -> None:
    """An execution whose first message was lost."""
    await created(store)
    later(store, 2_000)


async def test_an_overdue_execution_is_sent_again(store: Clocked) -> None:
    """With a message for its current segment, under an id of its own."""
    first = await created(store)
    await store.relay_ack([(first, "msg_1")])
    later(store, 2_000)
    entry = await store.resend(EXE, base_ms=BASE, most_ms=MOST)
    assert entry is not None
    assert (entry.execution, entry.segment, entry.reason, entry.trace) == (EXE, 0, "overdue", "trace")
    later(store, 2_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=1_000) == [entry]
    assert entry.id != first.id


async def test_a_message_that_waits_in_the_outbox_is_brought_forward_and_none_is_added(store: Clocked) -> None:
    """While QStash is away, re-sends would pile up behind each other, and all go out when it returns."""
    first = await created(store)
    later(store, 2_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=1_000) == [first]
    await store.relay_later([put_off(first)])
    for _ in range(5):
        assert await store.resend(EXE, base_ms=BASE, most_ms=MOST) == first
        later(store, MOST)
    assert await store.relay_claim(PP, limit=9, claim_ms=1_000) == [first]


async def test_a_message_that_is_with_qstash_may_be_lost_and_another_is_added(store: Clocked) -> None:
    """Also when an older one of the same segment is still in the outbox."""
    first = await created(store)
    second = await signalled(store, "one")
    assert second is not None
    await store.relay_ack([(second, "msg_2")])
    later(store, 2_000)
    third = await store.resend(EXE, base_ms=BASE, most_ms=MOST)
    assert third is not None
    assert third.id not in {first.id, second.id}
    await store.relay_ack([(first, "msg_1")])
    later(store, BASE)
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST) == third


async def test_a_direct_call_that_came_to_nothing_gives_way_to_a_message(store: Clocked) -> None:
    """The entry of a direct call never goes to QStash: it must not keep a message from being queued."""
    first = await created(store)
    await store.relay_ack([(first, "msg_1")])
    later(store, 2_000)
    call = await store.resend(EXE, base_ms=BASE, most_ms=MOST, direct=True)
    assert call is not None
    assert call.cost == 0
    later(store, BASE)
    message = await store.resend(EXE, base_ms=BASE, most_ms=MOST, direct=True)
    assert message is not None
    assert message.cost is None
    later(store, 2_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=1_000) == [message]


async def test_a_message_of_an_older_segment_is_no_reason_to_add_none(store: Clocked) -> None:
    """It would be answered as stale."""
    first = await created(store)
    lease = await leased(store)
    left = await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    assert isinstance(left, Committed)
    assert left.entry is not None
    await store.relay_ack([(left.entry, "msg_2")])
    later(store, 2_000)
    again = await store.resend(EXE, base_ms=BASE, most_ms=MOST)
    assert again is not None
    assert (again.segment, again.id == first.id) == (1, False)


async def test_while_deliveries_are_late_nothing_is_overdue_yet(store: Clocked) -> None:
    """Neither for who looks, nor for who re-sends: a backlog is not a loss."""
    await created(store)
    later(store, 2_000 + 5_999)
    assert await store.overdue(PP, limit=9, late_ms=6_000) == []
    assert await store.overdue_everywhere(limit=9, late_ms=6_000) == []
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST, late_ms=6_000) is None
    later(store, 1)
    assert await store.overdue(PP, limit=9, late_ms=6_000) == [EXE]
    assert await store.overdue_everywhere(limit=9, late_ms=6_000) == [EXE]
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST, late_ms=6_000)


async def test_the_lag_is_what_was_told_last_and_is_forgotten(redis: Redis) -> None:
    """When nobody measures one any more, messages do not flow."""
    for store in (MemoryStore(retention_ms=1), RedisStore(redis, retention_ms=1)):
        assert await store.lag() == 0
        await store.share_lag(700)
        await store.share_lag(1_234)
        assert await store.lag() == 1_234
    assert 0 < await redis.pttl(keys.delivery_lag()) <= LAG_LIVES_MS
    memory = MemoryStore(retention_ms=1, now_ms=NOW)
    await memory.share_lag(5)
    later(memory, LAG_LIVES_MS)
    assert await memory.lag() == 0


async def test_whether_something_came_of_a_re_send(store: Clocked) -> None:
    """Somebody holds it, or got on with it, or it is over; what is merely sent again has not moved."""
    await created(store)
    later(store, 2_000)
    assert await store.moved([EXE, execution_id(9)]) == [True, True]
    await store.resend(EXE, base_ms=BASE, most_ms=MOST)
    assert await store.moved([EXE]) == [False]
    lease = await leased(store)
    assert await store.moved([EXE]) == [True]
    later(store, LEASE_MS)
    assert await store.moved([EXE]) == [False]
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    assert await store.moved([EXE]) == [True]


async def test_a_page_of_what_is_overdue_names_tenants_and_hides_none(store: Clocked) -> None:
    """One with many older ones is cut short; the rest is on the next page."""
    for number in range(6):
        await created(store, execution_id(number))
        later(store, 1)
    await created(store, execution_id(6), tenant="globex")
    later(store, 2_000)
    page = await store.overdue_page(PP, first=0, page=4, each=2, late_ms=0)
    assert (page.tenants, page.next) == ({"acme": [execution_id(0), execution_id(1)]}, 4)
    page = await store.overdue_page(PP, first=page.next, page=4, each=2, late_ms=0)
    assert page.tenants == {"acme": [execution_id(4), execution_id(5)], "globex": [execution_id(6)]}
    assert page.next == 0
    assert (await store.overdue_page(PP, first=0, page=4, each=2, late_ms=2_001)).next == 0


async def test_two_watchdogs_send_it_once(store: Clocked) -> None:
    """At the same moment, or one after the other."""
    await overdue(store)
    sent = await asyncio.gather(*(store.resend(EXE, base_ms=BASE, most_ms=MOST) for _ in range(5)))
    assert len([entry for entry in sent if entry]) == 1


async def test_each_time_it_waits_twice_as_long(store: Clocked) -> None:
    """Up to a limit, so that a broken one costs little; never for ever."""
    await overdue(store)
    gaps = []
    for _ in range(10):
        assert await store.resend(EXE, base_ms=BASE, most_ms=MOST)
        gap = 0
        while not await store.overdue(PP, limit=9):
            later(store, 1_000)
            gap += 1_000
        gaps.append(gap)
    assert gaps == [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]


async def test_progress_makes_the_watchdog_quick_again(store: Clocked) -> None:
    """The waits start from the shortest."""
    await overdue(store)
    for _ in range(4):
        assert await store.resend(EXE, base_ms=BASE, most_ms=MOST)
        later(store, MOST)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    later(store, 2_000)
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST)
    later(store, BASE)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_what_is_not_overdue_is_not_sent(store: Clocked) -> None:
    """A millisecond early is early."""
    await created(store)
    later(store, 1_999)
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST) is None


async def test_what_is_held_is_not_sent(store: Clocked) -> None:
    """A dead letter may have made it due; its holder is alive."""
    await created(store)
    await leased(store)
    await store.bury(letter(), in_ms=0, line=DEAD)
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST) is None
    later(store, LEASE_MS)
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST)


async def test_what_is_finished_or_unknown_is_not_sent(store: Clocked) -> None:
    """There is nothing to wake."""
    await created(store)
    await ended(store)
    later(store, MOST)
    assert await store.resend(EXE, base_ms=BASE, most_ms=MOST) is None
    assert await store.resend(execution_id(9), base_ms=BASE, most_ms=MOST) is None


async def test_the_longest_overdue_come_first(store: Clocked) -> None:
    """And no more of them than asked for."""
    for number in (3, 1, 2):
        await created(store, execution_id(number))
        later(store, 10)
    later(store, 2_000)
    assert await store.overdue(PP, limit=2) == [execution_id(3), execution_id(1)]
    assert await store.overdue(PP, limit=9) == [execution_id(3), execution_id(1), execution_id(2)]


async def test_every_partition_is_swept(store: Clocked) -> None:
    """The limit is each partition's."""
    for pp in ("3f", "00"):
        for number in range(3):
            await created(store, execution_id(number, partition=pp))
    later(store, 2_000)
    found = await store.overdue_everywhere(limit=2)
    assert found == [execution_id(number, partition=pp) for pp in ("00", "3f") for number in range(2)]
    assert await store.waiting_entries() == ["00", "3f"]


# hints


async def test_a_hint_makes_an_execution_due_at_once(store: Clocked) -> None:
    """Once for a message; the answer names the segment to be run."""
    await created(store)
    assert await store.hint(EXE, segment=0, message="m") == Hinted(heard=Heard.OK, segment=0)
    assert await store.overdue(PP, limit=9) == [EXE]
    assert await store.hint(EXE, segment=0, message="m") == Hinted(heard=Heard.SEEN, segment=0)
    later(store, HEARD_MS)
    assert (await store.hint(EXE, message="m")).heard is Heard.OK


async def test_a_hint_at_what_is_held_or_behind_changes_nothing(store: Clocked) -> None:
    """The holder's due time stays, and the next segment's too."""
    await created(store)
    lease = await leased(store)
    assert await store.hint(EXE, message="m") == Hinted(heard=Heard.HELD, segment=0)
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(0), going=leaves())
    assert await store.hint(EXE, segment=0, message="m") == Hinted(heard=Heard.STALE, segment=1)
    assert await store.overdue(PP, limit=9) == []


async def test_a_hint_does_not_end_a_wait(store: Clocked) -> None:
    """It keeps its due time until a signal has come."""
    await created(store)
    lease = await leased(store)
    going = suspends(lease, wake_ms=NOW + 60_000, timed=False)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=going)
    assert (await store.hint(EXE)).heard is Heard.WAITING
    assert await store.overdue(PP, limit=9) == []
    await signalled(store)
    assert (await store.hint(EXE)).heard is Heard.OK


async def test_a_hint_at_anothers_a_finished_or_an_unknown_execution_is_nothing(store: Clocked) -> None:
    """Another tenant's is as good as none."""
    await created(store)
    assert await store.hint(EXE, tenant="globex", message="m") == Hinted(heard=Heard.ABSENT)
    assert await store.hint(execution_id(9), message="m") == Hinted(heard=Heard.ABSENT)
    await ended(store)
    assert await store.hint(EXE, tenant="acme", message="m") == Hinted(heard=Heard.TERMINAL)
    assert await store.overdue_everywhere(limit=9) == []


# the outbox


async def test_two_relays_do_not_collide(store: Clocked) -> None:
    """An entry is one relay's until its claim lapses; a dead relay loses nothing."""
    await overdue(store)
    first, second = await asyncio.gather(*(store.relay_claim(PP, limit=9, claim_ms=10_000) for _ in range(2)))
    assert len(first) + len(second) == 1
    later(store, 9_999)
    assert await store.relay_claim(PP, limit=9, claim_ms=10_000) == []
    later(store, 1)
    assert await store.relay_claim(PP, limit=9, claim_ms=10_000) == first + second


async def test_a_relay_takes_no_more_than_it_can_send(store: Clocked) -> None:
    """The rest is for the next round, oldest first."""
    made = []
    for number in range(3):
        made.append(await created(store, execution_id(number)))
        later(store, 1)
    later(store, 2_000)
    assert await store.relay_claim(PP, limit=2, claim_ms=1_000) == made[:2]
    assert await store.relay_claim(PP, limit=2, claim_ms=1_000) == made[2:]


async def test_a_sent_entry_is_gone(store: Clocked) -> None:
    """Of every partition in one call; a second acknowledgement does nothing."""
    here, there = await created(store), await created(store, execution_id(partition="3f"))
    kept = await created(store, execution_id(2))
    for _ in range(2):
        await store.relay_ack([(here, "msg_1"), (there, "msg_2")])
    later(store, 2_000)
    assert await store.waiting_entries() == [PP]
    assert await store.relay_claim(PP, limit=9, claim_ms=1) == [kept]


async def test_an_entry_that_could_not_be_sent_waits(store: Clocked) -> None:
    """That one only, on whichever partition."""
    here, there = await created(store), await created(store, execution_id(partition="3f"))
    other = await created(store, execution_id(2))
    await store.relay_later([put_off(here), put_off(there)])
    later(store, 2_000)
    assert await store.waiting_entries() == [PP]
    assert await store.relay_claim(PP, limit=9, claim_ms=MOST) == [other]
    later(store, 58_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=MOST) == [here]
    assert await store.relay_claim("3f", limit=9, claim_ms=MOST) == [there]


async def test_a_sent_entry_does_not_come_back(store: Clocked) -> None:
    """The relay failed, but somebody else had sent it."""
    entry = await created(store)
    await store.relay_ack([(entry, "msg_1")])
    await store.relay_later([put_off(entry, 0)])
    later(store, 60_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=1) == []


async def test_what_waits_for_its_channel_goes_when_it_is_back(store: Clocked) -> None:
    """Long before its own time, the longest waiting first, for one relay alone; a refusal of the entry itself stays put off."""
    first, second, refused = [await created(store, execution_id(number)) for number in (1, 2, 3)]
    there = await created(store, execution_id(partition="3f"))
    await store.relay_later([put_off(second, away=True), put_off(refused)])
    later(store, 1_000)
    await store.relay_later([put_off(first, away=True), put_off(there, away=True)])
    assert await store.away_entries() == [PP, "3f"]
    assert await store.relay_back(PP, limit=1, claim_ms=10_000) == [second]
    assert await store.relay_back(PP, limit=9, claim_ms=10_000) == [first]
    assert await store.relay_back(PP, limit=9, claim_ms=10_000) == []
    assert await store.away_entries() == ["3f"]
    later(store, 10_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=1) == [first, second]  # nobody told what became of them


async def test_what_was_put_off_since_is_left_alone(store: Clocked) -> None:
    """A channel that is back is told once of what waited before."""
    before, since = await created(store), await created(store, execution_id(2))
    await store.relay_later([put_off(before, away=True)])
    later(store, 2_000)
    await store.relay_later([put_off(since, away=True)])
    assert await store.relay_back(PP, limit=9, claim_ms=1_000, least_ms=2_000) == [before]
    assert await store.away_entries() == [PP]


async def test_a_message_that_nobody_needs_any_more_leaves_when_it_cannot_be_sent(store: Clocked) -> None:
    """Its execution is beyond it, over, or gone."""
    beyond, over, gone, here = [await created(store, execution_id(number)) for number in (1, 2, 3, 4)]
    lease = await leased(store)
    left = await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=leaves())
    assert isinstance(left, Committed)
    assert left.entry is not None
    for one in (over, gone):
        await ended(store, one.execution)
    later(store, RETENTION_MS)
    assert await store.purge(gone.execution)
    moot = await store.relay_later([put_off(one, away=True) for one in (beyond, over, gone, here, left.entry)])
    assert moot == [beyond.id, over.id, gone.id]
    later(store, 60_000)
    assert {one.id for one in await store.relay_claim(PP, limit=9, claim_ms=1)} == {here.id, left.entry.id}
    assert await store.relay_later([put_off(beyond)]) == []


async def test_a_command_is_carried_out_whatever_became_of_who_sent_it(store: Clocked) -> None:
    """The parent must hear of a child that is over."""
    made = await store.create(birth(commands=(Command(kind="signal", id="tell", to=execution_id(2), payload={}),)))
    assert isinstance(made, Created)
    assert made.entry is not None
    await ended(store)
    assert await store.relay_later([put_off(one) for one in (made.entry, *made.commands)]) == [made.entry.id]
    later(store, 60_000)
    assert await store.relay_claim(PP, limit=9, claim_ms=1) == list(made.commands)


async def test_an_acknowledgement_does_not_move_the_due_time(store: Clocked) -> None:
    """That QStash has a message is no proof that it will arrive."""
    entry = await created(store)
    await store.relay_ack([(entry, "msg_1")])
    later(store, 2_000)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_every_entry_has_its_own_id(store: Clocked) -> None:
    """QStash drops an id it has seen: two wake-ups of one segment must not share it."""
    entries = [await created(store)]
    for sid in ("one", "two"):
        entry = await signalled(store, sid)
        assert entry is not None
        entries.append(entry)
    lease = await leased(store)
    left = await store.commit(lease, ver=lease.ver, seen=2, kept=NOTHING, going=leaves())
    assert isinstance(left, Committed)
    assert left.entry is not None
    ids = [entry.id for entry in [*entries, left.entry]]
    assert len(set(ids)) == 4
    assert all(one.startswith(f"{EXE}-") for one in ids)


@pytest.mark.parametrize("partition", ["00", "3f"])
async def test_an_empty_partition_has_nothing_to_do(store: Clocked, partition: str) -> None:
    """No error, no key."""
    store.now_ms = NOW
    assert partition in keys.all_partitions()
    assert await store.relay_claim(partition, limit=9, claim_ms=1) == []
    assert await store.overdue(partition, limit=9) == []
    assert await store.retire_page(partition, owner=ANN, limit=9) == []
    await store.relay_ack([])
    await store.relay_later([])
