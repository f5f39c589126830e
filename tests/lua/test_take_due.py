"""take_due.lua: the members whose time has come, for one taker at a time."""

from shared.event_ports import RELAY_MS
from tests.support.executions import execution_id
from tests.support.meetings import event, pass_time, waits
from tests.support.stores import TwiceEvents


async def test_two_takers_get_different_ones_and_all_come_back(events: TwiceEvents) -> None:
    """The earliest first, so many at a time, until the claim lapses."""
    for number in range(5):
        await waits(events, execution_id(number))
    await events.publish(event())
    pass_time(events, RELAY_MS)
    [tag] = await events.pending()
    taken = [await events.claim(tag, limit=2, claim_ms=1_000) for _ in range(4)]
    assert [len(some) for some in taken] == [2, 2, 1, 0]
    assert len({one.mark for some in taken for one in some}) == 5
    pass_time(events, 1_000)
    assert len(await events.claim(tag, limit=9, claim_ms=1_000)) == 5


async def test_a_claim_sent_twice_takes_nothing_else(events: TwiceEvents) -> None:
    """What was taken by the lost reply comes back when the claim lapses."""
    await waits(events)
    await events.publish(event())
    pass_time(events, RELAY_MS)
    [tag] = await events.pending()
    await events.claim(tag, limit=9, claim_ms=1_000)
    assert (len(events.log[-1].reply), events.log[-1].again) == (1, [])
