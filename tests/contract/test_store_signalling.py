"""Store, signalling: a signal is stored once, found by a live holder, and wakes an execution without one."""

import pytest

from shared.machine.decision import Changes
from shared.ports import Accepted, Committed, NotAccepted
from shared.redisdb.store import INBOX_LIMIT
from tests.support.executions import (
    EXE,
    LEASE_MS,
    NONE,
    NOTHING,
    NOW,
    PP,
    Clocked,
    created,
    ended,
    execution_id,
    later,
    leased,
    leaves,
    signalled,
    suspends,
)
from tests.support.stores import Twice


async def send(store: Clocked, sid: str, *, tenant: str = "acme", execution: str = EXE) -> Accepted | NotAccepted:
    """One signal."""
    return await store.signal(execution, tenant=tenant, sid=sid, kind="event", payload={"of": sid})


async def test_signals_come_in_the_order_of_arrival(store: Clocked) -> None:
    """Numbered from 1, with what they carry."""
    await created(store)
    for sid in ("b", "a"):
        await send(store, sid)
    found = (await leased(store)).signals
    assert [(one.position, one.payload) for one in found] == [(1, {"of": "b"}), (2, {"of": "a"})]


async def test_a_signal_id_counts_once(store: Clocked) -> None:
    """A double click is one click."""
    await created(store)
    assert isinstance(await send(store, "one"), Accepted)
    assert await send(store, "one") == NotAccepted(why="duplicate")
    assert len((await leased(store)).signals) == 1


async def test_two_executions_may_get_the_same_signal_id(store: Clocked) -> None:
    """Ids are an execution's own."""
    await created(store)
    await created(store, execution_id(2))
    assert isinstance(await send(store, "one"), Accepted)
    assert isinstance(await send(store, "one", execution=execution_id(2)), Accepted)


async def test_without_a_holder_a_signal_wakes(store: Clocked) -> None:
    """It brings a message for the current segment, and is due should the message be lost."""
    await created(store)
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=0, kept=NOTHING, going=suspends(lease, wake_ms=NOW + 86_400_000, timed=False))
    entry = await signalled(store)
    assert entry is not None
    assert (entry.segment, entry.reason, entry.trace) == (1, "signal", "trace")
    later(store, 2_000)
    assert entry in await store.relay_claim(PP, limit=9, claim_ms=1_000)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_a_live_holder_finds_it_without_a_message(store: Clocked) -> None:
    """At its next commit; a message would only be told that the execution is held."""
    await created(store)
    await leased(store)
    assert await signalled(store) is None


async def test_a_dead_holder_does_not_swallow_it(store: Clocked) -> None:
    """The lease is over: the signal wakes."""
    await created(store)
    await leased(store)
    later(store, LEASE_MS)
    assert await signalled(store) is not None


async def test_a_signal_for_a_holder_that_dies_is_due_after_the_lease(store: Clocked) -> None:
    """Nobody forgets it."""
    await created(store)
    await leased(store)
    await signalled(store)
    later(store, LEASE_MS + 500)
    assert await store.overdue(PP, limit=9) == [EXE]


async def test_a_signal_does_not_touch_the_version(store: Clocked) -> None:
    """Whoever holds the execution can still write."""
    await created(store)
    lease = await leased(store)
    await signalled(store)
    stored = await store.commit(lease, ver=lease.ver, seen=1, kept=Changes(seen=1), going=NONE)
    assert stored == Committed(ver=lease.ver + 1)


async def test_a_finished_execution_takes_no_signal(store: Clocked) -> None:
    """But a repeat of one that it took is still a duplicate."""
    await created(store)
    await send(store, "one")
    lease = await leased(store)
    await store.commit(lease, ver=lease.ver, seen=1, kept=Changes(seen=1), going=leaves())
    await ended(store)
    assert await send(store, "two") == NotAccepted(why="terminal")
    assert await send(store, "one") == NotAccepted(why="duplicate")


@pytest.mark.parametrize(("tenant", "execution"), [("globex", EXE), ("acme", execution_id(9))], ids=["tenant", "unknown"])
async def test_another_tenants_execution_is_as_good_as_none(store: Clocked, tenant: str, execution: str) -> None:
    """The answer does not tell whether it is there."""
    await created(store)
    assert await send(store, "one", tenant=tenant, execution=execution) == NotAccepted(why="absent")
    assert (await leased(store)).signals == ()


async def test_a_signal_says_when_it_came(store: Clocked) -> None:
    """By the store's clock; and nothing else of what was sent is touched, no number and no text."""
    await created(store)
    payload = {"of": "1.0", "list": [], "number": 12345678901234567890, "text": '\u20ac}"', "ratio": 1e-7}
    await store.signal(EXE, tenant="acme", sid="one", kind="event", payload=payload)
    later(store, 1_234)
    await send(store, "two")
    lease = await leased(store)

    assert [signal.at_ms for signal in lease.signals] == [NOW, NOW + 1_234]
    assert lease.signals[0].payload == payload


async def test_an_inbox_is_bounded_in_bytes_too(store: Clocked) -> None:
    """A mebibyte together; a small one may still fit where a large one did not, and nothing of a refused one is stored."""
    await created(store)
    large, sent = "x" * 400_000, ["one", "two"]
    for sid in sent:
        assert isinstance(await store.signal(EXE, tenant="acme", sid=sid, kind="event", payload=large), Accepted)
    assert await store.signal(EXE, tenant="acme", sid="three", kind="event", payload=large) == NotAccepted(why="full")
    assert isinstance(await send(store, "small"), Accepted)
    assert isinstance(await send(store, "three"), Accepted)
    assert [signal.position for signal in (await leased(store)).signals] == [1, 2, 3, 4]


async def test_the_inbox_is_bounded(store: Clocked) -> None:
    """What does not fit is refused, not dropped; what is in stays."""
    await created(store)
    await leased(store)
    if isinstance(store, Twice):
        store.filling = True
    for number in range(INBOX_LIMIT):
        assert isinstance(await send(store, f"{number}"), Accepted)
    if isinstance(store, Twice):
        store.filling = False
    assert await send(store, "one too many") == NotAccepted(why="full")
    assert await send(store, "0") == NotAccepted(why="duplicate")
    cancel = await store.signal(EXE, tenant="acme", sid="cancel", kind="cancel", payload={})
    assert isinstance(cancel, Accepted), "a full inbox keeps nobody from stopping it"
    assert await send(store, "one too many") == NotAccepted(why="full")
    assert len((await leased(store)).signals) == INBOX_LIMIT + 1
