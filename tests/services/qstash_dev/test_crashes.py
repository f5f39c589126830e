"""Real processes and kills: what was accepted is delivered, at least once, under the same id."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from tests.services.qstash_dev.support import (
    Broker,
    Destination,
    Line,
    Process,
    Seen,
    Valkey,
    answers,
    eventually,
    talking_to,
)
from tests.services.qstash_dev.support import broker as serving

pytestmark = pytest.mark.system


async def test_a_killed_server_delivers_everything_after_its_restart(process: Process, there: Destination) -> None:
    """Killed with messages on the wire, waiting for a place, delayed and in back-off: each comes, under its own id."""
    hang = asyncio.Event()

    async def answer(_: Seen) -> web.Response:
        await hang.wait()
        return web.Response(status=200)

    async def refuse(_: Seen) -> web.Response:
        return web.Response(status=500)

    async with talking_to(process.url) as broker:
        there.answer = refuse
        retried = await broker.publish(there.url + "/retried", Upstash_Retry_Delay="2000")
        await broker.ends(retried, "RETRY")
        there.answer = answer
        item = {"destination": there.url + "/many"}
        many = {one["messageId"] for one in (await broker.http.post("/v2/batch", json=[item] * 120)).json()}
        delayed = await broker.publish(there.url + "/delayed", Upstash_Delay="2s")
        await eventually(lambda: len(there.at("/many")) == 100, "the wire is full")
    await process.end(signal.SIGKILL)
    before = {one.message_id for one in there.at("/many")}
    there.seen.clear()
    hang.set()
    process.start()
    everything = many | {delayed, retried}
    await eventually(lambda: {one.message_id for one in there.seen} >= everything, "every message", within=15)
    again = {one.message_id: one.retried for one in there.seen}
    assert before < many
    assert {again[one] for one in many} == {0}
    assert again[retried] == 1
    async with talking_to(process.url) as broker:
        for message_id in (delayed, retried, *many):
            await broker.ends(message_id, "DELIVERED")
    assert len(there.seen) == len(everything)


async def test_every_publish_that_was_answered_survives_a_kill(process: Process, there: Destination) -> None:
    """Killed while publishes come in: whoever got an id gets a delivery."""
    accepted: list[str] = []

    async def publish(broker: Broker, lane: int) -> None:
        for n in range(10_000):
            try:
                accepted.append(await broker.publish(f"{there.url}/{lane}-{n}", Upstash_Delay="1s"))
            except httpx.TransportError:
                return

    async with talking_to(process.url) as broker:
        publishers = [asyncio.create_task(publish(broker, lane)) for lane in range(8)]
        await eventually(lambda: len(accepted) >= 100, "a hundred publishes")
        await process.end(signal.SIGKILL)
        await asyncio.gather(*publishers)
    process.start()
    await eventually(lambda: {one.message_id for one in there.seen} >= set(accepted), "every accepted message", within=15)


async def test_a_server_told_to_stop_finishes_what_is_on_the_wire(process: Process, there: Destination) -> None:
    """After SIGTERM the answer that is on its way is still recorded, so it is not delivered again."""

    async def answer(_: Seen) -> web.Response:
        await asyncio.sleep(0.3)
        return web.Response()

    there.answer = answer
    async with talking_to(process.url) as broker:
        message_id = await broker.publish(there.url)
        await there.gets(1)
    assert await process.end(signal.SIGTERM) in {0, -signal.SIGTERM}
    process.start()
    async with talking_to(process.url) as broker:
        await process.answers("/readyz", 200)
        assert await broker.states(message_id) == ["CREATED", "ACTIVE", "DELIVERED"]
    assert len(there.seen) == 1


async def test_a_killed_valkey_loses_nothing(own_valkey: Valkey, there: Destination) -> None:
    """While it is away publishes are refused, a delivery's outcome waits, and afterwards all goes on as if nothing was."""
    release = asyncio.Event()

    async def answer(seen: Seen) -> web.Response:
        if seen.raw_path == "/on-the-wire":
            await release.wait()
        return web.Response()

    there.answer = answer
    async with serving(own_valkey.url) as broker:
        flying = await broker.publish(there.url + "/on-the-wire")
        delayed = await broker.publish(there.url + "/delayed", Upstash_Delay="1s")
        await eventually(lambda: there.at("/on-the-wire"), "the first delivery")
        own_valkey.kill()
        response = await broker.http.post(f"/v2/publish/{there.url}/refused")
        assert response.status_code == 503
        assert "Redis" in response.json()["error"]
        release.set()
        await _ready(broker, 503)
        own_valkey.start()
        await _ready(broker, 200)
        await broker.ends(flying, "DELIVERED")
        await broker.ends(delayed, "DELIVERED")
        await broker.ends(await broker.publish(there.url + "/after"), "DELIVERED")
    assert sorted(one.raw_path for one in there.seen) == ["/after", "/delayed", "/on-the-wire"]


