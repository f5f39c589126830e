"""gate_standing.lua: {0, now, closed, counts ...}."""

from typing import Any

from shared.gate_ports import circuit
from tests.support.executions import NOW
from tests.support.gatekeeping import TOOL, Reports
from tests.support.stores import TwiceGates


async def test_it_reads_and_leaves_nothing(gates: TwiceGates) -> None:
    """Of nothing there is nothing; the second time it says the same."""
    await gates.standing([TOOL, "do_work"])
    assert gates.log[-1].reply == gates.log[-1].again == [0, NOW, [], [0, 0, 0], [0, 0, 0]]
    redis: Any = gates.redis
    assert await redis.keys("*") == []


async def test_counts_are_in_the_order_of_the_keys(gates: TwiceGates) -> None:
    """And an open circuit is among what is closed."""
    reports = Reports(gates)
    await reports.bad(2, successes=1)
    await gates.standing(["do_work", TOOL])
    assert gates.log[-1].reply == [0, NOW, [], [0, 0, 0], [1, 4, 2]]
    await reports.bad(2)
    found = await gates.standing([TOOL])
    assert list(found.closed) == [circuit(TOOL)]
