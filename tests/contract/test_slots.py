"""Slots: never more than the limit, first come first served, and nobody waits for the dead longer than for their calls."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.errors import Conflict
from shared.memory_slots import MemorySlots
from shared.redisdb import keys
from shared.redisdb.slots import RedisSlots
from shared.slot_ports import GRANT_MS, RELAY_MS, Grant, Limit, Queued, Taken, of_tenant, of_tool
from tests.support.drawn import drawn
from tests.support.executions import NOW
from tests.support.lines import CALL_MS, RATE, TWO, ClockedSlots, asks, fill, members, slot
from tests.support.meetings import pass_time
from tests.support.stores import TwiceSlots


@pytest.fixture(params=["memory", "redis", "redis, every command sent twice"])
def slots(request: pytest.FixtureRequest) -> ClockedSlots:
    """All are free; the clock stands at NOW."""
    if request.param == "memory":
        return MemorySlots(now_ms=NOW)
    adapter = RedisSlots if request.param == "redis" else TwiceSlots
    return adapter(request.getfixturevalue("redis"), now_ms=NOW)


async def left(slots: ClockedSlots) -> list[str]:
    """Whom a relay would tell now."""
    found: list[Grant] = []
    for tag in await slots.pending():
        found += await slots.sweep(tag, limit=99)
        found += await slots.claim(tag, limit=99, claim_ms=1)
    return members(found)


async def test_so_many_at_a_time(slots: ClockedSlots) -> None:
    """The others wait in the order in which they came; who asks again stays where it is."""
    assert [await asks(slots, member) for member in "abcdca"] == [
        Taken(until_ms=NOW + CALL_MS),
        Taken(until_ms=NOW + CALL_MS),
        Queued(position=1),
        Queued(position=2),
        Queued(position=1),
        Taken(until_ms=NOW + CALL_MS),
    ]
    assert isinstance(await asks(slots, "e", Limit(name="tool/other", most=1)), Taken)


async def test_what_is_given_back_goes_to_the_first_that_waits(slots: ClockedSlots) -> None:
    """Which takes it, for as long as its call may last; giving again gives nothing."""
    await fill(slots)
    [grant] = await slots.give(TWO, "a")
    assert (grant.member, grant.tenant, grant.step, grant.name) == ("c", "acme", "ride", TWO.name)
    assert grant.payload == {"step": "ride", "key": TWO.name, "member": "c"}
    assert await slots.give(TWO, "a") == []
    pass_time(slots, 5)
    assert await asks(slots, "a") == Queued(position=2)
    assert await asks(slots, "c") == Taken(until_ms=NOW + 5 + CALL_MS)
    assert members(await slots.give(TWO, "c")) == ["d"]


async def test_who_waits_may_leave(slots: ClockedSlots) -> None:
    """It is passed over then."""
    await fill(slots)
    assert await slots.give(TWO, "c") == []
    assert await asks(slots, "d") == Queued(position=1)
    assert members(await slots.give(TWO, "a")) == ["d"]


async def test_a_dead_holders_slot_comes_back_when_its_call_is_over_and_not_before(slots: ClockedSlots) -> None:
    """Nobody gives it back."""
    await fill(slots)
    pass_time(slots, CALL_MS - 1)
    assert await left(slots) == []
    assert await asks(slots, "e") == Queued(position=3)
    pass_time(slots, 1)
    assert await left(slots) == ["c", "d"]
    assert await asks(slots, "e") == Queued(position=1)


async def test_a_newcomer_does_not_overtake(slots: ClockedSlots) -> None:
    """Also when it asks before anybody has swept."""
    await fill(slots)
    pass_time(slots, CALL_MS)
    assert await asks(slots, "e") == Queued(position=1)
    pass_time(slots, RELAY_MS)
    assert await left(slots) == ["c", "d"]


async def test_a_grant_that_nobody_takes_goes_on(slots: ClockedSlots) -> None:
    """After a while; who comes too late waits again, and is told again."""
    await fill(slots)
    [first] = await slots.give(TWO, "a")
    await slots.done([first])
    pass_time(slots, GRANT_MS)
    assert await left(slots) == ["d"]
    for member in "ef":
        await asks(slots, member)
    assert await asks(slots, "c") == Queued(position=2)
    await slots.give(TWO, "e")
    [second] = await slots.give(TWO, "f")
    assert second.member == "c"
    assert second.sid != first.sid


async def test_a_grant_is_told_until_it_is_done(slots: ClockedSlots) -> None:
    """By one relay at a time."""
    await fill(slots)
    [grant] = await slots.give(TWO, "a")
    assert await slots.pending() == []
    pass_time(slots, RELAY_MS)
    [tag] = await slots.pending()
    assert await slots.claim(tag, limit=9, claim_ms=1_000) == [grant]
    assert await slots.claim(tag, limit=9, claim_ms=1_000) == []
    await slots.later(grant, in_ms=5_000)
    pass_time(slots, 4_999)
    assert await left(slots) == []
    pass_time(slots, 1)
    assert await left(slots) == ["c"]
    await slots.done([grant])
    await slots.later(grant, in_ms=0)
    assert await slots.pending() == []


async def test_a_refused_grant_goes_to_the_next(slots: ClockedSlots) -> None:
    """Unless its member has taken the slot since: its call may be under way."""
    await fill(slots)
    [grant] = await slots.give(TWO, "a")
    [following] = await slots.refuse(grant)
    assert following.member == "d"
    assert await slots.refuse(grant) == []
    assert isinstance(await asks(slots, "d"), Taken)
    assert await slots.refuse(following) == []
    assert await asks(slots, "e") == Queued(position=1)


async def test_a_late_repeat_frees_nothing_that_was_taken_since(slots: ClockedSlots) -> None:
    """If it says until when its slot was taken."""
    await fill(slots)
    early = NOW + CALL_MS
    await slots.give(TWO, "a", until_ms=early)
    await slots.give(TWO, "b", until_ms=early)
    pass_time(slots, 10)
    for member in "cd":
        await slots.give(TWO, member)
    assert isinstance(await asks(slots, "a"), Taken)
    await slots.give(TWO, "a", until_ms=early)
    await asks(slots, "b")
    assert await asks(slots, "e") == Queued(position=1)
    pass_time(slots, 10)
    await asks(slots, "f")
    await slots.give(TWO, "f", until_ms=early)
    await slots.give(TWO, "a")
    assert members(await slots.give(TWO, "b")) == ["f"]


async def test_a_call_whose_time_is_over_gets_no_slot(slots: ClockedSlots) -> None:
    """It must not be made."""
    with pytest.raises(Conflict, match="make no call"):
        await asks(slots, "a", ms=0)


async def test_a_limit_may_change_while_some_wait(slots: ClockedSlots) -> None:
    """More get in when it rises; nobody is thrown out when it falls."""
    await fill(slots)
    assert await asks(slots, "e", Limit(name=TWO.name, most=4)) == Queued(position=1)
    assert await asks(slots, "f", Limit(name=TWO.name, most=1)) == Queued(position=2)
    for member in "abc":
        assert await slots.give(TWO, member) == []
    assert members(await slots.give(TWO, "d")) == ["e"]


async def test_so_many_in_any_period(slots: ClockedSlots) -> None:
    """A slot comes back with time and cannot be given back."""
    for member, at_ms in (("a", 0), ("b", 300)):
        assert await asks(slots, member, RATE) == Taken(until_ms=NOW + at_ms + 1_000)
        assert await slots.give(RATE, member) == []
        pass_time(slots, 300)
    assert await asks(slots, "c", RATE) == Queued(position=1)
    assert await asks(slots, "d", RATE) == Queued(position=2)
    pass_time(slots, 399)
    assert await left(slots) == []
    pass_time(slots, 1)
    assert await left(slots) == ["c"]
    pass_time(slots, 300)
    assert await left(slots) == ["d"]
    assert await asks(slots, "c", RATE) == Taken(until_ms=NOW + 2_300)
    pass_time(slots, 999)
    assert await asks(slots, "d", RATE) == Taken(until_ms=NOW + 3_299)
    assert await asks(slots, "e", RATE) == Queued(position=1)
    pass_time(slots, 1)
    assert await left(slots) == ["e"]


async def test_who_waits_for_a_rate_may_leave(slots: ClockedSlots) -> None:
    """Its place goes, no slot comes."""
    await fill(slots, RATE)
    assert await slots.give(RATE, "c") == await slots.give(RATE, "a") == []
    assert await asks(slots, "d", RATE) == Queued(position=1)


@pytest.mark.parametrize("wrong", [Limit(name="", most=1), Limit(name="x", most=0), Limit(name="x", most=1, period_ms=-1)])
async def test_what_is_no_limit_is_refused(slots: ClockedSlots, wrong: Limit) -> None:
    """Nothing is stored of it, nor of an execution that is none."""
    with pytest.raises(ValueError, match="is no limit"):
        await slots.take(wrong, slot("a", until_ms=NOW + 1))
    with pytest.raises(ValueError, match="is no execution id"):
        await slots.take(TWO, slot("a", until_ms=NOW + 1, execution="x"))


def test_limits_are_scoped() -> None:
    """A plan's by its tenant; no plan names a tool's."""
    names = {of_tenant("acme", "x"), of_tenant("globex", "x"), of_tool("x"), of_tenant("tool", "x")}
    assert len(names) == 4


async def test_nothing_is_left_of_a_limit_that_nobody_uses(redis: Redis) -> None:
    """No key, once everything is given back and told."""
    slots = TwiceSlots(redis, now_ms=NOW)
    await fill(slots)
    found = [grant for member in "abcd" for grant in await slots.give(TWO, member)]
    await slots.done(found)
    assert await redis.keys("*") == []


# any commands in any order


class Move(NamedTuple):
    """One command, or time that passes."""

    what: str
    member: str
    most: int
    ms: int
    number: int
    rate: bool


MOVES = st.builds(
    Move,
    what=st.sampled_from(["take", "take", "take", "give", "give", "time", "look", "refuse", "done", "later"]),
    member=st.sampled_from("abcdef"),
    most=st.sampled_from([1, 2, 2, 2, 3]),
    ms=st.sampled_from([1, 500, 1_000, RELAY_MS, CALL_MS, GRANT_MS]),
    number=st.integers(0, 5),
    rate=st.booleans(),
)


async def _made(one: ClockedSlots, move: Move, known: Sequence[Grant]) -> Any:
    """The move's answer."""
    limit = Limit(name="rate" if move.rate else "count", most=move.most, period_ms=1_000 if move.rate else 0)
    picked = list(known[move.number : move.number + 1])
    match move.what:
        case "take":
            return await asks(one, move.member, limit, ms=move.ms)
        case "give":
            return await one.give(limit, move.member, until_ms=(one.now_ms or 0) + CALL_MS if move.number == 0 else 0)
        case "time":
            pass_time(one, move.ms)
        case "look":
            found = [
                [*await one.sweep(tag, limit=9), *await one.claim(tag, limit=9, claim_ms=900)] for tag in await one.pending()
            ]
            return [grant for part in found for grant in sorted(part, key=_plain)]
        case "refuse":
            return [other for grant in picked for other in await one.refuse(grant)]
        case "done":
            await one.done(picked)
        case _:
            for grant in picked:
                await one.later(grant, in_ms=move.ms)
    return None


