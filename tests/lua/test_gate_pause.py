"""gate_pause.lua: PAUSED 0, ALREADY 1."""

from typing import Any

from shared.gate_ports import AUDIT_MOST, tool_gate
from shared.redisdb import keys
from tests.support.gatekeeping import TOOL
from tests.support.stores import TwiceGates


async def test_paused_is_noted_once(gates: TwiceGates) -> None:
    """Sent twice it is the same pause."""
    await gates.pause(tool_gate(TOOL), actor="ann", reason="x")
    assert gates.codes == (0, 1)
    assert gates.log[-1].reply[1] == gates.log[-1].again[1]
    assert len(await gates.audit(limit=9)) == 1


async def test_the_audit_is_bounded(gates: TwiceGates) -> None:
    """The oldest lines leave."""
    gates.filling = True
    for number in range(AUDIT_MOST + 3):
        await gates.pause(tool_gate(TOOL), actor="ann", reason=f"{number}")
    redis: Any = gates.redis
    assert await redis.xlen(keys.gates_audit()) == AUDIT_MOST
    [last] = await gates.audit(limit=1)
    assert last["reason"] == f"{AUDIT_MOST + 2}"
