"""What the subscriber comes back from: servers, logs and stores that go away, too many messages, its own restarts."""

import asyncio
import signal
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.ably import MESH
from shared.redisdb.positions import Positions
from tests.services.ably_dev.official import Defaults
from tests.services.ably_dev.support import Process, Server
from tests.services.resume.support import Door, event, listening
from tests.support.waiting import eventually


async def test_a_server_that_is_killed_and_started_again_costs_nothing(redis: Redis, process: Process, beside: Server) -> None:
    """Its log is kept, so what was published meanwhile is still there."""
    async with listening(redis, beside) as heard:
        await heard.send()
        await heard.all_once()
        await process.end()
        await eventually(lambda: not heard.subscriber.report()["connected"], describe="the connection is lost")
        await process.start()
        await heard.send()
        await heard.up()
        await heard.send()
        await heard.all_once()


async def test_lost_continuity_is_caught_up_with_while_attached(redis: Redis, server: Server) -> None:
    """The server says so by an ATTACHED that is not resumed; the client makes an `update` of it."""
    async with listening(redis, server) as heard:
        await heard.send()
        await heard.all_once()
        before = heard.counts.catch_ups
        await server.now("lose_continuity", channel=MESH)
        await heard.send()
        await eventually(lambda: heard.counts.catch_ups > before, describe="a catch-up")
        await heard.all_once()


