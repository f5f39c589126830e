"""Ably as the engine meets it: an event reaches whoever listens, sometimes twice, late, or never; and nothing depends on it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from shared.ports import Entry
from shared.simulation import processes
from shared.simulation.faults import Faults
from shared.simulation.noise import Noise
from shared.simulation.timeline import Timeline


class Ably:
    """The one Ably of a run; each process publishes to it. `deliver` is the resume service's subscriber."""

    def __init__(self, *, faults: Faults, noise: Noise, timeline: Timeline, dead: bool) -> None:
        """`dead`: it cannot be reached, for ever."""
        self.deliver: Callable[[Entry], Awaitable[None]]
        self.counts: Counter[str] = Counter()
        self.on_the_way = 0
        self._faults = faults
        self._noise = noise
        self._timeline = timeline
        self._dead = dead

    async def hint(self, entry: Entry) -> str:
        """See `shared.ports.Channel`."""
        processes.must_live()
        self.counts["hints"] += 1
        await asyncio.sleep(self._noise.net_s())
        if self._dead:
            return "Ably is not reachable (simulated)"
        fault = self._faults.one("mesh")
        kind, ms = (fault.kind, fault.ms) if fault else ("", 0)
        if kind == "refused":
            return "Ably answered 500 (simulated)"
        self._timeline.say("ably", f"takes a hint at segment {entry.segment}{f', and {kind}s it' if kind else ''}")
        if kind != "drop":
            self._start(entry, ms if kind == "late" else 0)
        if kind == "duplicate":
            self._start(entry, ms)
        return ""

    def _start(self, entry: Entry, wait_ms: int) -> None:
        self.on_the_way += 1
        processes.outside(self._carry(entry, wait_ms))

    async def _carry(self, entry: Entry, wait_ms: int) -> None:
        try:
            await asyncio.sleep(wait_ms / 1000 + self._noise.net_s())
            await self.deliver(entry)
        finally:
            self.on_the_way -= 1
