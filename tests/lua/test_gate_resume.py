"""gate_resume.lua: {0, how many}."""

from typing import Any

from shared.gate_ports import circuit, tool_gate
from tests.support.gatekeeping import TOOL, Reports
from tests.support.stores import TwiceGates


async def test_what_was_closed_is_open_and_noted(gates: TwiceGates) -> None:
    """Once; what was not closed is not on record."""
    await gates.pause(tool_gate(TOOL), actor="ann", reason="x")
    assert await gates.resume(tool_gate(TOOL), circuit(TOOL), actor="bob", reason="y") == 1
    assert gates.log[-1].again == [0, 0]
    assert [line["what"] for line in await gates.audit(limit=9)] == ["resumed", "paused"]


async def test_failures_are_forgotten_with_their_circuit(gates: TwiceGates) -> None:
    """Counted ones and the open circuit."""
    redis: Any = gates.redis
    for times in (2, 3):
        await Reports(gates).bad(times)
        await gates.resume(circuit(TOOL), actor="bob", reason="")
        assert await redis.keys("ie:{gates}:c*") == []
