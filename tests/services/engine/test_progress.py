"""Progress that is told: watchers get what the history has, once each and in order; without watchers it costs nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from shared.ably import engine_publisher, execution_channel
from shared.interpret import Interpreter
from shared.progress import MOST_BYTES, Progress, messages
from shared.redisdb.connect import connect
from shared.redisdb.progress import PAGE, RedisProgress, Untold
from shared.relay import Sender
from tests.services.ably_dev.support import Server
from tests.services.ably_dev.support import serving as serving_ably
from tests.services.engine.support import TENANT, Stage, chain, configured, really
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

HOUR_MS = 3_600_000


@pytest.fixture
async def ably(redis: Redis, valkey: Valkey) -> AsyncIterator[Server]:
    """Ably's stand-in, in this process."""
    async with serving_ably(valkey.url) as found:
        yield found
    await redis.flushall()  # its keys are no keys of the engine's, which other tests look at


@asynccontextmanager
async def telling(redis: Redis, url: str) -> AsyncIterator[Progress]:
    """A process's progress, published there."""
    publisher = engine_publisher(configured(ABLY_URL=url))
    assert publisher is not None
    progress = Progress(RedisProgress(redis), publisher)
    try:
        yield progress
    finally:
        await progress.close()
        await publisher.close()


def with_progress(stage: Stage, progress: Progress | None) -> Stage:
    """The stage, with watchers told."""
    stage.interpreter = Interpreter(
        store=stage.store,
        sender=Sender(stage.queue, stage.acks),
        tools=stage.tools,
        clock=stage.clock,
        limits=stage.limits,
        progress=progress,
    )
    return stage


@asynccontextmanager
async def watched(redis: Redis, url: str, count: int, **limits: int) -> AsyncIterator[tuple[Stage, str, Progress]]:
    """An execution of so many steps that somebody watches from its creation on."""
    async with telling(redis, url) as progress:
        stage = with_progress(really(redis, **limits), progress)
        execution = await stage.create(chain(count))
        assert await stage.store.watch(execution, tenant=TENANT, for_ms=HOUR_MS)
        yield stage, execution, progress


async def told(ably: Server, execution: str) -> list[dict[str, Any]]:
    """The data of every message on an execution's channel, in order."""
    found = await ably.history(execution_channel(execution), direction="forwards", limit="1000")
    assert {message["name"] for message in found} <= {"progress"}
    assert all(message["id"] == f"pr-{execution}-{events_of([message])[-1]['id']}" for message in found)
    return [json.loads(message["data"]) for message in found]


