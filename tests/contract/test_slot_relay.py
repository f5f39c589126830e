"""The relay of slots: a grant wakes its execution once, and nobody waits for one that is over."""

from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from shared.memory import MemoryStore
from shared.memory_slots import MemorySlots
from shared.ports import Entry
from shared.redisdb.connect import connect
from shared.redisdb.slots import RedisSlots
from shared.redisdb.store import INBOX_LIMIT, RedisStore
from shared.slot_ports import GRANT_MS, RELAY_MS, Taken
from shared.slot_relay import CLAIM_MS, FULL_MS, SlotRelay
from tests.support.executions import EXE, NOW, RETENTION_MS, Clocked, created, ended, execution_id, leased, signalled
from tests.support.lines import CALL_MS, TWO, ClockedSlots, asks
from tests.support.meetings import pass_time
from tests.support.valkey import free_port

FIRST, SECOND = execution_id(2, partition="3f"), execution_id(3)


class Parts:
    """A relay with its store, and the messages that it handed over."""

    def __init__(self, store: Clocked, slots: ClockedSlots) -> None:
        self.store, self.slots = store, slots
        self.sent: list[str] = []
        self.relay = SlotRelay(slots, store, self.hand_over)

    def hand_over(self, entries: Sequence[Entry], _: str) -> None:
        """Instead of QStash."""
        self.sent += [entry.execution for entry in entries]

    def later(self, ms: int) -> None:
        """Let time pass for both."""
        pass_time(self.store, ms)
        pass_time(self.slots, ms)

    async def gives(self, member: str, **other: int) -> None:
        """The command that an execution leaves in its outbox."""
        payload = {"name": TWO.name, "member": member} | other
        await self.relay.give(Entry(id="e", execution=EXE, segment=0, reason="", kind="slot_give", payload=payload))

    async def got(self, execution: str) -> list[object]:
        """What is in an execution's inbox."""
        return [signal.payload for signal in (await leased(self.store, execution)).signals]


@pytest.fixture(params=["memory", "redis"])
def empty(request: pytest.FixtureRequest) -> Parts:
    """On every adapter."""
    if request.param == "memory":
        return Parts(MemoryStore(retention_ms=RETENTION_MS, now_ms=NOW), MemorySlots(now_ms=NOW))
    redis: Redis = request.getfixturevalue("redis")
    return Parts(RedisStore(redis, retention_ms=RETENTION_MS, now_ms=NOW), RedisSlots(redis, now_ms=NOW))


@pytest.fixture
async def parts(empty: Parts) -> Parts:
    """`a` and `b` of one execution have the slots, `c` and `d` of two others wait."""
    for execution in (EXE, FIRST, SECOND):
        await created(empty.store, execution)
    for member, execution in (("a", EXE), ("b", EXE), ("c", FIRST), ("d", SECOND)):
        await asks(empty.slots, member, execution=execution)
    return empty


async def test_a_slot_given_back_wakes_the_next(parts: Parts) -> None:
    """Which then has it; the repeat of the command changes nothing."""
    for _ in range(2):
        await parts.gives("a", until_ms=NOW + CALL_MS)
    assert parts.sent == [FIRST]
    assert await parts.got(FIRST) == [{"step": "ride", "key": TWO.name, "member": "c"}]
    assert isinstance(await asks(parts.slots, "c", execution=FIRST), Taken)
    parts.later(RELAY_MS)
    assert await parts.relay.sweep() == 0


async def test_the_watchdog_frees_the_slots_of_the_dead(parts: Parts) -> None:
    """When their calls are over."""
    parts.later(CALL_MS)
    assert await parts.relay.sweep() == 2
    assert parts.sent == [FIRST, SECOND]


async def test_the_watchdog_tells_what_a_dead_one_did_not(parts: Parts) -> None:
    """Once, also when a relay dies between the signal and its note."""
    [grant] = await parts.slots.give(TWO, "a")
    parts.later(RELAY_MS)
    await parts.store.signal(FIRST, tenant="acme", sid=grant.sid, kind="slot", payload=grant.payload)
    assert await parts.relay.sweep() == 1
    assert len(await parts.got(FIRST)) == 1
    parts.later(CLAIM_MS)
    assert await parts.relay.sweep() == 0


async def test_the_slot_of_an_execution_that_is_over_goes_to_the_next(parts: Parts) -> None:
    """At once."""
    await ended(parts.store, FIRST)
    await parts.gives("a")
    assert parts.sent == [SECOND]
    assert isinstance(await asks(parts.slots, "d", execution=SECOND), Taken)


async def test_a_full_inbox_is_told_later(parts: Parts) -> None:
    """If the grant is still its."""
    for number in range(INBOX_LIMIT):
        await signalled(parts.store, f"{number}", execution=FIRST)
    parts.sent.clear()
    await parts.gives("a")
    parts.later(FULL_MS - 1)
    swept = await parts.relay.sweep()
    parts.later(1)
    assert await parts.relay.sweep() == 1
    assert parts.sent == [SECOND] * swept


async def test_a_store_that_is_away_leaves_it_pending(parts: Parts) -> None:
    """The next round makes up for it."""
    grants = await parts.slots.give(TWO, "a")
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as nobody:
        away = RedisStore(nobody, retention_ms=RETENTION_MS)
        await SlotRelay(parts.slots, away, parts.hand_over).tell(grants)
    assert parts.sent == []
    parts.later(RELAY_MS)
    assert await parts.relay.sweep() == 1
    assert parts.sent == [FIRST]


async def test_a_member_that_came_too_late_is_told_again(parts: Parts) -> None:
    """Its second grant is another signal."""
    await parts.gives("a")
    parts.later(GRANT_MS)
    await parts.relay.sweep()
    for member in "ef":
        await asks(parts.slots, member)
    await asks(parts.slots, "c", execution=FIRST)
    for member in "bdef":
        await parts.gives(member)
    assert len(await parts.got(FIRST)) == 2
