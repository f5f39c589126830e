"""`GET /api/events` over real HTTP: everything of a tenant, each execution in order, from a cursor on nothing twice."""

import asyncio
from collections import defaultdict
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.live import cursor as cursors
from shared.live.cursor import Cursor
from shared.redisdb import keys
from tests.services.engine.site import KEY
from tests.services.engine.support import Stage, chain
from tests.services.engine.test_live import AUTH, OTHER, Place, line, place
from tests.support.sse import Listener, listening
from tests.support.waiting import eventually

__all__ = ["place"]


def by_execution(*found: Listener) -> dict[str, list[str]]:
    """The ids of the lines, in the order in which they came."""
    told: dict[str, list[str]] = defaultdict(list)
    for one in found:
        for data in one.lines:
            told[data["executionId"]].append(data["id"])
    return dict(told)


async def histories(stage: Stage, *executions: str) -> dict[str, list[str]]:
    """The same, as it is stored."""
    return {one: [entry["id"] for entry in await stage.reader.history(one, "acme")] for one in executions}


async def test_everything_of_a_tenant_is_told_each_execution_in_order(
    stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Also what begins after the reader came; with where the execution stands, and nothing of another tenant's."""
    async with (
        listening(client, f"{place.url}/api/events", **AUTH) as found,
        listening(client, f"{place.url}/api/events", **OTHER) as others,
    ):
        executions = [await stage.create(chain(5), partition=pp) for pp in ("00", "0a", "0a", "3f")]
        await asyncio.gather(*map(stage.run, executions))
        wanted = await histories(stage, *executions)
        await eventually(lambda: by_execution(found) == wanted, within=60, describe="every line of each, in order")
        assert others.told == []
    for execution in executions:
        last = [data for data in found.lines if data["executionId"] == execution][-1]
        assert (last["status"], last["version"]) == ("COMPLETED", int((await stage.header(execution))["ver"]))
        assert "event" in last


async def test_a_reader_that_comes_back_is_told_exactly_what_it_missed(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Whenever it leaves, also in the middle of what one commit wrote, and whatever happens meanwhile."""
    executions = [await stage.create(chain(1), partition=pp) for pp in ("00", "0a", "0a", "3f")]
    pieces: list[Listener] = []
    cursor = ""
    total = 240

    async def write() -> None:
        for number in range(total):
            await line(redis, executions[number % 4], number)

    async with listening(client, f"{place.url}/api/events", **AUTH) as first:
        cursor = first.last_id
    writing = asyncio.create_task(write())
    while sum(len(one.lines) for one in pieces) < total:
        done = sum(len(one.lines) for one in pieces)
        async with listening(client, f"{place.url}/api/events", **AUTH, **{"Last-Event-ID": cursor}) as found:
            await eventually(lambda: len(found.lines) >= min(total - done, 29), within=60, describe="more lines")  # noqa: B023 - awaited
            told = [one for one in found.told if not one.name][:29]
            found.told[:] = told
            cursor = told[-1].id
        pieces.append(found)
    await writing
    wanted = {one: ids[1:] for one, ids in (await histories(stage, *executions)).items()}
    assert by_execution(*pieces) == wanted


async def test_a_cursor_in_the_middle_of_a_commits_lines_goes_on_behind_that_line(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Each of its lines has a cursor of its own."""
    execution = await stage.create(chain(1))
    async with listening(client, f"{place.url}/api/events", **AUTH) as found:
        ids: list[Any] = [await redis.xadd(keys.history(execution), {"l": '{"event":"noted"}'}) for _ in range(3)]
        told: Any = {"x": execution, "a": ids[0], "z": ids[2]}
        await redis.xadd(keys.news(keys.partition_of(execution)), told)
        await eventually(lambda: len(found.lines) == 3, within=60, describe="three lines")
        for number, one in enumerate(list(found.told)):
            async with listening(client, f"{place.url}/api/events?after={one.id}", **AUTH) as again:
                added = await line(redis, execution, number)
                await eventually(lambda: added in again.ids, within=60, describe="the newest")  # noqa: B023 - awaited here
                assert again.ids[: 2 - number] == [entry.decode() for entry in ids[number + 1 :]]


async def test_a_feed_can_be_of_some_executions_or_of_those_in_some_status(
    stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """Both can be given several times or with commas; what is no status is refused by name."""
    one, two = await stage.create(chain(2)), await stage.create(chain(2))
    url = f"{place.url}/api/events"
    async with (
        listening(client, f"{url}?execution={one}", **AUTH) as of_one,
        listening(client, f"{url}?status=COMPLETED,FAILED", **AUTH) as over,
        listening(client, f"{url}?execution={one}&execution={two}&status=SUSPENDED", **AUTH) as none,
    ):
        for execution in (one, two):
            await stage.run(execution)
        whole = await histories(stage, one, two)
        await eventually(lambda: by_execution(of_one) == {one: whole[one][1:]}, within=60, describe="the lines of one")
        await eventually(lambda: {data["executionId"] for data in over.lines} == {one, two}, within=60, describe="both ends")
        assert {data["status"] for data in over.lines} == {"COMPLETED"}
        assert none.lines == []
    answer = await client.get(f"{url}?status=DONE", headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["details"]["at"]) == (400, "status")


async def test_a_cursor_that_is_no_longer_known_is_reset_and_goes_on_from_now(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """More has happened than is kept, or the store began anew; what was never a cursor is refused."""
    execution = await stage.create(chain(1))
    url = f"{place.url}/api/events"
    async with listening(client, url, **AUTH) as found:
        await line(redis, execution, 1)
        await eventually(lambda: found.lines, within=60, describe="a line")
    await redis.xtrim(keys.news(keys.partition_of(execution)), maxlen=0, approximate=False)
    for number in range(3):
        await line(redis, execution, number)
    for cursor in (found.told[0].id, cursors.text(Cursor(1, {}))):
        async with listening(client, url, **AUTH, **{"Last-Event-ID": cursor}) as again:
            await eventually(lambda: again.named("reset"), within=60, describe="it is told so")
            added = await line(redis, execution, 9)
            await eventually(lambda: added in again.ids, within=60, describe="what comes then")  # noqa: B023 - awaited here
            assert [again.told[0].name, found.ids[0] in again.ids] == ["reset", False]
    answer = await client.get(f"{url}?after=yesterday!", headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["details"]["at"]) == (400, "after")


async def test_a_quiet_feed_says_its_place_with_every_sign_of_life(
    redis: Redis, stage: Stage, place: Place, client: httpx.AsyncClient
) -> None:
    """So a reader whose filter lets nothing through is not told to begin anew."""
    place.live.heartbeat_s = 0.05
    execution = await stage.create(chain(1))
    async with listening(client, f"{place.url}/api/events?status=FAILED", **AUTH) as found:
        before = found.last_id
        await line(redis, execution, 1)
        await eventually(lambda: found.last_id != before, within=60, describe="its place has moved on")
        assert found.told == []


place_numbers = st.tuples(st.integers(0, 10**13), st.integers(0, 10**6), st.integers(0, 50))


@given(floor=st.integers(0, 10**13), at=st.dictionaries(st.sampled_from(keys.all_partitions()), place_numbers))
def test_a_cursor_reads_as_it_was_written(floor: int, at: dict[str, tuple[int, int, int]]) -> None:
    """Of every partition the latest place that was told."""
    cursor = Cursor(floor, at)
    again = cursors.read(cursors.text(cursor))
    assert again is not None
    for partition in keys.all_partitions():
        assert again.behind(partition)[:2] == cursor.behind(partition)[:2]


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_cursors(said: str) -> None:
    """It is one, or it is none."""
    found = cursors.read(said)
    assert found is None or all(found.behind(partition) >= (found.floor_ms, 0, 0) for partition in keys.all_partitions())


@pytest.mark.parametrize("path", ["/api/events"])
async def test_a_feed_needs_a_key(path: str, place: Place, client: httpx.AsyncClient) -> None:
    """A wrong one is refused."""
    answer = await client.get(place.url + path, headers={"Authorization": f"Bearer {KEY}x"})
    assert answer.status_code == 401
