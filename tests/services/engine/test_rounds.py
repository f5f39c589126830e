"""The resume service's rounds: they go on whatever one of them meets, and do not keep step."""

import asyncio
import itertools

import pytest

from services.resume import main
from shared.background import Background
from shared.errors import Unavailable
from tests.support.waiting import eventually


async def test_rounds_go_on_after_one_that_fails_and_one_that_crashes() -> None:
    """The watchdog is what everything else relies on."""
    rounds = itertools.count()
    seen: list[int] = []

    async def work() -> int:
        seen.append(next(rounds))
        if seen[-1] == 0:
            raise Unavailable("Redis does not answer")
        if seen[-1] == 1:
            raise ValueError("an odd record")
        return 0

    found = Background()
    found.start(main.repeat("sweep", work, 0.001, found))
    await eventually(lambda: len(seen) > 3, describe="rounds after the crash")
    await found.close()


async def test_a_round_under_way_ends_before_the_service_does() -> None:
    """Cancelled in the middle of a command it would leave its connection open."""
    ended: list[bool] = []
    began = asyncio.Event()

    async def work() -> int:
        began.set()
        await asyncio.sleep(0.05)
        ended.append(True)
        return 0

    found = Background()
    found.start(main.repeat("sweep", work, 0.001, found))
    await began.wait()
    await found.close()
    assert ended


@pytest.mark.parametrize(("chance", "pause_s"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_a_pause_is_half_to_all_of_the_period(chance: float, pause_s: float) -> None:
    """So SWEEP_MS bounds what an idle watchdog adds to a recovery."""
    assert main.pause(1.0, chance) == pause_s