async def test_a_valkey_killed_again_and_again_under_load_loses_nothing(own_valkey: Valkey, there: Destination) -> None:
    """Every publish that was answered is delivered, whatever moment the kill hit."""
    accepted: set[str] = set()
    stop = asyncio.Event()

    async def publish(broker: Broker) -> None:
        while not stop.is_set():
            response = await broker.http.post(f"/v2/publish/{there.url}", headers={"Upstash-Retry-Delay": "1"})
            assert response.status_code in {200, 503}, response.text
            if response.status_code == 200:
                accepted.add(response.json()["messageId"])
            await asyncio.sleep(0.002)

    async with serving(own_valkey.url) as broker:
        publishers = [asyncio.create_task(publish(broker)) for _ in range(4)]
        for _ in range(3):
            count = len(accepted)
            await eventually(lambda count=count: len(accepted) > count + 50, "publishes are accepted")  # type: ignore[misc]
            own_valkey.kill()
            await _ready(broker, 503)
            own_valkey.start()
        stop.set()
        await asyncio.gather(*publishers)
        await eventually(lambda: {one.message_id for one in there.seen} >= accepted, "every accepted message", within=15)


async def test_a_lost_reply_loses_no_message(own_valkey: Valkey, there: Destination) -> None:
    """Whichever command it was the answer to: a publish, taking what is due, a lease or an outcome."""
    line = Line(own_valkey.url)
    there.answer = answers(*[(500, {})] * 40)
    accepted: set[str] = set()
    async with line.open() as url, serving(url) as broker:
        await _ready(broker, 200)
        for n in range(60):
            delay = "0s" if n % 3 else "1s"
            options = {"Upstash_Retry_Delay": "20", "Upstash_Retries": "5", "Upstash_Delay": delay}
            accepted.add(await broker.publish(there.url, b"", **options))
            line.lose = n % 4 == 0
        for _ in range(40):
            await eventually(lambda: not line.lose, "a reply is lost")
            line.lose = True
        line.lose = False
        for message_id in accepted:
            await broker.ends(message_id, "DELIVERED")
    assert line.lost > 40
    assert {one.message_id for one in there.seen} == accepted


async def test_the_server_starts_before_its_valkey(tmp_path: Path, there: Destination) -> None:
    """Alive but not ready, then ready without a restart."""
    valkey = Valkey(tmp_path / "valkey")
    process = Process(valkey.url, tmp_path / "log")
    process.start()
    try:
        await process.answers("/healthz", 200)
        assert await process.status("/readyz") == 503
        valkey.start()
        await process.answers("/readyz", 200)
        async with talking_to(process.url) as broker:
            await broker.ends(await broker.publish(there.url), "DELIVERED")
    finally:
        await process.end(signal.SIGKILL)
        valkey.kill()


async def test_the_process_says_where_it_is_and_how_to_sign_in(process: Process) -> None:
    """The lines that people and the SDKs' spawners read."""
    lines = process.output.read_text().splitlines()
    assert lines[:2] == [f"QStash server is running at {process.url}", f"QSTASH_URL={process.url}"]
    assert [line.split("=")[0] for line in lines[2:5]] == [
        "QSTASH_TOKEN",
        "QSTASH_CURRENT_SIGNING_KEY",
        "QSTASH_NEXT_SIGNING_KEY",
    ]


async def test_the_newer_server_owns_the_deliveries(own_valkey: Valkey, there: Destination) -> None:
    """Of two on the same data the older one stops delivering and says that it is not ready; nothing is delivered twice."""
    async with serving(own_valkey.url) as old:
        await _ready(old, 200)
        async with serving(own_valkey.url) as new:
            await _ready(old, 503)
            for n in range(20):
                await (old if n % 2 else new).publish(f"{there.url}/{n}")
            await there.gets(20)
            await _ready(new, 200)
            assert len({one.message_id for one in there.seen}) == len(there.seen) == 20


async def _ready(broker: Broker, status: int) -> None:
    async def there() -> bool:
        return (await broker.http.get("/readyz")).status_code == status

    await eventually(there, f"/readyz is {status}", within=15)


async def test_a_busy_port_is_a_clear_message(own_valkey: Valkey, process: Process, tmp_path: Path) -> None:
    """And the one that holds the port keeps its deliveries: a second start must not take them over first."""
    second = Process(own_valkey.url, tmp_path / "second", port=process.port)
    second.start()
    try:
        assert await second.ends() == 1
    finally:
        await second.end(signal.SIGKILL)
    assert "cannot listen" in second.output.read_text()
    assert await process.status("/readyz") == 200