def events_of(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Their lines."""
    return [event for one in found for event in (json.loads(one["data"]) if "data" in one else one)["events"]]


async def behind_creation(stage: Stage, execution: str) -> list[dict[str, Any]]:
    """What the history endpoint shows, but for the line that was there before anybody watched."""
    return (await stage.reader.history(execution, TENANT))[1:]


# what a watcher gets


async def test_a_watcher_is_told_every_line_as_the_history_shows_it_and_the_end(redis: Redis, ably: Server) -> None:
    """Same ids, same order, nothing twice; the last message has the status."""
    async with watched(redis, ably.url, 5) as (stage, execution, _):
        assert (await stage.run(execution)).result == "COMPLETED"
        await eventually(lambda: ended(ably, execution), describe="the end is told")
        found = await told(ably, execution)
        assert events_of(found) == await behind_creation(stage, execution)
        assert found[-1]["status"] == "COMPLETED"
        assert {one["executionId"] for one in found} == {execution}
        assert len(found) <= 4  # five steps in no time: together, not one by one


async def ended(ably: Server, execution: str) -> bool:
    """Whether the channel says so."""
    found = await told(ably, execution)
    return bool(found) and found[-1].get("status") in {"COMPLETED", "FAILED"}


async def test_segments_go_on_where_the_one_before_stopped(redis: Redis, ably: Server) -> None:
    """Each in a process of its own."""
    async with watched(redis, ably.url, 3, steps_per_message=1) as (stage, execution, _):
        for _number in range(3):
            async with telling(redis, ably.url) as another:
                await with_progress(stage, another).run(execution)
        found = await told(ably, execution)
        assert events_of(found) == await behind_creation(stage, execution)
        assert found[-1]["status"] == "COMPLETED"


async def test_a_watch_in_the_middle_of_a_segment_hears_of_its_end(redis: Redis, ably: Server) -> None:
    """An execution that is over within its first segment is the usual one."""
    async with telling(redis, ably.url) as progress:
        stage = with_progress(really(redis), progress)
        go = asyncio.Event()

        async def wait(*_: Any) -> Any:
            await go.wait()
            return await type(stage.tools)().run(*_)

        stage.tools.acts["s0"] = wait
        execution = await stage.create(chain(2))
        running = asyncio.create_task(stage.run(execution))
        await eventually(lambda: bool(stage.tools.started), describe="the first step is under way")
        before = len(await stage.reader.history(execution, TENANT))
        await stage.store.watch(execution, tenant=TENANT, for_ms=HOUR_MS)
        go.set()
        assert (await running).result == "COMPLETED"
        await eventually(lambda: ended(ably, execution), describe="the end is told")
        assert events_of(await told(ably, execution)) == (await stage.reader.history(execution, TENANT))[before:]


async def test_an_end_that_was_not_told_is_told_when_its_message_comes_again(redis: Redis, ably: Server) -> None:
    """Whoever ended it died before: QStash delivers once more, because nobody answered."""
    stage = with_progress(really(redis), None)
    execution = await stage.create(chain(1))
    await stage.store.watch(execution, tenant=TENANT, for_ms=HOUR_MS)
    await stage.run(execution)
    assert await told(ably, execution) == []
    async with telling(redis, ably.url) as progress:
        assert (await with_progress(stage, progress).run(execution, segment=0)).result == "terminal"
        await eventually(lambda: ended(ably, execution), describe="the end is told")
    assert events_of(await told(ably, execution)) == await behind_creation(stage, execution)


async def test_what_two_processes_tell_counts_once(redis: Redis, ably: Server) -> None:
    """The first died between its publish and its note of it: the same message goes out again under the same id."""
    async with watched(redis, ably.url, 2) as (stage, execution, _):
        await stage.run(execution)
        await eventually(lambda: ended(ably, execution), describe="the end is told")
        before = await told(ably, execution)
        await redis.hset(f"ie:{{p{execution[4:6]}}}:x:{execution}", "told", before[-1]["events"][0]["id"])
        async with telling(redis, ably.url) as another:
            another.moved(execution)
        assert await told(ably, execution) == before


# what it costs


async def commands(redis: Redis) -> dict[str, int]:
    """How often each command ran since the counters were reset."""
    found: dict[str, dict[str, int]] = await redis.info("commandstats")
    return {name: one["calls"] for name, one in found.items() if "info" not in name and "config" not in name}


async def test_an_execution_that_nobody_watches_costs_nothing(redis: Redis, ably: Server) -> None:
    """Not one more command in Redis, and no message."""
    costs = []
    async with telling(redis, ably.url) as progress:
        for one in (None, progress):
            stage = with_progress(really(redis), one)
            execution = await stage.create(chain(4))
            await stage.run(execution)  # plans are compiled, scripts are loaded
            execution = await stage.create(chain(4))
            await redis.config_resetstat()
            assert (await stage.run(execution)).result == "COMPLETED"
            costs.append(await commands(redis))
            assert dict(stage.store.calls) == {"acquire": 1, "begin": 1, "commit": 4}
            assert await told(ably, execution) == []
    assert costs[0] == costs[1]
    assert "cmdstat_xrange" not in costs[1]


async def test_a_watched_execution_has_no_more_commands_of_its_own(redis: Redis, ably: Server) -> None:
    """Telling reads beside it."""
    async with watched(redis, ably.url, 4) as (stage, execution, _):
        stage.store.calls.clear()
        assert (await stage.run(execution)).result == "COMPLETED"
        assert dict(stage.store.calls) == {"acquire": 1, "begin": 1, "commit": 4}


@pytest.mark.parametrize("fault", [{"kind": "refuse", "code": 50000, "status": 500}, {"kind": "slow", "ms": 2_000}])
async def test_an_ably_that_does_not_take_it_delays_no_end_and_fails_nothing(
    redis: Redis, ably: Server, fault: dict[str, Any]
) -> None:
    """The segment is answered; what was not told goes out with the next one."""
    async with watched(redis, ably.url, 2, steps_per_message=1) as (stage, execution, _):
        await ably.fault(fault)
        with capture_logs() as logs:
            assert (await stage.run(execution)).result == "checkpointed"
            await eventually(lambda: any(log["event"] == "progress.not_told" for log in logs), describe="it is in the log")
        await ably.fault()
        assert (await stage.run(execution)).result == "COMPLETED"
        await eventually(lambda: ended(ably, execution), describe="the end is told")
        assert once(events_of(await told(ably, execution))) == await behind_creation(stage, execution)


def once(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As a reader must take them: a line whose id it has had is a repeat. Here Ably took what it did not answer in time."""
    return list({event["id"]: event for event in events}.values())


class Stuck:
    """A publisher that never returns."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def publish(self, channel: str, *, id: str, name: str, data: Any) -> str:  # noqa: A002, ARG002 - the port's
        """See `shared.progress.Telling`."""
        self.asked += 1
        await self.go.wait()
        return ""


async def test_one_publish_at_a_time_and_nobody_waits_for_it(redis: Redis) -> None:
    """A segment ends while its first line is still being told."""
    publisher = Stuck()
    progress = Progress(RedisProgress(redis), publisher)
    stage = with_progress(really(redis), progress)
    execution = await stage.create(chain(6))
    await stage.store.watch(execution, tenant=TENANT, for_ms=HOUR_MS)
    assert (await stage.run(execution)).result == "COMPLETED"
    assert publisher.asked == 1
    publisher.go.set()
    await progress.close()
    assert publisher.asked == 2  # the first line, and all that came behind it


async def test_redis_away_is_a_line_in_the_log(redis: Redis) -> None:
    """And a record that is gone is nothing to tell."""
    gone = connect("redis://127.0.0.1:9/0")
    progress = Progress(RedisProgress(gone), Stuck())
    with capture_logs() as logs:
        progress.moved("exe_0a_" + "0" * 32)
        await progress.close()
    assert {log["event"] for log in logs} == {"progress.not_told"}
    nobody = Progress(RedisProgress(redis), Stuck())
    nobody.moved("exe_0a_" + "0" * 32)
    await nobody.close()
    await gone.aclose()


# messages


def line(number: int, text: str = "") -> dict[str, Any]:
    """A line of a history."""
    return {"id": f"{number}-0", "event": "step.done", "step": f"s{number}", "detail": {"text": text}}


@pytest.mark.parametrize("letter", ["x", "ü", "漢", "😀"])
def test_every_message_is_small_enough_for_ably_and_together_they_are_all(letter: str) -> None:
    """As the official client writes them, which spends six bytes on a letter."""
    lines = [line(number, letter * 997) for number in range(PAGE)]
    found = list(messages("exe", Untold(events=lines, status="EXECUTING", more=False)))
    assert [event for data in found for event in data["events"]] == lines
    assert max(len(json.dumps(data)) for data in found) < 65_536 - 1_000
    assert [data.get("status") for data in found] == [None] * (len(found) - 1) + ["EXECUTING"]


def test_a_line_that_is_too_large_alone_goes_without_its_detail() -> None:
    """The history has it."""
    huge = line(1, "x" * MOST_BYTES)
    [data] = messages("exe", Untold(events=[huge, line(2)], status="EXECUTING", more=False))
    size = len(json.dumps(huge)) + 2
    assert data["events"] == [huge | {"detail": {"left_out": True, "bytes": size}}, line(2)]
    assert msgspec.json.decode(msgspec.json.encode(data)) == data


def test_the_status_stands_in_no_message_that_others_follow() -> None:
    """It would say more than the lines before it."""
    [data] = messages("exe", Untold(events=[line(1)], status="COMPLETED", more=True))
    assert "status" not in data
    assert list(messages("exe", Untold(events=[], status="COMPLETED", more=False))) == []


async def test_a_history_of_more_than_a_page_is_told_whole(redis: Redis, ably: Server) -> None:
    """Page by page, in order."""
    async with watched(redis, ably.url, 1) as (_, execution, progress):
        key = f"ie:{{p{execution[4:6]}}}:h:{execution}"
        for number in range(PAGE + 7):
            await redis.xadd(key, {"l": json.dumps({"event": "step.done", "step": f"s{number}"})})
        progress.moved(execution)
        await progress.close()
        found = events_of(await told(ably, execution))
        assert [event["step"] for event in found] == [f"s{number}" for number in range(PAGE + 7)]