async def test_a_suspended_client_is_replaced_at_once(redis: Redis, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has forgotten its place and would try again half a minute later. Two minutes are shrunk to less than one second."""
    monkeypatch.setattr(Defaults, "connection_state_ttl", 600)
    async with listening(redis, server) as heard:
        await heard.send()
        await heard.all_once()
        await server.fault({"kind": "refuse_connections"})
        await server.now("drop")
        await heard.until_rebuilt(because="the connection is suspended")
        await heard.send()
        await server.fault()
        await heard.up()
        await heard.send()
        await heard.all_once()


async def test_a_client_that_does_not_connect_for_long_is_replaced(redis: Redis, server: Server) -> None:
    """Whatever keeps it: a new one begins with a fresh token and a fresh connection."""
    async with listening(redis, server) as heard:
        await server.fault({"kind": "refuse_connections"})
        await server.now("drop")
        await heard.until_rebuilt(because="for 2 s")
        await heard.send()
        await server.fault()
        await heard.up()
        await heard.all_once()


async def test_nothing_is_lost_while_the_store_is_away(redis: Redis, server: Server) -> None:
    """The door raises Unavailable; each hint is offered again until it is taken."""
    door = Door()
    async with listening(redis, server, door=door) as heard:
        door.away = True
        for _ in range(20):
            await heard.send()
        await eventually(lambda: door.turned_away > 20, describe="hints are offered again")
        assert not door.taken
        door.away = False
        await heard.all_once()
        assert heard.counts.retried == door.turned_away


async def test_more_than_there_is_room_for_is_left_to_a_catch_up(redis: Redis, server: Server) -> None:
    """The listener never waits; what it drops is owed."""
    door = Door()
    async with listening(redis, server, door=door, room=4) as heard:
        door.open.clear()
        for _ in range(40):
            await heard.send()
        await eventually(lambda: heard.counts.overflows > 0, describe="an overflow")
        assert heard.subscriber.report()["behind"] == [MESH]
        door.open.set()
        await heard.all_once()
        await heard.up()


async def test_a_catch_up_that_fails_is_tried_again(redis: Redis, process: Process, beside: Server) -> None:
    """The server is gone in the middle of it."""
    door = Door()
    async with listening(redis, beside, door=door, room=4) as heard:
        door.open.clear()
        for _ in range(40):
            await heard.send()
        await eventually(lambda: heard.counts.overflows > 0, describe="an overflow")
        await process.end()
        door.open.set()
        await eventually(lambda: heard.counts.catch_ups_failed > 0, within=20, describe="a catch-up has failed")
        await process.start()
        await heard.all_once()
        await heard.up()


async def test_two_replicas_handle_every_event_each(redis: Redis, server: Server) -> None:
    """Which of them is first, the door's memory in Redis decides (tests of the door)."""
    async with listening(redis, server) as one, listening(redis, server) as other:
        for _ in range(10):
            await one.send()
        await server.now("disconnect", code=50003, status=503)
        await one.send()
        await one.until_rebuilt()
        await other.until_rebuilt()
        await one.all_once()
        await other.door.has(*one.sent)


async def test_a_new_process_goes_on_where_the_last_one_stood(redis: Redis, server: Server) -> None:
    """Also from longer ago than the two minutes that a first start reads."""
    async with listening(redis, server) as first:
        await first.send()
        await first.all_once()
    stood = await Positions(redis).load()
    assert set(stood) == {MESH, f"{MESH}:local"}
    missed = event()
    await server.publish(MESH, missed)
    async with listening(redis, server) as second:
        # what the first had handled is within the slack, and comes again: the door has seen it, this process has not
        await second.door.has(*first.sent, missed)
    assert (await Positions(redis).load())[MESH] > stood[MESH]


async def test_a_position_from_long_ago_is_read_from(redis: Redis, server: Server) -> None:
    """The start of the reading is that position, not now."""
    sent = event()
    await server.publish(MESH, sent)
    await Positions(redis).save({MESH: 1_000_000_000_000, f"{MESH}:local": 4_000_000_000_000})
    own = event()
    await server.publish(f"{MESH}:local", own)
    async with listening(redis, server) as heard:
        await heard.door.has(sent)


async def test_what_cannot_be_followed_is_told_once_and_harms_nothing(
    redis: Redis, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Malformed, of another version, not JSON; other names are left alone."""
    async with listening(redis, server) as heard:
        wrong: list[Any] = [{"v": 1}, {"v": 99, "executionId": "exe_0a_" + "0" * 32}, "no JSON", ["a list"], {"executionId": 1}]
        for number, data in enumerate(wrong):
            await server.publish(MESH, {"id": f"bad-{number}", "name": "CONTINUE_EXECUTION", "data": data})
        await server.publish(MESH, {"id": "other", "name": "CHATTER", "data": "not for us"})
        await heard.send()
        await heard.all_once()
        await eventually(lambda: heard.counts.handled == len(wrong) + 2, describe="all are handled")
        assert (heard.counts.malformed, heard.counts.ignored) == (len(wrong), 1)
    told = [line for line in capsys.readouterr().out.splitlines() if "mesh.malformed" in line]
    assert [f"id=bad-{number}" in line for number, line in enumerate(told)] == [True] * len(wrong)


async def test_a_flood_of_what_cannot_be_followed_does_not_fill_the_log(
    redis: Redis, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are counted; a line tells of some, and how many were left out."""
    async with listening(redis, server) as heard:
        for number in range(100):
            await server.publish(MESH, {"id": f"bad-{number}", "name": "CONTINUE_EXECUTION", "data": "no JSON"})
        await eventually(lambda: heard.counts.malformed == 100, describe="all are counted")
    told = [line for line in capsys.readouterr().out.splitlines() if "mesh.malformed" in line]
    assert 0 < len(told) < 100


async def test_a_narrow_channel_brings_its_own_event_only(redis: Redis, server: Server) -> None:
    """ABLY_EVENT_CHANNELS; the channel says whose publisher it was."""
    channel = f"{MESH}:local:paid"
    async with listening(redis, server, ABLY_EVENT_CHANNELS="local:paid") as heard:
        for name in ("paid", "shipped"):
            data = {"v": 1, "event": name, "key": "order-17", "data": {"amount": 3}}
            await server.publish(channel, {"id": f"ev-{name}", "name": "CONTINUE_EXECUTION", "data": data})
        await eventually(lambda: heard.counts.malformed == 1, describe="the other event is refused")
        await eventually(lambda: len(heard.door.hints) == 1, describe="the event comes")
        hint = heard.door.hints[0]
        assert (hint.tenant, hint.event, hint.key, hint.data) == ("local", "paid", "order-17", {"amount": 3})


async def test_it_starts_without_ably_and_stops_without_it(redis: Redis, process: Process, beside: Server) -> None:
    """The events of the meantime come when it is there."""
    await process.end()
    sent = event()
    async with listening(redis, beside, wait=False) as heard:
        await asyncio.sleep(0)  # it has begun
        assert heard.subscriber.ok()
        await process.start()
        await beside.publish(MESH, sent)
        await heard.up()
        await heard.door.has(sent)
    await process.end()
    async with listening(redis, beside, wait=False) as heard:
        await eventually(lambda: heard.subscriber.health.view.connection == "connecting", describe="it tries")


async def test_it_stops_in_bounded_time_while_the_server_does_not_answer(
    redis: Redis, process: Process, beside: Server
) -> None:
    """The client would wait ten seconds for an answer to its goodbye, and a service has to be gone by then."""
    async with listening(redis, beside) as heard:
        process.tell(signal.SIGSTOP)
        try:
            async with asyncio.timeout(9):
                await heard.subscriber.close()
        finally:
            process.tell(signal.SIGCONT)
