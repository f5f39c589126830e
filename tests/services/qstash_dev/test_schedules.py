"""Schedules: when (pure), and what they publish (through the official client).

A cron's shortest step is a minute, so these tests make a schedule's time come by writing an earlier one where it is stored.
"""

import asyncio
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from qstash import QStash
from qstash.errors import QStashError
from redis.asyncio import Redis

from services.qstash_dev import schedules
from services.qstash_dev.users import DEV_USERS
from shared.errors import BadRequest
from tests.services.qstash_dev.support import Broker, Destination, Process, Valkey, answers, eventually, talking_to

PREFIX = DEV_USERS[0].keys.prefix


async def make_due(redis: Redis, schedule_id: str, ago_ms: int = 1_000) -> None:
    """The time of the schedule has come."""
    due_ms = int(time.time() * 1_000) - ago_ms
    await redis.hset(f"{PREFIX}s:{schedule_id}", "next", str(due_ms))
    await redis.zadd(f"{PREFIX}schedules", {schedule_id: due_ms})


def at(text: str) -> int:
    """Unix ms of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("cron", "after", "then"),
    [
        ("* * * * *", "2026-01-01T00:00:00", "2026-01-01T00:01:00"),
        ("*/15 9-17 * * mon-fri", "2026-01-02T17:45:00", "2026-01-05T09:00:00"),
        ("CRON_TZ=America/New_York 0 4 * * *", "2026-01-01T00:00:00", "2026-01-01T09:00:00"),
        ("CRON_TZ=America/New_York 0 4 * * *", "2026-07-01T00:00:00", "2026-07-01T08:00:00"),
        ("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-29T00:00:00", "2026-03-29T01:00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_time_is_after_now_in_the_cron_s_own_zone(cron: str, after: str, then: str) -> None:
    """Over a change of the clocks too."""
    assert schedules.next_ms(cron, at(after)) == at(then)


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "* * * * * *", "61 * * * *", "x", "CRON_TZ=No/Where * * * * *", "0 0 31 2 *", "@daily"]
)
def test_a_wrong_cron_is_refused(cron: str) -> None:
    """Also one whose time never comes."""
    with pytest.raises(BadRequest, match="cron"):
        schedules.read_cron(cron)


async def test_a_schedule_is_read_as_it_was_made(broker: Broker, there: Destination) -> None:
    """Every option the client knows; unset ones are absent."""
    api = broker.client.schedule
    schedule_id = await api.create(
        destination=there.url,
        cron="*/10 * * * *",
        body="text",
        content_type="text/plain",
        method="PUT",
        headers={"a": "b"},
        retries=1,
        retry_delay="1000",
        callback="http://127.0.0.1:1/c",
        failure_callback="http://127.0.0.1:1/f",
        delay=10,
        timeout=20,
        queue="q",
        flow_control={"key": "k", "rate": 2, "period": "1m"},
        label="l",
    )
    assert schedule_id.startswith("scd_")
    found = await api.get(schedule_id)
    assert (found.cron, found.destination, found.body, found.method) == ("*/10 * * * *", there.url, "text", "PUT")
    assert found.headers == {"A": ["b"], "Content-Type": ["text/plain"]}
    assert (found.retries, found.retry_delay_expression, found.delay, found.timeout) == (1, "1000", 10, 20)
    assert (found.callback, found.failure_callback) == ("http://127.0.0.1:1/c", "http://127.0.0.1:1/f")
    assert (found.queue, found.label, found.caller_ip, found.paused) == ("q", "l", "127.0.0.1", False)
    assert found.flow_control
    assert (found.flow_control.rate, found.flow_control.parallelism, found.flow_control.period) == (2, None, 60)
    assert found.next_schedule_time
    assert 0 < found.next_schedule_time - time.time() * 1_000 <= 600_000
    assert (found.last_schedule_time, found.last_schedule_states, found.error) == (None, None, None)
    assert [one.schedule_id for one in await api.list()] == [schedule_id]


async def test_a_cron_is_trimmed(broker: Broker, there: Destination) -> None:
    """As the SDKs' suites ask; every option may come in the query."""
    params = {"upstash-cron": " */10  * * * * ", "upstash-schedule-id": "s"}
    assert (await broker.http.post(f"/v2/schedules/{there.url}?a=b", params=params)).status_code == 200
    found = await broker.client.schedule.get("s")
    assert found.cron == "*/10 * * * *"


async def test_the_same_id_again_replaces_everything(broker: Broker, there: Destination) -> None:
    """The old body, the old options and a pause are gone; when it was first made is kept."""
    api = broker.client.schedule
    await api.create(destination=there.url, cron="* * * * *", body="old", label="l", schedule_id="mine")
    await api.pause("mine")
    old = await api.get("mine")
    assert old.paused
    assert await api.create(destination=there.url + "/new", cron="1 * * * *", schedule_id="mine") == "mine"
    new = await api.get("mine")
    assert (new.destination, new.cron, new.body, new.label, new.paused) == (there.url + "/new", "1 * * * *", None, None, False)
    assert new.created_at == old.created_at
    await api.delete("mine")
    await api.delete("mine")
    with pytest.raises(QStashError, match="404"):
        await api.get("mine")
    for action in ("pause", "resume"):
        assert (await broker.http.post(f"/v2/schedules/mine/{action}")).status_code == 404


