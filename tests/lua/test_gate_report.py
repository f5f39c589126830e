"""gate_report.lua: CLEAN 0, COUNTED 1, OPEN 2."""

from typing import Any

from shared.redisdb import keys
from tests.support.executions import NOW
from tests.support.gatekeeping import POLICY, TOOL, Reports
from tests.support.meetings import pass_time
from tests.support.stores import TwiceGates


async def test_clean(gates: TwiceGates) -> None:
    """A good call of a clean tool leaves nothing."""
    await gates.succeeded(TOOL)
    assert gates.codes == (0, 0)
    redis: Any = gates.redis
    assert await redis.keys("*") == []


async def test_counted(gates: TwiceGates) -> None:
    """Sent twice a report counts once; the count ends by itself."""
    await Reports(gates).bad(2, successes=4)
    assert gates.log[-1].reply == gates.log[-1].again == [1, 1]
    redis: Any = gates.redis
    found = await redis.hgetall(keys.breaker(TOOL))
    assert (found[b"row"], found[b"calls"], found[b"bad"]) == (b"1", b"10", b"2")
    assert 0 < await redis.pttl(keys.breaker(TOOL)) <= POLICY.window_ms


async def test_open(gates: TwiceGates) -> None:
    """Both calls answer the same gate; a bad probe opens it once more, not twice."""
    reports = Reports(gates)
    await reports.bad(3)
    assert gates.codes == (2, 2)
    assert gates.log[-1].reply == gates.log[-1].again
    pass_time(gates, POLICY.open_ms)
    await gates.probe(TOOL, token="a")
    found = await reports.bad()
    assert gates.codes == (2, 2)
    assert found is not None
    assert (found.times, found.until_ms) == (2, NOW + 3 * POLICY.open_ms)


async def test_the_record_has_each_line_once(gates: TwiceGates) -> None:
    """However often the command was sent."""
    await Reports(gates).bad(3)
    pass_time(gates, POLICY.open_ms)
    await gates.probe(TOOL, token="a")
    await gates.succeeded(TOOL)
    assert gates.codes == (0, 0)
    assert [line["what"] for line in await gates.trips(limit=9)] == ["closed", "opened"]
