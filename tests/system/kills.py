"""SIGKILL at moments that a seed chooses: the same seed kills the same processes at the same places of a history."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import httpx

from tests.system.disk import Disk
from tests.system.harness import System, until

KILLED: Final = ("step_executor", "resume", "qstash_dev")
POWER: Final = "power"
"""The store's machine goes down: what it had not synced is gone."""
MOST_WAIT_S: Final = 0.4


class Kill(NamedTuple):
    """One kill: once the history has so many lines and so many seconds more have passed."""

    lines: int
    wait_s: float
    name: str


def drawn(seed: int, count: int, *, lines: int, names: Sequence[str] = KILLED) -> list[Kill]:
    """`count` kills over a history of about `lines` lines, the executor's twice as often as the others'."""
    chance = random.Random(seed)
    weights = [2 if name == "step_executor" else 1 for name in names]
    places = sorted(chance.sample(range(1, lines), count))
    return [Kill(place, chance.uniform(0, MOST_WAIT_S), chance.choices(names, weights)[0]) for place in places]


class Killer:
    """Carries out kills while an execution runs, and starts what it killed again."""

    def __init__(self, system: System, execution: str, kills: Sequence[Kill], disk: Disk | None = None) -> None:
        """`disk`: what a kill named `power` takes the power from."""
        self._disk = disk
        self._system = system
        self._execution = execution
        self._kills = kills
        self.done: list[Kill] = []
        self.cutting = asyncio.Lock()
        """Held during a power cut: what is seen meanwhile may be taken back."""

    async def run(self) -> None:
        """Until all are done; whoever waits for the execution's end cancels what is left."""
        for kill in self._kills:
            await until(lambda at=kill.lines: self._so_far(at), within=90, describe=f"a history of {kill.lines} lines")  # type: ignore[misc] # mypy infers no type for a lambda with a default
            if kill.name == POWER and self._disk is not None:
                await self._cut(self._disk, kill.wait_s)
            else:
                await asyncio.sleep(kill.wait_s)  # the point is a moment that nobody chose for its place in the code
                await self._system.restart(kill.name)
            self.done.append(kill)

    async def _cut(self, disk: Disk, wait_s: float) -> None:
        async with self.cutting:
            await disk.stall()
            await asyncio.sleep(wait_s)
            await disk.lose_power()

    async def _so_far(self, lines: int) -> bool:
        try:
            return len(await self._system.history(self._execution)) >= lines
        except (httpx.HTTPError, AssertionError):
            return False
