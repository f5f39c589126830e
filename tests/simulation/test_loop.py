"""Virtual time."""

import asyncio
import time

import pytest

from shared.simulation import loop


def test_a_day_is_over_at_once_and_timers_keep_their_order() -> None:
    """The clock jumps; what was to come first comes first."""
    came: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        came.append((name, round(asyncio.get_running_loop().time(), 3)))

    async def main() -> None:
        await asyncio.gather(sleeper("day", 86_400), sleeper("blink", 0.1), sleeper("hour", 3_600))

    began = time.monotonic()
    loop.run(main())

    assert came == [("blink", 0.1), ("hour", 3_600.0), ("day", 86_400.0)]
    assert time.monotonic() - began < 3_600  # an hour of real time would mean that somebody waited


def test_waiting_for_what_can_never_come_is_an_error_and_no_hang() -> None:
    """Nothing ready, no timer: the loop says so."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(loop.Stuck, match="nothing is on its way"):
        loop.run(main())


def test_a_thread_is_refused() -> None:
    """Its time would be real."""

    async def main() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match=r"asyncio\.sleep only"):
        loop.run(main())


def test_what_still_runs_at_the_end_is_cancelled() -> None:
    """No task outlives its loop."""
    ended: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        assert not task.done()

    loop.run(main())

    assert ended == ["cancelled"]