async def test_a_due_schedule_publishes_and_remembers(broker: Broker, there: Destination, redis: Redis) -> None:
    """Once for each time; how its messages ended is told under the last time's states."""
    there.answer = answers((500, {}))
    api = broker.client.schedule
    schedule_id = await api.create(destination=there.url, cron="* * * * *", body="tick", retries=0, headers={"a": "b"})
    await make_due(redis, schedule_id, ago_ms=3_600_000)
    (seen,) = await there.gets(1)
    assert (seen.body, seen.header["A"], seen.header["Upstash-Schedule-Id"]) == (b"tick", "b", schedule_id)
    await broker.ends(seen.message_id, "FAILED")
    found = await api.get(schedule_id)
    assert found.last_schedule_states
    assert {name: state.value for name, state in found.last_schedule_states.items()} == {seen.message_id: "FAIL"}
    assert found.last_schedule_time
    assert found.next_schedule_time
    assert found.next_schedule_time > time.time() * 1_000 >= found.last_schedule_time
    assert [one.schedule_id for one in (await broker.client.dlq.list(filter={"schedule_id": schedule_id})).messages] == [
        schedule_id
    ]
    assert len((await broker.client.log.list(filter={"schedule_id": schedule_id})).logs) == 4
    await make_due(redis, schedule_id)
    await there.gets(2)
    await broker.ends(there.seen[1].message_id, "DELIVERED")
    states = (await api.get(schedule_id)).last_schedule_states
    assert states
    assert {name: state.value for name, state in states.items()} == {there.seen[1].message_id: "SUCCESS"}
    assert len(there.seen) == 2


async def test_a_paused_schedule_lets_its_times_pass(broker: Broker, there: Destination, redis: Redis) -> None:
    """The next time moves on; after a resume it publishes again. PATCH (SDKs) and POST (docs) both do it."""
    api = broker.client.schedule
    schedule_id = await api.create(destination=there.url, cron="* * * * *")
    await api.pause(schedule_id)
    await make_due(redis, schedule_id)

    async def moved() -> bool:
        return ((await api.get(schedule_id)).next_schedule_time or 0) > time.time() * 1_000

    await eventually(moved, "the next time is in the future")
    assert there.seen == []
    assert (await broker.http.post(f"/v2/schedules/{schedule_id}/resume")).status_code == 200
    assert not (await api.get(schedule_id)).paused
    await make_due(redis, schedule_id)
    await there.gets(1)


async def test_a_schedule_may_enqueue_and_go_to_a_group(broker: Broker, there: Destination, redis: Redis) -> None:
    """And tells the reason when its group is gone."""
    api = broker.client.schedule
    await broker.client.url_group.upsert_endpoints("g", [{"url": there.url}, {"url": there.url + "/2"}])
    schedule_id = await api.create(destination="g", cron="* * * * *", queue="q")
    await make_due(redis, schedule_id)
    seen = await there.gets(2)
    assert (await broker.get(f"/v2/messages/{seen[0].message_id}"))["queueName"] == "q"
    assert seen[1].header["Upstash-Topic-Name"] == "g"
    await broker.client.url_group.delete("g")
    await make_due(redis, schedule_id)

    async def failed() -> bool:
        return (await api.get(schedule_id)).error == "url group g not found"

    await eventually(failed, "the schedule's error")


async def test_the_synchronous_client_makes_schedules(broker: Broker, there: Destination) -> None:
    """From a thread."""

    def use() -> list[str]:
        client = QStash(broker.token, base_url=broker.url, retry=False)
        try:
            client.schedule.create_json(destination=there.url, cron="CRON_TZ=Asia/Tokyo 0 4 * * *", body={}, schedule_id="s")
            client.schedule.pause("s")
            return [one.cron for one in client.schedule.list() if one.paused]
        finally:
            client.http._client.close()

    assert await asyncio.to_thread(use) == ["CRON_TZ=Asia/Tokyo 0 4 * * *"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upstash-Cron": "x"},
        {"Upstash-Cron": "* * * * *", "Upstash-Schedule-Id": "a b"},
        {"Upstash-Cron": "* * * * *", "Upstash-Retries": "9"},
    ],
)
async def test_a_wrong_schedule_is_refused(broker: Broker, there: Destination, headers: dict[str, str]) -> None:
    """Now, and not when it would be due."""
    assert (await broker.http.post(f"/v2/schedules/{there.url}", headers=headers)).status_code == 400
    assert await broker.client.schedule.list() == []


@pytest.mark.system
async def test_a_time_that_passed_while_the_server_was_dead_is_made_up_for_once(tmp_path: Path, there: Destination) -> None:
    """Killed before the time, started after many of them."""
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    process = Process(valkey.url, tmp_path / "log")
    process.start()
    try:
        await process.answers("/readyz", 200)
        async with talking_to(process.url) as broker:
            schedule_id = await broker.client.schedule.create(destination=there.url, cron="* * * * *")
        await process.end(signal.SIGKILL)
        async with Redis.from_url(valkey.url) as redis:
            await make_due(redis, schedule_id, ago_ms=10_000_000)
        process.start()
        await there.gets(1, within=15)
        async with talking_to(process.url) as broker:
            await broker.ends(there.seen[0].message_id, "DELIVERED")
        assert len(there.seen) == 1
    finally:
        await process.end(signal.SIGKILL)
        valkey.kill()
