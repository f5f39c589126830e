"""gate_probe.lua: YOURS 0, OPEN 1, CLOSED 2."""

from tests.support.executions import NOW
from tests.support.gatekeeping import POLICY, TOOL, Reports
from tests.support.meetings import pass_time
from tests.support.stores import TwiceGates


async def test_every_answer(gates: TwiceGates) -> None:
    """Sent twice the caller still has it."""
    assert await gates.probe(TOOL, token="a") == 0
    assert gates.codes == (2, 2)
    await Reports(gates).bad(3)
    assert await gates.probe(TOOL, token="a") == NOW + POLICY.open_ms
    assert gates.codes == (1, 1)
    pass_time(gates, POLICY.open_ms)
    assert await gates.probe(TOOL, token="a") == 0
    assert gates.codes == (0, 0)
    assert await gates.probe(TOOL, token="b") == NOW + POLICY.open_ms + POLICY.probe_ms
    assert gates.codes == (1, 1)
