"""SIGKILL at moments that a seed chooses: the same seed kills the same processes at the same places of a history."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import httpx

from tests.system.harness import System, until

KILLED: Final = ("step_executor", "resume", "qstash_dev")
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

    def __init__(self, system: System, execution: str, kills: Sequence[Kill]) -> None:
        self._system = system
        self._execution = execution
        self._kills = kills
        self.done: list[Kill] = []

    async def run(self) -> None:
        """Until all are done; whoever waits for the execution's end cancels what is left."""
        for kill in self._kills:
            await until(lambda at=kill.lines: self._so_far(at), within=90, describe=f"a history of {kill.lines} lines")  # type: ignore[misc] # mypy infers no type for a lambda with a default
            await asyncio.sleep(kill.wait_s)  # the point is a moment that nobody chose for its place in the code
            await self._system.restart(kill.name)
            self.done.append(kill)

    async def _so_far(self, lines: int) -> bool:
        try:
            return len(await self._system.history(self._execution)) >= lines
        except (httpx.HTTPError, AssertionError):
            return False