def _plain(grant: Grant) -> tuple[Any, ...]:
    return (grant.name, grant.member, grant.at_ms, grant.until_ms, grant.execution, grant.sid)


@drawn(100)
@given(moves=st.lists(MOVES, min_size=5, max_size=60))
async def test_both_do_the_same(redis: Redis, moves: list[Move]) -> None:
    """The same answers, whoever asks for what and when."""
    await redis.flushall()
    pair: list[ClockedSlots] = [MemorySlots(now_ms=NOW), RedisSlots(redis, now_ms=NOW)]
    known: list[tuple[Grant, Grant]] = []
    for move in moves:
        ours, theirs = [await _made(one, move, [both[at] for both in known]) for at, one in enumerate(pair)]
        if isinstance(ours, list):
            assert [_plain(grant) for grant in ours] == [_plain(grant) for grant in theirs], move
            known = [*zip(ours, theirs, strict=True), *known]
        else:
            assert ours == theirs, move


@drawn(100)
@given(data=st.data(), rate=st.booleans())
async def test_the_limit_is_never_exceeded_at_the_tool(redis: Redis, data: st.DataObject, *, rate: bool) -> None:
    """A call is on its way from the slot it was taken with until it is given back, or, of a dead caller, until it has settled.

    Callers die, repeats of old commands come late, and nobody but the tool's own count is asked.
    """
    await redis.flushall()
    slots = RedisSlots(redis, now_ms=NOW)
    limit = RATE if rate else TWO
    calls: dict[str, tuple[int, int]] = {}
    attempts = dict.fromkeys("abcde", 0)
    for _ in range(data.draw(st.integers(10, 60))):
        now = slots.now_ms or NOW
        name = data.draw(st.sampled_from(sorted(attempts)))
        member = f"{name}.{attempts[name]}"
        match data.draw(st.sampled_from(["ask", "ask", "ask", "end", "end", "die", "again", "time", "sweep"])):
            case "ask" if member not in calls:
                until = now + data.draw(st.sampled_from([500, CALL_MS]))
                if isinstance(await slots.take(limit, slot(member, until_ms=until)), Taken):
                    calls[member] = (now, now + 1_000 if rate else until)
            case "end" if member in calls:
                if not rate:
                    calls[member] = (calls[member][0], now)
                await slots.give(limit, member)
                attempts[name] += 1
            case "die":
                attempts[name] += 1
            case "again" if calls.get(f"{name}.{attempts[name] - 1}", (0, now + 1))[1] <= now:  # a repeat of an old command
                await slots.give(limit, f"{name}.{attempts[name] - 1}")
            case "time":
                pass_time(slots, data.draw(st.sampled_from([1, 499, 1_000, CALL_MS, GRANT_MS])))
            case _:
                await slots.sweep(keys.tag_of(keys.identity(limit.name)), limit=9)
        now = slots.now_ms or NOW
        assert sum(began <= now < end for began, end in calls.values()) <= limit.most
