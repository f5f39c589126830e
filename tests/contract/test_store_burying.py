"""Dead letters: what is listed, in which order, and when it leaves."""

import msgspec

from shared.dead_letters import MOST
from shared.machine.decision import Line
from shared.machine.status import Status
from tests.support.executions import (
    EXE,
    NOTHING,
    NOW,
    RETENTION_MS,
    Clocked,
    buried,
    created,
    ended,
    execution_id,
    later,
    leased,
    letter,
    stuck,
    suspends,
)


async def test_a_dead_message_is_listed_and_its_execution_due(store: Clocked) -> None:
    """With all that QStash said of it."""
    await created(store)
    later(store, 100)
    assert await store.bury(letter(), in_ms=500, line=_line()) == 0
    [one] = (await store.letters("acme", limit=9)).letters
    assert one == msgspec.structs.replace(letter(), times=1, first_ms=NOW + 100, at_ms=NOW + 100)
    assert await store.letter("acme", one.id) == one
    later(store, 500)
    assert await store.overdue("0a", limit=9) == [EXE]


async def test_the_same_death_counts_once(store: Clocked) -> None:
    """Another one of the segment counts, also when the first is reported once more after it."""
    await created(store)
    for mark in ("msg_1/", "msg_1/", "msg_2/", "msg_1/"):
        await buried(store, letter(mark=mark))
    [one] = (await store.letters("acme", limit=9)).letters
    assert (one.times, one.message) == (2, "msg_2")


async def test_pages_are_newest_first_over_all_partitions(store: Clocked) -> None:
    """Each begins where the one before ended; letters of one millisecond are not lost between two."""
    made = []
    for number in range(5):
        execution = execution_id(number, partition=["0a", "3f"][number % 2])
        await created(store, execution)
        await buried(store, letter(execution))
        made.append(letter(execution).id)
        later(store, number % 2)
    found, before = [], None
    while True:
        page = await store.letters("acme", limit=2, before=before)
        found += [one.id for one in page.letters]
        assert page.letters
        before = page.next
        if before is None:
            break
    assert sorted(found) == sorted(made)
    assert found[0] == made[4]
    assert (await store.letters("globex", limit=9)).letters == ()


async def test_pages_of_letters_that_share_a_partition_reach_to_the_end(store: Clocked) -> None:
    """The letter where a page begins is no letter of that page, and hides none behind it."""
    await created(store)
    for segment in range(4):
        await buried(store, letter(segment=segment))
    found, before = [], None
    for _ in range(9):
        page = await store.letters("acme", limit=1, before=before)
        found += [one.segment for one in page.letters]
        if (before := page.next) is None:
            break
    assert found == [3, 2, 1, 0]


async def test_letters_of_one_execution(store: Clocked) -> None:
    """And of no other whose id begins alike."""
    await created(store)
    await created(store, execution_id(2))
    for one in (letter(), letter(execution_id(2)), letter(segment=3)):
        await buried(store, one)
    page = await store.letters("acme", limit=9, execution=EXE)
    assert [one.segment for one in page.letters] == [3, 0]
    assert (await store.letters("acme", limit=1, execution=EXE)).next is not None


async def test_what_is_discarded_is_gone(store: Clocked) -> None:
    """Of several partitions at once; the rest stays."""
    for execution in (EXE, execution_id(partition="3f"), execution_id(2)):
        await created(store, execution)
        await buried(store, letter(execution))
    gone = [letter().id, letter(execution_id(partition="3f")).id]
    assert await store.discard("acme", gone) == 2
    assert await store.discard("acme", gone) == 0
    assert [one.execution for one in (await store.letters("acme", limit=9)).letters] == [execution_id(2)]
    assert await store.letter("acme", letter().id) is None
    assert await store.letter("acme", "nonsense") is None


async def test_what_is_over_or_unknown_gets_no_letter(store: Clocked) -> None:
    """Nothing is lost with it."""
    await created(store)
    await ended(store)
    assert await store.bury(letter(), in_ms=0, line=_line()) is None
    assert await store.bury(letter(execution_id(9)), in_ms=0, line=_line()) is None
    assert (await store.letters("acme", limit=9)).letters == ()


async def test_letters_go_with_their_execution(store: Clocked) -> None:
    """When it is purged, not when it ends; a neighbour's stay."""
    for execution in (EXE, execution_id(2)):
        await created(store, execution)
        await buried(store, letter(execution))
    await ended(store, status=Status.FAILED)
    assert await store.letter("acme", letter().id) is not None
    later(store, RETENTION_MS)
    assert await store.purge(EXE)
    assert [one.execution for one in (await store.letters("acme", limit=9)).letters] == [execution_id(2)]


async def test_an_undeliverable_execution_is_listed_and_a_signal_ends_its_wait(store: Clocked) -> None:
    """Again with each such suspension."""
    await created(store)
    for number in range(2):
        lease = await leased(store)
        waits = suspends(lease, wake_ms=(store.now_ms or 0) + 86_400_000, timed=False)
        going = msgspec.structs.replace(waits, letter=stuck(segment=number))
        await store.commit(lease, ver=lease.ver, seen=number, kept=NOTHING, going=going)
        [one] = (await store.letters("acme", limit=9)).letters
        assert (one.kind, one.times) == ("execution", number + 1)
        answer = await store.signal(EXE, tenant="acme", sid=f"resend {number}", kind="resend", payload=None)
        assert getattr(answer, "entry", None) is not None


async def test_a_list_holds_so_many(store: Clocked) -> None:
    """The oldest leave."""
    if hasattr(store, "filling"):
        store.filling = True
    await created(store)
    for segment in range(MOST + 2):
        await buried(store, letter(segment=segment))
    page = await store.letters("acme", limit=MOST + 9)
    assert [one.segment for one in page.letters] == list(range(MOST + 1, 1, -1))


def _line() -> Line:
    return Line(event="message.dead")
