"""Builders for gates."""

from typing import Protocol

from shared.gate_ports import Gate, GateStore, Policy

POLICY = Policy(in_a_row=3, calls=10, percent=50, window_ms=30_000, open_ms=10_000, open_most_ms=35_000, probe_ms=5_000)
TOOL = "book_ride"


class ClockedGates(GateStore, Protocol):
    """Gates whose clock the test holds."""

    now_ms: int | None


class Reports:
    """Failures with an id each."""

    def __init__(self, gates: GateStore) -> None:
        self._gates = gates
        self._number = 0

    async def bad(self, times: int = 1, *, successes: int = 0) -> Gate | None:
        """So many calls fail, with so many good ones before each."""
        found = None
        for _ in range(times):
            self._number += 1
            found = await self._gates.failed(TOOL, report=f"report {self._number}", successes=successes)
        return found
