"""`eventually`, which other tests rely on: it waits, it gives what it found, and it gives up with a name."""

import asyncio

import pytest

from tests.support.waiting import eventually


async def test_it_gives_the_first_true_value() -> None:
    """Of a function, or of a coroutine function."""
    values = iter([0, "", None, "found"])
    assert await eventually(lambda: next(values), describe="a value") == "found"

    async def later() -> int:
        await asyncio.sleep(0)
        return 7

    assert await eventually(later, describe="seven") == 7


async def test_it_says_what_never_came_about() -> None:
    """With the last value it saw."""
    with pytest.raises(AssertionError, match=r"never came about within 0.01 s: the end of the world \(last: 0\)"):
        await eventually(lambda: 0, within=0.01, describe="the end of the world")
