"""What one process knows of the gates: read once a second at most, so that no call pays a round trip for it.

A good call costs nothing while the tool's circuit is closed and clean; a failure costs one command.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from shared.errors import Unavailable
from shared.gate_ports import Gate, GateStore, breaker_of, circuit, tenant_gate, tool_gate
from shared.logs import get_logger
from shared.ports import Clock

log = get_logger()

LOOK_MS: Final = 1_000
"""How old a process's knowledge may be."""
PAUSED_MS: Final = 300_000
"""When to look again at what is paused: nobody knows until when."""


class Gates:
    """One for a process. Times are unix ms by the store's clock, as a segment knows it."""

    def __init__(self, store: GateStore, clock: Clock) -> None:
        """`clock` tells how old the knowledge is."""
        self._store = store
        self._clock = clock
        self._known: dict[str, Gate] = {}
        self._looked_ms = float("-inf")
        self._looking = asyncio.Lock()
        self._good: dict[str, int] = defaultdict(int)
        """Good calls since this process's last report, by tool."""
        self._bad: set[str] = set()
        """Tools whose latest call in this process failed."""

    async def look(self) -> None:
        """Read what is closed, unless that was done just now. A store that is away leaves what was known."""
        async with self._looking:
            if self._clock.monotonic_ms() - self._looked_ms < LOOK_MS:
                return
            self._looked_ms = self._clock.monotonic_ms()
            try:
                self._known = dict(await self._store.closed())
            except Unavailable as error:
                log.warning("gates.not_read", error=error.message)

    def closed(self, tenant: str, tools: Collection[str], now_ms: int) -> Mapping[str, int]:
        """Which of these may not be called for this tenant, and when to ask again. Knows what `look` found.

        A circuit whose time has come is not among them: ask `probe` right before the call.
        """
        if not self._known:
            return {}
        found: dict[str, int] = {}
        everything = tenant_gate(tenant) in self._known
        for tool in tools:
            open_circuit = self._known.get(circuit(tool))
            if everything or tool_gate(tool) in self._known:
                found[tool] = now_ms + PAUSED_MS
            elif open_circuit is not None and open_circuit.until_ms > now_ms:
                found[tool] = open_circuit.until_ms
        return found

    def to_probe(self, tool: str) -> bool:
        """Whether `probe` has to be asked before a call."""
        return circuit(tool) in self._known

    async def probe(self, tool: str) -> int:
        """0: call it now, once. Else unix ms: somebody else tries it, ask again then. A store that is away forbids nothing."""
        try:
            until_ms = await self._store.probe(breaker_of(tool), token=secrets.token_hex(8))
        except Unavailable as error:
            log.warning("gates.not_asked", tool=tool, error=error.message)
            return 0
        known = self._known.get(circuit(tool))
        if until_ms and known is not None:
            self._known[circuit(tool)] = msgspec.structs.replace(known, until_ms=until_ms)
        return until_ms

    async def report(self, tool: str, *, ok: bool) -> None:
        """How a call ended. Not `ok`: the tool did not answer, or is broken; a refusal is an answer, and `ok`.

        A store that is away is not waited for: the next report comes soon enough.
        """
        try:
            await (self._went_well(breaker_of(tool)) if ok else self._failed(breaker_of(tool)))
        except Unavailable as error:
            log.warning("gates.not_told", tool=tool, ok=ok, error=error.message)

    async def _went_well(self, tool: str) -> None:
        if tool in self._bad or circuit(tool) in self._known:
            await self._store.succeeded(tool)
            self._bad.discard(tool)
            self._looked_ms = float("-inf")  # a good probe closed it, a call that began before it opened did not: see which
        self._good[tool] += 1

    async def _failed(self, tool: str) -> None:
        good, self._good[tool] = self._good[tool], 0
        self._bad.add(tool)
        gate = await self._store.failed(tool, report=secrets.token_hex(8), successes=good)
        if gate is None:
            return
        if circuit(tool) not in self._known or self._known[circuit(tool)].until_ms != gate.until_ms:
            log.warning("circuit.opened", tool=tool, reason=gate.reason, times=gate.times, until_ms=gate.until_ms)
        self._known[circuit(tool)] = gate
