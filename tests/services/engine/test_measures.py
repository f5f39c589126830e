"""When an executor tells what it has measured."""

from functools import partial

from redis.asyncio import Redis

from services.step_executor.measures import Measures
from shared.background import Background
from shared.estimates import Estimates
from shared.redisdb.connect import connect
from shared.redisdb.latencies import Latencies
from tests.support.valkey import free_port
from tests.support.waiting import eventually


async def test_a_call_that_is_answered_after_a_round_is_told_in_the_next(redis: Redis) -> None:
    """Though no segment begins any more."""
    estimates, latencies, background = Estimates(), Latencies(redis), Background()
    measures = Measures(estimates, latencies, background, every_s=0.5)

    async def told(tool: str) -> bool:
        return tool in await latencies.all()

    measures.share()
    for tool in ("buy_bread", "bake_bread"):
        assert not await told(tool)
        estimates.add(tool, 40)
        await eventually(partial(told, tool), describe=f"{tool} is told")
    await background.close()


async def test_what_redis_did_not_take_is_told_the_next_time() -> None:
    """And is no error of whoever measured."""
    estimates, nobody = Estimates(), connect(f"redis://127.0.0.1:{free_port()}/0")
    estimates.add("buy_bread", 40)
    await Measures(estimates, Latencies(nobody), Background()).tell()
    await nobody.aclose()
    assert set(estimates.usual(0)) == {"buy_bread"}
