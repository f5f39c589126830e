"""dead_letter.lua: OK 0, TERMINAL 1, ABSENT 2; and bury.lua, which commit.lua shares."""

from typing import Any

import msgspec

from shared.dead_letters import MOST
from shared.redisdb import keys
from tests.support.executions import (
    DEAD,
    EXE,
    NOW,
    PP,
    buried,
    created,
    done,
    ended,
    execution_id,
    later,
    leased,
    letter,
    signalled,
    stuck,
    suspends,
)
from tests.support.stores import Twice, everything

LIST, TIMES = keys.dead_letters(PP, "acme"), keys.dead_times(PP, "acme")


def listed(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The stored letters."""
    return [msgspec.json.decode(text) for text in found.get(LIST, {}).values()]


async def test_a_death_reported_twice_is_one_line_one_letter_one_due_time(store: Twice) -> None:
    """By the client that lost a reply, or by QStash."""
    await created(store)
    await buried(store)
    assert store.last.codes == (0, 0)
    later(store, 100)
    await buried(store, in_ms=300)
    found = await everything(store.redis)
    assert [b"message.dead" in line[b"l"] for line in found[keys.history(EXE)]] == [False, True]
    assert found[keys.due(PP)] == [(EXE.encode(), NOW + 400.0)]
    assert found[TIMES] == [(letter().id.encode(), float(NOW))]
    [one] = listed(found)
    assert (one["times"], one["first_ms"], one["at_ms"], one["marks"]) == (1, NOW, NOW, ["msg_1/dlq_1"])


async def test_another_message_of_the_segment_is_counted_and_shown(store: Twice) -> None:
    """One letter: the latest death's facts, how often, since when."""
    await created(store)
    await buried(store)
    later(store, 10)
    await buried(store, letter(mark="msg_2/dlq_2", status=502, excerpt="bad gateway"))
    [one] = listed(await everything(store.redis))
    assert (one["message"], one["status"], one["excerpt"]) == ("msg_2", 502, "bad gateway")
    assert (one["times"], one["first_ms"], one["at_ms"]) == (2, NOW, NOW + 10)
    await buried(store)
    [again] = listed(await everything(store.redis))
    assert again == one


async def test_it_remembers_the_latest_sixteen_deaths(store: Twice) -> None:
    """The letter does not grow for ever."""
    await created(store)
    for number in range(20):
        await buried(store, letter(mark=f"msg_{number}/"))
    [one] = listed(await everything(store.redis))
    assert one["times"] == 20
    assert one["marks"] == [f"msg_{number}/" for number in range(4, 20)]


async def test_no_two_letters_have_one_time(store: Twice) -> None:
    """A page that begins behind one leaves none out."""
    await created(store)
    for segment in range(3):
        await buried(store, letter(segment=segment))
    times = (await everything(store.redis))[TIMES]
    assert [at for _, at in times] == [NOW, NOW + 1, NOW + 2]


async def test_the_oldest_leave_when_there_are_too_many(store: Twice) -> None:
    """From the list and from its times."""
    await created(store)
    store.filling = True
    for segment in range(MOST):
        await buried(store, letter(segment=segment))
    store.filling = False
    await buried(store, letter(segment=MOST))
    assert store.last.codes == (0, 0)
    assert await store.redis.hlen(LIST) == await store.redis.zcard(TIMES) == MOST
    assert await store.letter("acme", letter(segment=0).id) is None
    assert await store.letter("acme", letter(segment=1).id) is not None
    assert await store.letter("acme", letter(segment=MOST).id) is not None


async def test_terminal(store: Twice) -> None:
    """A message of what is over is no loss: not due, not told, not listed."""
    await created(store)
    await ended(store)
    before = await everything(store.redis)
    assert await store.bury(letter(), in_ms=0, line=DEAD) is None
    assert store.last.codes == (1, 1)
    assert await everything(store.redis) == before


async def test_absent(store: Twice) -> None:
    """Nothing comes into being; a tombstone has no tenant."""
    assert await store.bury(letter(), in_ms=0, line=DEAD) is None
    assert store.last.codes == (2, 2)
    assert await everything(store.redis) == {}
    redis: Any = store.redis
    await redis.hset(keys.record(EXE), "buried", "1")
    assert await store.bury(letter(), in_ms=0, line=DEAD) is None
    assert list(await everything(store.redis)) == [keys.record(EXE)]


async def test_an_undeliverable_execution_is_listed_with_its_suspension(store: Twice) -> None:
    """By the same commit; not when that was dropped because a signal had arrived."""
    await created(store)
    await signalled(store)
    lease = await leased(store)
    waits = suspends(lease, wake_ms=NOW + 60_000, timed=False)
    going = msgspec.structs.replace(waits, reason="undeliverable", letter=stuck())
    await store.commit(lease, ver=lease.ver, seen=0, kept=done(), going=going)
    assert (store.last.codes, listed(await everything(store.redis))) == ((1, 3), [])
    await store.commit(lease, ver=lease.ver + 1, seen=1, kept=done(1), going=going)
    assert store.last.codes == (0, 3)
    [one] = listed(await everything(store.redis))
    assert (one["kind"], one["times"], one["segment"]) == ("execution", 1, 0)


async def test_a_letter_is_its_tenants(store: Twice) -> None:
    """And another tenant's purge, page or discard does not come near it."""
    await created(store, execution_id(2), tenant="globex")
    await buried(store, letter(execution_id(2)))
    assert keys.dead_letters(PP, "globex") in await everything(store.redis)
    assert (await store.letters("acme", limit=9)).letters == ()
    assert await store.letter("acme", letter(execution_id(2)).id) is None
    assert await store.discard("acme", [letter(execution_id(2)).id]) == 0
    assert await store.letter("globex", letter(execution_id(2)).id) is not None
