"""Processes die and freeze between two steps of their code."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from shared.simulation import loop, processes
from shared.simulation.processes import Scope


def played(main: Coroutine[Any, Any, None]) -> None:
    """Run with the simulator's tasks."""

    async def inside() -> None:
        asyncio.get_running_loop().set_task_factory(processes.task_factory)
        await main

    loop.run(inside())


def test_a_killed_process_does_nothing_more_not_even_in_its_clean_up() -> None:
    """Its finally blocks run, because Python runs them, but every port refuses it."""
    did: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(5)
            did.append("worked")
        finally:
            processes.must_live()
            did.append("cleaned up in the world")

    async def main() -> None:
        scope = Scope("p")
        scope.start(work())
        await asyncio.sleep(1)
        scope.kill()
        await asyncio.sleep(10)

    played(main())

    assert did == []


def test_a_frozen_process_stands_still_while_time_passes() -> None:
    """It goes on where it was, later."""
    seen: list[float] = []

    async def work() -> None:
        while True:
            await asyncio.sleep(1)
            seen.append(round(asyncio.get_running_loop().time(), 3))

    async def main() -> None:
        scope = Scope("p")
        scope.start(work())
        await asyncio.sleep(2.5)
        scope.freeze()
        await asyncio.sleep(5)
        scope.thaw()
        await asyncio.sleep(1.7)
        scope.kill()

    played(main())

    assert seen == [1.0, 2.0, 7.5, 8.5]


def test_tasks_made_inside_belong_to_the_process_and_what_is_outside_does_not() -> None:
    """A request on the wire outlives its sender."""
    did: list[str] = []

    async def note(name: str) -> None:
        await asyncio.sleep(2)
        did.append(name)

    async def work() -> None:
        inside = asyncio.create_task(note("inside"))
        wire = processes.outside(note("on the wire"))
        await asyncio.gather(inside, asyncio.shield(wire))

    async def main() -> None:
        scope = Scope("p")
        scope.start(work())
        await asyncio.sleep(1)
        scope.kill()
        await asyncio.sleep(5)

    played(main())

    assert did == ["on the wire"]


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_process_dies_before_the_step_that_was_chosen(place: int) -> None:
    """The n-th resumption is a place in the code: the same in every run."""
    did: list[int] = []
    steps = 0

    def count(scope: Scope) -> None:
        nonlocal steps
        steps += 1
        if steps == place:
            scope.kill()

    async def work() -> None:
        for number in range(5):
            did.append(number)
            await asyncio.sleep(1)

    async def main() -> None:
        scope = Scope("p")
        scope.on_step = count
        scope.start(work())
        await asyncio.sleep(20)

    played(main())

    assert did == list(range(place - 1))
